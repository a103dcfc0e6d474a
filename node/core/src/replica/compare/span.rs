//! Key ranges.
//!
//! Ranges of positions, and their parts.

use std::ops::RangeInclusive;

/// Positions `first` to `last`, both among them; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first position.
    pub first: u64,
    /// The last position, not before the first.
    pub last: u64,
}

impl Span {
    /// Every position.
    pub const ALL: Span = Span { first: 0, last: u64::MAX };

    /// The positions of the ids with this first byte.
    pub fn of_first_byte(byte: u8) -> Self {
        let first = u64::from(byte) << 56;
        Span { first, last: first | (u64::MAX >> 8) }
    }

    /// What of it is at `position` or above; `None` when nothing is.
    pub fn at_or_above(self, position: u64) -> Option<Span> {
        let first = self.first.max(position);
        (first <= self.last).then_some(Span { first, ..self })
    }

    /// How many positions there are.
    fn width(self) -> u128 {
        u128::from(self.last - self.first) + 1
    }

    /// Into how many parts it is divided when `wanted` are: no part may be empty.
    pub fn parts(self, wanted: u32) -> u32 {
        u32::try_from(self.width().min(wanted.into())).expect("no more than was wanted")
    }

    /// The part `index` of `parts` of the same width, or one more. Both sides of a comparison
    /// compute the same, so parts need not be stated.
    ///
    /// # Panics
    /// When there is no such part.
    pub fn part(self, index: u32, parts: u32) -> Span {
        assert!(index < parts && u128::from(parts) <= self.width(), "a part that there is");
        let edge =
            |at: u32| u128::from(self.first) + self.width() * u128::from(at) / u128::from(parts);
        let narrow = |position: u128| u64::try_from(position).expect("within the span");
        Span { first: narrow(edge(index)), last: narrow(edge(index + 1) - 1) }
    }

    /// Whether all of `other` lies in it.
    pub fn covers(self, other: Span) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The same as a range.
    pub fn range(self) -> RangeInclusive<u64> {
        self.first..=self.last
    }
}
