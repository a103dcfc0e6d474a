//! Hint admission.
//!
//! What a report or a replacement comes to: hints while there is room, dirty ranges past
//! that. Pure.

use std::collections::{BTreeMap, BTreeSet};

use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Recorded;

use super::super::entry::{Entry, hint_len};
use super::super::held::Held;
use super::super::{Hint, IdPrefix, Outcome};
use super::Report;

/// Hints to be held beside those that are.
struct Room<'a> {
    held: &'a Held,
    /// What all of them take, those to be held included.
    bytes: u64,
    bytes_max: u64,
    new: Vec<Hint>,
    pairs: BTreeSet<(NodeId, ObjectId)>,
    /// What found no room.
    moved_to_ranges: BTreeMap<(NodeId, IdPrefix), u64>,
}

/// What becomes of one hint.
enum Place {
    New,
    Already,
    MovedToRanges,
}

impl<'a> Room<'a> {
    fn new(held: &'a Held, bytes_max: u64) -> Self {
        Room {
            held,
            bytes: held.hint_bytes,
            bytes_max,
            new: Vec::new(),
            pairs: BTreeSet::new(),
            moved_to_ranges: BTreeMap::new(),
        }
    }

    fn take(&mut self, hint: Hint) -> Place {
        let pair = (hint.target.clone(), hint.id);
        if self.held.has(&hint.target, &hint.id) || self.pairs.contains(&pair) {
            return Place::Already;
        }
        let bytes = self.bytes + hint_len(&hint);
        if bytes > self.bytes_max {
            *self.moved_to_ranges.entry((hint.target, IdPrefix::of(&hint.id))).or_default() += 1;
            return Place::MovedToRanges;
        }
        self.bytes = bytes;
        self.pairs.insert(pair);
        self.new.push(hint);
        Place::New
    }

    fn entries(self) -> impl Iterator<Item = Entry> {
        let moved_to_ranges = self.moved_to_ranges.into_iter();
        let dirty = moved_to_ranges.map(|((target, prefix), instead_of)| Entry::Dirty {
            target,
            prefix,
            instead_of,
        });
        self.new.into_iter().map(Entry::Hint).chain(dirty)
    }
}

/// The entries of some reports, and what each of them is told.
pub(super) fn of_reports(
    held: &Held,
    reports: &[Report],
    bytes_max: u64,
    now_ms: u64,
) -> (Vec<Entry>, Vec<Recorded>) {
    let mut room = Room::new(held, bytes_max);
    let mut answers = Vec::with_capacity(reports.len());
    for report in reports {
        let mut recorded = Recorded::default();
        for missed in &report.missed {
            let place = room.take(Hint {
                target: missed.node_id.clone(),
                id: missed.id,
                recorded_at_ms: now_ms,
                layout_version: report.layout_version,
                class: missed.class,
            });
            *match place {
                Place::New => &mut recorded.new,
                Place::Already => &mut recorded.already,
                Place::MovedToRanges => &mut recorded.moved_to_ranges,
            } += 1;
        }
        answers.push(recorded);
    }
    (room.entries().collect(), answers)
}

/// The entries that turn the newest hints into dirty ranges, of which there are more than may
/// be held.
pub(super) fn of_surplus(held: &Held, bytes_max: u64) -> Vec<Entry> {
    let mut bytes = held.hint_bytes;
    let surplus = held.newest_first().take_while(|hint| {
        let over = bytes > bytes_max;
        bytes -= hint_len(hint);
        over
    });
    let moved_to_ranges = |hint: &Hint| Entry::Settled {
        target: hint.target.clone(),
        id: hint.id,
        outcome: Outcome::MovedToRanges,
    };
    surplus.map(moved_to_ranges).collect()
}

/// The entries that put hints for the nodes beside each of these in its place; none for one
/// that is not held.
pub(super) fn of_replacement(
    held: &Held,
    hints: Vec<(Hint, Vec<NodeId>)>,
    bytes_max: u64,
) -> Vec<Entry> {
    let mut room = Room::new(held, bytes_max);
    let mut settled = Vec::with_capacity(hints.len());
    for (hint, targets) in hints {
        if !held.has(&hint.target, &hint.id) {
            continue;
        }
        room.bytes -= hint_len(&hint);
        for target in targets {
            room.take(Hint { target, ..hint.clone() });
        }
        let Hint { target, id, .. } = hint;
        settled.push(Entry::Settled { target, id, outcome: Outcome::Replaced });
    }
    settled.into_iter().chain(room.entries()).collect()
}
