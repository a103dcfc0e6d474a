//! I14 No litter: after quiet and the lease of a push every chunk has an owner, and nothing that has
//! one is ever collected.
//!
//! The stores are looked into once, when the faults have been over for `git.swept_within`. By then a
//! chunk of a pack that no repository has is litter, and a pack that one has is whole on all of its
//! replicas. How many chunks a pack has nobody says here: the replica that has the most of them is
//! believed, and that nothing is lacking there every clone shows.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Event, HeldPack};

const RULE: &str = "I14 no litter";

/// Chunks that nobody owns, and packs that have an owner and lost chunks.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(setting) = history.setting else { return Vec::new() };
    let Some(swept_within_us) = setting.git.as_ref().and_then(|git| git.swept_within_us) else {
        return Vec::new();
    };
    let seen = Seen::of(history);
    let mut violations = Vec::new();
    let mut complain = |class, at_us, message| {
        violations.push(Violation { rule: RULE, class, at_us, message });
    };
    for node in setting.nodes.iter().filter(|_| history.ended) {
        if !seen.held.contains_key(node.as_str()) {
            let message = format!("nobody looked what {node} holds");
            complain(Class::Liveness, seen.at_us, message);
        }
    }
    for (node, held) in &seen.held {
        if let Some(litter) = litter(held, &seen.owned) {
            let minutes = swept_within_us / 60_000_000;
            let message = format!("{minutes} min after the last fault {node} still has {litter}");
            complain(Class::Liveness, seen.at_us, message);
        }
    }
    for pack in &seen.owned {
        let whole = seen.whole_on(pack);
        if whole.is_empty() {
            let message = format!("a repository has pack {pack}, and no node any chunk of it");
            complain(Class::Safety, seen.at_us, message);
        } else if whole.len() < setting.replicas {
            let message = format!("pack {pack} is whole on {whole:?} alone");
            complain(Class::Liveness, seen.at_us, message);
        }
    }
    violations
}

/// What a node holds that nobody owns, in words.
fn litter(held: &[HeldPack], owned: &BTreeSet<&str>) -> Option<String> {
    let unowned = || held.iter().filter(move |held| !owned.contains(held.pack.as_str()));
    let first = unowned().next()?;
    let chunks: u64 = unowned().map(|held| held.chunks).sum();
    let HeldPack { pack, repository, .. } = first;
    Some(format!(
        "{chunks} chunks of {} packs that no repository has, such as {pack} of repository \
         {repository}",
        unowned().count()
    ))
}

/// What was seen when the time was over.
#[derive(Default)]
struct Seen<'a> {
    at_us: u64,
    owned: BTreeSet<&'a str>,
    /// By node.
    held: BTreeMap<&'a str, &'a [HeldPack]>,
}

impl<'a> Seen<'a> {
    fn of(history: &History<'a>) -> Self {
        let mut seen = Seen::default();
        for record in history.trace {
            match &record.event {
                Event::PacksOwned { packs } => seen.owned.extend(packs.iter().map(String::as_str)),
                Event::PacksHeld { packs } => drop(seen.held.insert(&record.actor, packs)),
                _ => continue,
            }
            seen.at_us = record.at_us;
        }
        seen
    }

    /// The nodes that hold as many chunks of a pack as any.
    fn whole_on(&self, pack: &str) -> Vec<&'a str> {
        let of = |held: &[HeldPack]| held.iter().find(|held| held.pack == pack).map(|it| it.chunks);
        let counts = self.held.iter().filter_map(|(node, held)| Some((*node, of(held)?)));
        let counts: Vec<(&str, u64)> = counts.collect();
        let most = counts.iter().map(|(_, chunks)| *chunks).max();
        counts.iter().filter(|(_, chunks)| Some(*chunks) == most).map(|(node, _)| *node).collect()
    }
}
