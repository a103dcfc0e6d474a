//! Where the buckets of an index begin: how many of its entries are before each.
//!
//! Hashes divide evenly: of *n* entries about *n·b/B* are before bucket *b* of *B*, give or
//! take half the square root of *n*. What is kept is by how much it is more or less than that:
//! two bytes a bucket, where the number itself would take four. Ids that somebody chose can be
//! further off, and then all take four.
//!
//! ```text
//! start      2 or 4 entries before the bucket, less n·b/B rounded down; signed
//! ```
//!
//! One for each bucket, and one for the end of the last.

use std::ops::{Range, RangeInclusive};

use bytes::{BufMut, Bytes, BytesMut};

/// What must be known of starts to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Spread {
    /// Number of entries.
    pub(in crate::store) entries: u32,
    /// Two to this power is the number of buckets.
    pub(in crate::store) bucket_bits: u8,
    /// Bytes of a start.
    pub(in crate::store) start_width: u8,
}

/// The starts of all buckets. Parsed of a file's bytes, which it keeps.
#[derive(Debug)]
pub(in crate::store) struct Starts {
    spread: Spread,
    raw: Bytes,
}

impl Spread {
    /// Whether starts are as wide as a writer makes them.
    pub(in crate::store) fn is_sane(&self) -> bool {
        matches!(self.start_width, 2 | 4)
    }

    /// Number of buckets.
    pub(in crate::store) fn buckets(&self) -> usize {
        1 << self.bucket_bits
    }

    /// Bytes of all starts in the file, and in memory.
    pub(in crate::store) fn bytes(&self) -> usize {
        (self.buckets() + 1) * self.width()
    }

    /// Which of these bytes tell where the buckets begin, and where the last of them ends.
    pub(in crate::store) fn range(&self, buckets: &RangeInclusive<usize>) -> Range<usize> {
        buckets.start() * self.width()..(buckets.end() + 2) * self.width()
    }

    /// The numbers of the entries that are in these buckets, by what is in their
    /// [`Spread::range`]; `None` when no writer made that.
    pub(in crate::store) fn entries_in(
        &self,
        buckets: &RangeInclusive<usize>,
        raw: &[u8],
    ) -> Option<Range<u32>> {
        if raw.len() != self.range(buckets).len() {
            return None;
        }
        let first = self.start(*buckets.start(), &raw[..self.width()])?;
        let end = self.start(buckets.end() + 1, &raw[raw.len() - self.width()..])?;
        (first <= end && end <= self.entries).then_some(first..end)
    }

    fn width(&self) -> usize {
        self.start_width.into()
    }

    fn start(&self, bucket: usize, raw: &[u8]) -> Option<u32> {
        let more = match *raw {
            [a, b] => i16::from_le_bytes([a, b]).into(),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => return None,
        };
        self.even(bucket).checked_add_signed(more)
    }

    /// How many entries are before a bucket when all have as many.
    fn even(&self, bucket: usize) -> u32 {
        let before = (u64::from(self.entries) * bucket as u64) >> self.bucket_bits;
        u32::try_from(before).expect("no more than all entries")
    }
}

impl Starts {
    /// Those of two to the power of `bucket_bits` buckets, of which each but the last ends
    /// where another begins: `starts` has one more than there are buckets.
    ///
    /// # Panics
    /// With a number of starts that is another, or more than 2³¹ entries.
    pub(in crate::store) fn of(bucket_bits: u8, starts: &[u32]) -> Self {
        let entries = *starts.last().expect("one more than there are buckets");
        let spread = Spread { entries, bucket_bits, start_width: 4 };
        assert_eq!(starts.len(), spread.buckets() + 1, "one more than there are buckets");
        let more = |(bucket, start): (usize, &u32)| {
            start.checked_signed_diff(spread.even(bucket)).expect("a few million entries")
        };
        let more = || starts.iter().enumerate().map(more);
        let mut raw = BytesMut::with_capacity(spread.bytes());
        let narrow: Option<Vec<i16>> = more().map(|more| more.try_into().ok()).collect();
        let start_width = match narrow {
            Some(narrow) => {
                narrow.into_iter().for_each(|more| raw.put_i16_le(more));
                2
            }
            None => {
                more().for_each(|more| raw.put_i32_le(more));
                4
            }
        };
        Starts { spread: Spread { start_width, ..spread }, raw: raw.freeze() }
    }

    /// Reads starts from their bytes.
    ///
    /// # Panics
    /// When these are not as many as [`Spread::bytes`].
    pub(in crate::store) fn parse(spread: Spread, raw: Bytes) -> Self {
        assert_eq!(raw.len(), spread.bytes(), "starts of another length");
        Starts { spread, raw }
    }

    /// What must be known to read them.
    pub(in crate::store) fn spread(&self) -> Spread {
        self.spread
    }

    /// Their bytes in the file.
    pub(in crate::store) fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The bytes in the [`Spread::range`] of these buckets.
    pub(in crate::store) fn of_buckets(&self, buckets: &RangeInclusive<usize>) -> &[u8] {
        &self.raw[self.spread.range(buckets)]
    }
}
