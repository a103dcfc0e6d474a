//! I5 Convergent: when the faults are over for as long as the scenario allows, every
//! acknowledged object is on all of its replicas, and no hint is left.
//!
//! Where nodes compare what they hold, no range of ids stays dirty either. Where the scenario
//! has them not, hints are looked at alone: what a node lists as a dirty range is not called
//! lost then, and an object that is lacking outside of every range is what nobody would ever
//! repair. What rotted counts as lacking where scrub has the time to find it, or
//! everything is read; elsewhere a node that rotted is believed whatever it lacks.
//!
//! Where the layout changed, its replicas are those of the layout in force in the end: what was
//! put by an earlier one has to come to them, too.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Event, Outcome, Phase};

const RULE: &str = "I5 convergent";

/// Objects that some of their replicas lack, and hints that were not delivered.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(observed) = Observed::of(history) else { return Vec::new() };
    let mut violations = Vec::new();
    let mut complain = |message| {
        let at_us = observed.at_us;
        violations.push(Violation { rule: RULE, class: Class::Liveness, at_us, message });
    };
    for (node, pending) in &observed.pending {
        if *pending > 0 {
            complain(format!("{node} still has {pending} hints"));
        }
    }
    if observed.compares {
        for range in &observed.dirty {
            complain(format!("{range}* is a dirty range still"));
        }
    }
    for (_, object, outcome, acked_us) in history.put_answers() {
        if !matches!(outcome, Outcome::Acked { .. }) || acked_us > observed.at_us {
            continue;
        }
        if history.is_condemned(&object.id, acked_us) {
            continue;
        }
        let nobody = &Vec::new();
        let seen = observed.held.get(object.id.as_str()).copied();
        let (replicas, holders) = seen.unwrap_or((&object.replicas, nobody));
        let lacking: Vec<&String> = replicas
            .iter()
            .filter(|node| !holders.contains(node) && !observed.is_dirty(node, &object.id))
            // What rotted has to be found first, and who left the layout gets nothing.
            .filter(|node| observed.finds_rot || !history.rotted.contains(node.as_str()))
            .filter(|node| !history.left.contains(node.as_str()))
            .collect();
        if !lacking.is_empty() {
            let id = &object.id;
            complain(format!("{id} never came to {lacking:?}; held by {holders:?}"));
        }
    }
    violations
}

/// What was seen when the time was over.
struct Observed<'a> {
    at_us: u64,
    compares: bool,
    finds_rot: bool,
    /// The replicas of each object, and who holds it.
    held: BTreeMap<&'a str, (&'a Vec<String>, &'a Vec<String>)>,
    pending: BTreeMap<&'a str, u64>,
    dirty: BTreeSet<&'a str>,
}

impl<'a> Observed<'a> {
    /// `None` in a run that does not look, or never came so far.
    fn of(history: &History<'a>) -> Option<Self> {
        let setting = history.setting?;
        setting.converge_within_us?;
        let mut observed: Option<Observed<'_>> = None;
        for record in history.trace {
            match &record.event {
                Event::Phase { phase: Phase::Converged } => {
                    observed = Some(Observed {
                        at_us: record.at_us,
                        compares: setting.compares,
                        finds_rot: setting.finds_rot,
                        held: BTreeMap::new(),
                        pending: BTreeMap::new(),
                        dirty: BTreeSet::new(),
                    });
                }
                // What comes later belongs to another look.
                Event::Phase { phase: Phase::Settled } => break,
                event => {
                    let Some(observed) = &mut observed else { continue };
                    observed.take(&record.actor, event);
                }
            }
        }
        observed
    }

    fn take(&mut self, actor: &'a str, event: &'a Event) {
        match event {
            Event::Held { id, replicas, holders } => {
                self.held.insert(id, (replicas, holders));
            }
            Event::Hints(sample) => {
                self.pending.insert(actor, sample.pending);
            }
            Event::Dirty { ranges } => self.dirty.extend(ranges.iter().map(String::as_str)),
            _ => {}
        }
    }

    /// Whether somebody knows that the node may lack the object, and nobody is there to
    /// compare.
    fn is_dirty(&self, node: &str, id: &str) -> bool {
        if self.compares {
            return false;
        }
        let first = id.get(..2).unwrap_or_default();
        self.dirty.contains(format!("{node}:{first}").as_str())
            || self.dirty.contains(format!("{node}:").as_str())
    }
}
