//! In-memory hint index.
//!
//! What a hint log holds, in memory: hints by target in the order of their age, dirty
//! ranges, and what became of the rest.
//!
//! Invariant (I4): a hint leaves by [`Held::apply`] of an entry that says what became of it,
//! and every entry is applied when it is durable, or read back: so the same counts are found
//! after a restart. Recorded is what is held and what was settled, by definition.

use std::collections::BTreeMap;

use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;

use super::entry::{Entry, Settled, hint_len};
use super::{DirtyRange, Hint, IdPrefix};

#[derive(Debug, Default)]
pub(super) struct Held {
    targets: BTreeMap<NodeId, Target>,
    /// Numbers hints in the order in which they came.
    next: u64,
    /// What the hints take in a file.
    pub(super) hint_bytes: u64,
    pub(super) hints: u64,
    /// Each with the number of its last marking.
    dirty: BTreeMap<(NodeId, IdPrefix), u64>,
    markings: u64,
    pub(super) settled: Settled,
}

/// The hints of one target.
#[derive(Debug, Default)]
pub(super) struct Target {
    by_age: BTreeMap<u64, Hint>,
    by_id: BTreeMap<ObjectId, u64>,
}

impl Target {
    pub(super) fn hints(&self) -> u64 {
        self.by_age.len() as u64
    }

    /// Oldest first.
    pub(super) fn by_age(&self) -> impl Iterator<Item = &Hint> {
        self.by_age.values()
    }

    pub(super) fn oldest(&self) -> &Hint {
        self.by_age.values().next().expect("a target without hints is not kept")
    }
}

impl Held {
    pub(super) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Hint(hint) => self.insert(hint),
            Entry::Settled { target, id, outcome } => {
                // One that damage took away was not held, and is not counted.
                if self.remove(target, id) {
                    self.settled.count(*outcome, 1);
                }
                if *outcome == super::Outcome::MovedToRanges {
                    self.mark(target, IdPrefix::of(id));
                }
            }
            Entry::Dirty { target, prefix, instead_of } => {
                self.settled.moved_to_ranges += instead_of;
                self.mark(target, *prefix);
            }
            Entry::Clean { target, prefix } => {
                self.dirty.remove(&(target.clone(), *prefix));
            }
            Entry::SettledBefore(settled) => self.settled = *settled,
        }
    }

    fn insert(&mut self, hint: &Hint) {
        if self.has(&hint.target, &hint.id) {
            return;
        }
        let order = self.next;
        self.next += 1;
        self.hints += 1;
        self.hint_bytes += hint_len(hint);
        let target = self.targets.entry(hint.target.clone()).or_default();
        target.by_id.insert(hint.id, order);
        target.by_age.insert(order, hint.clone());
    }

    fn remove(&mut self, node: &NodeId, id: &ObjectId) -> bool {
        let Some(target) = self.targets.get_mut(node) else { return false };
        let Some(order) = target.by_id.remove(id) else { return false };
        let hint = target.by_age.remove(&order).expect("what is found by id is found by age");
        if target.by_age.is_empty() {
            self.targets.remove(node);
        }
        self.hints -= 1;
        self.hint_bytes -= hint_len(&hint);
        true
    }

    fn mark(&mut self, target: &NodeId, prefix: IdPrefix) {
        self.markings += 1;
        let markings = self.markings;
        if prefix == IdPrefix::All {
            // It says all that the others say.
            self.dirty.retain(|(node, _), _| node != target);
        } else if let Some(all) = self.dirty.get_mut(&(target.clone(), IdPrefix::All)) {
            *all = markings;
            return;
        }
        self.dirty.insert((target.clone(), prefix), markings);
    }

    pub(super) fn has(&self, target: &NodeId, id: &ObjectId) -> bool {
        self.targets.get(target).is_some_and(|target| target.by_id.contains_key(id))
    }

    pub(super) fn target(&self, node: &NodeId) -> Option<&Target> {
        self.targets.get(node)
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = (&NodeId, &Target)> {
        self.targets.iter()
    }

    /// All hints: by target, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Hint> {
        self.targets.values().flat_map(Target::by_age)
    }

    /// All hints, the one that came last first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Hint> {
        let by_age = self.targets.values().flat_map(|target| &target.by_age);
        let in_order: BTreeMap<_, _> = by_age.collect();
        in_order.into_values().rev()
    }

    pub(super) fn dirty(&self) -> impl Iterator<Item = DirtyRange> {
        self.dirty.iter().map(|((target, prefix), marking)| DirtyRange {
            target: target.clone(),
            prefix: *prefix,
            marking: *marking,
        })
    }

    pub(super) fn dirty_count(&self) -> u64 {
        self.dirty.len() as u64
    }

    /// Whether the range is dirty and was not marked again since.
    pub(super) fn is_marked(&self, range: &DirtyRange) -> bool {
        let marking = self.dirty.get(&(range.target.clone(), range.prefix));
        marking == Some(&range.marking)
    }

    /// Everything, as the entries of a new file. Hints in the order in which they came, over
    /// all targets, so that their order is found again.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let by_age = self.targets.values().flat_map(|target| &target.by_age);
        let in_order: BTreeMap<_, _> = by_age.collect();
        let hints = in_order.into_values().cloned().map(Entry::Hint);
        let dirty = self.dirty().map(|range| Entry::dirty(&range));
        hints.chain(dirty).chain([Entry::SettledBefore(self.settled)]).collect()
    }
}
