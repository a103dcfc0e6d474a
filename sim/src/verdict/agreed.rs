//! I11 Agreed: no two nodes ever apply different commands at one position, and when the faults are
//! over all nodes have the same catalog, with the layout that is in force.
//!
//! A node that was started again applies again what is in its log behind its snapshot, in order. One
//! that goes on from another's snapshot leaves positions out. One whose disk was replaced is nobody
//! under its old name, and one that left the layout need not hear of anything any more.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::{Class, Violation};
use crate::trace::{CatalogOutcome, CatalogSetting, Event, Phase, RefVerdict};

const RULE: &str = "I11 agreed";

/// Commands that were applied at a position of others, and nodes that do not come to the state of
/// the others.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(setting) = history.setting else { return Vec::new() };
    let mut run = Run::default();
    for record in history.trace {
        run.take(&record.actor, &record.event, record.at_us);
    }
    run.compare(&setting.nodes);
    run.compare_with(&setting.catalog, history.trace.last().map_or(0, |record| record.at_us));
    run.violations
}

/// A hash of a command and one of its reply, and who was the first to apply it.
type First<'a> = (&'a str, &'a str, &'a str);

/// A position, a hash of the state there, and the version of its layout.
type State<'a> = (u64, &'a str, Option<u64>);

#[derive(Default)]
struct Run<'a> {
    applied: BTreeMap<u64, First<'a>>,
    /// What each process applied last.
    last: BTreeMap<&'a str, u64>,
    /// The last position that each node ever came to.
    furthest: BTreeMap<&'a str, u64>,
    /// States that should be the same, with their positions and the layouts that they have; nothing
    /// where there need be none.
    states: BTreeMap<&'a str, Option<State<'a>>>,
    states_us: u64,
    /// Nodes whose disks were replaced.
    replaced: BTreeSet<&'a str>,
    /// The newest layout that a node took.
    layout: Option<u64>,
    phase: Option<Phase>,
    updates: u64,
    /// Since when no update was acknowledged, under load.
    last_update_us: Option<u64>,
    /// The longest such time, and when it began.
    gap_us: (u64, u64),
    snapshots: u64,
    voters: Vec<&'a [String]>,
    violations: Vec<Violation>,
}

impl<'a> Run<'a> {
    fn complain(&mut self, class: Class, at_us: u64, message: String) {
        self.violations.push(Violation { rule: RULE, class, at_us, message });
    }

    fn take(&mut self, actor: &'a str, event: &'a Event, at_us: u64) {
        match event {
            Event::Started { .. } => drop(self.last.remove(actor)),
            Event::DiskReplaced => {
                self.furthest.remove(actor);
                self.replaced.insert(actor);
            }
            Event::Phase { phase } => {
                self.phase = Some(*phase);
                // What was under way when the load ended may take its time.
                self.last_update_us = (*phase == Phase::Load).then_some(at_us);
            }
            Event::LayoutTaken { version, .. } => self.layout = self.layout.max(Some(*version)),
            Event::Voters { voters } => {
                if self.phase < Some(Phase::Load) {
                    self.voters.clear();
                }
                self.voters.push(voters);
            }
            Event::BulkRefs { made, found, others } if (made, &0) != (found, others) => {
                let message = format!(
                    "of {made} refs that nobody updated {found} are as they were made, and \
                     {others} are others"
                );
                self.complain(Class::Safety, at_us, message);
            }
            Event::Applied { index, command, reply } => {
                self.take_applied(actor, *index, (command, reply), at_us);
            }
            Event::CatalogState { position, digest, layout } => {
                self.take_state(actor, Some((*position, digest, *layout)), at_us);
            }
            Event::NoCatalog if actor == "world" => {
                let message = "not all nodes became members".to_owned();
                self.complain(Class::Liveness, at_us, message);
            }
            Event::NoCatalog if !self.replaced.contains(actor) => {
                let message = format!("{actor} has no catalog");
                self.complain(Class::Liveness, at_us, message);
                self.take_state(actor, None, at_us);
            }
            Event::NoCatalog | Event::LeftCatalog => self.take_state(actor, None, at_us),
            Event::CatalogAnswered { op, outcome } => self.take_answer(*op, outcome, at_us),
            _ => {}
        }
    }

