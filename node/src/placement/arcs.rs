//! Which positions of the ring several nodes share: a set of positions as sorted ranges.
//!
//! Two nodes are both replicas of some objects and not of others; comparing what they hold
//! means nothing outside of the positions that they share. Ids are sorted by position, so
//! a list of ids is cut to these ranges in one pass.

use std::ops::RangeInclusive;

/// Positions of the ring, as ranges in ascending order that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arcs(Vec<RangeInclusive<u64>>);

impl Arcs {
    /// Every position.
    pub fn all() -> Self {
        Arcs(vec![0..=u64::MAX])
    }

    /// Adds a range that begins after all that were added before.
    ///
    /// # Panics
    /// When it does not.
    pub(super) fn push(&mut self, range: RangeInclusive<u64>) {
        if range.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(*range.start()) => {
                *last = *last.start()..=*range.end();
            }
            Some(last) => {
                assert!(last.end() < range.start(), "arcs are added in ascending order");
                self.0.push(range);
            }
            None => self.0.push(range),
        }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[RangeInclusive<u64>] {
        &self.0
    }

    /// Whether there is no position at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a position is one of them.
    pub fn contains(&self, position: u64) -> bool {
        let at = self.0.partition_point(|range| *range.end() < position);
        self.0.get(at).is_some_and(|range| range.contains(&position))
    }

    /// The parts of the ranges that lie within `bounds`, ascending.
    pub fn within(
        &self,
        bounds: RangeInclusive<u64>,
    ) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let from = self.0.partition_point(|range| range.end() < bounds.start());
        let (first, last) = bounds.into_inner();
        let reached = self.0[from..].iter().take_while(move |range| *range.start() <= last);
        reached.map(move |range| *range.start().max(&first)..=*range.end().min(&last))
    }
}
