//! Hash ring ranges.
//!
//! Which positions of the ring a node has, or several share: a set of positions as sorted
//! ranges.
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

    /// The positions of one range.
    pub fn of(range: RangeInclusive<u64>) -> Self {
        let mut arcs = Arcs::default();
        arcs.push(range);
        arcs
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

    /// The positions that are in either.
    #[must_use]
    pub fn union(&self, other: &Arcs) -> Arcs {
        let mut ranges: Vec<_> = self.0.iter().chain(&other.0).cloned().collect();
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut all = Arcs::default();
        for range in ranges {
            match all.0.last_mut() {
                Some(last) if last.contains(range.start()) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => all.push(range),
            }
        }
        all
    }

    /// The positions that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Arcs) -> Arcs {
        let mut common = Arcs::default();
        for range in &self.0 {
            other.within(range.clone()).for_each(|part| common.push(part));
        }
        common
    }

    /// The positions that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Arcs) -> Arcs {
        let mut rest = Arcs::default();
        for range in &self.0 {
            // The first position that was not looked at; none behind the last of all.
            let mut next = Some(*range.start());
            for taken in other.within(range.clone()) {
                if let Some(first) = next
                    && first < *taken.start()
                {
                    rest.push(first..=*taken.start() - 1);
                }
                next = taken.end().checked_add(1);
            }
            if let Some(first) = next.filter(|first| first <= range.end()) {
                rest.push(first..=*range.end());
            }
        }
        rest
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