    fn take_applied(&mut self, actor: &'a str, index: u64, it: (&'a str, &'a str), at_us: u64) {
        let (command, reply) = it;
        let (first_command, first_reply, by) =
            *self.applied.entry(index).or_insert((command, reply, actor));
        if (first_command, first_reply) != (command, reply) {
            let what = if first_command == command { "reply" } else { "command" };
            let message = format!(
                "{actor} applied command {command} at {index} and replied {reply}; {by} applied \
                 {first_command} there and replied {first_reply}: another {what}"
            );
            self.complain(Class::Safety, at_us, message);
        }
        if let Some(last) = self.last.insert(actor, index).filter(|last| *last >= index) {
            let message = format!("{actor} applied {index} after {last}");
            self.complain(Class::Safety, at_us, message);
        }
        let furthest = self.furthest.entry(actor).or_default();
        let skipped = (*furthest + 1)..index;
        // What others applied meanwhile came with a snapshot; the rest are entries without one.
        if !skipped.is_empty() && self.applied.range(skipped).next().is_some() {
            self.snapshots += 1;
        }
        *furthest = (*furthest).max(index);
    }

    /// Ends a time without acknowledged updates.
    fn end_gap(&mut self, at_us: u64) {
        if let Some(since_us) = self.last_update_us {
            self.gap_us = self.gap_us.max((at_us - since_us, since_us));
        }
    }

    fn take_state(&mut self, actor: &'a str, state: Option<State<'a>>, at_us: u64) {
        if self.states.contains_key(actor) {
            // Another look begins.
            self.compare_states();
        }
        self.states.insert(actor, state);
        self.states_us = at_us;
    }

    fn take_answer(&mut self, op: u64, outcome: &CatalogOutcome, at_us: u64) {
        match outcome {
            CatalogOutcome::Updated { verdicts } => {
                let applied = verdicts.iter().filter(|it| **it == RefVerdict::Applied);
                self.updates += applied.count() as u64;
                self.end_gap(at_us);
                self.last_update_us = self.last_update_us.map(|_| at_us);
            }
            CatalogOutcome::NotDone { error } | CatalogOutcome::Unknown { error }
                if self.phase >= Some(Phase::Settled) =>
            {
                let message = format!("call {op} was not answered when all was well: {error}");
                self.complain(Class::Liveness, at_us, message);
            }
            _ => {}
        }
    }

    /// The last look at all nodes.
    fn compare(&mut self, nodes: &[String]) {
        let missing = nodes.iter().find(|node| !self.states.contains_key(node.as_str()));
        if let (Some(node), false) = (missing, self.states.is_empty()) {
            let message = format!("nobody looked at the state of {node}");
            self.complain(Class::Liveness, self.states_us, message);
        }
        self.compare_states();
    }

    fn compare_states(&mut self) {
        let at_us = self.states_us;
        let states = std::mem::take(&mut self.states);
        let most = states.values().flatten().max().copied();
        let Some((last, same, layout)) = most else { return };
        if layout < self.layout {
            let (has, taken) = (layout.unwrap_or(0), self.layout.unwrap_or(0));
            let message = format!("the catalog has layout {has}, and {taken} is in force");
            self.complain(Class::Liveness, at_us, message);
        }
        for (node, state) in &states {
            let Some((position, digest, _)) = state else { continue };
            if *position < last {
                let message = format!("{node} is at {position}, and another node at {last}");
                self.complain(Class::Liveness, at_us, message);
            } else if *digest != same {
                let message = format!("{node} has state {digest} at {last}, and another {same}");
                self.complain(Class::Safety, at_us, message);
            }
        }
    }

    /// What the scenario expects.
    fn compare_with(&mut self, setting: &CatalogSetting, at_us: u64) {
        let CatalogSetting { updates_min, snapshots_min, gap_max_us, ref voters, .. } = *setting;
        let (gap_us, since_us) = self.gap_us;
        let violations = &mut self.violations;
        let mut complain = |rule, message| {
            violations.push(Violation { rule, class: Class::Liveness, at_us, message });
        };
        if self.updates < updates_min {
            let message = format!("{} refs updated, not {updates_min}", self.updates);
            complain("catalog.updates_min", message);
        }
        if self.snapshots < snapshots_min {
            let message = format!("{} snapshots of others, not {snapshots_min}", self.snapshots);
            complain("catalog.snapshots_min", message);
        }
        if gap_max_us.is_some_and(|most| gap_us > most) {
            let (ms, since_ms) = (gap_us / 1_000, since_us / 1_000);
            let message = format!("no update was acknowledged for {ms} ms from {since_ms} ms on");
            complain("catalog.gap_max", message);
        }
        if !voters.is_empty() && self.voters != *voters {
            let message = format!("there voted {:?}, not {voters:?}", self.voters);
            complain("catalog.voters", message);
        }
    }
}
