//! Bucket offsets of an index: how many of its entries are before each bucket, and in the end
//! all, in four bytes each.

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;

use super::u32_at;

/// Bytes of each.
const START_BYTES: usize = 4;

/// What must be known of starts to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Number of entries.
    pub(crate) entries: u32,
    /// Two to this power is the number of buckets.
    pub(crate) bucket_bits: u8,
}

/// The starts of all buckets. Parsed of a file's bytes, which it keeps.
#[derive(Debug)]
pub(crate) struct Starts {
    spread: Spread,
    raw: Bytes,
}

impl Spread {
    /// Number of buckets.
    pub(crate) fn buckets(&self) -> usize {
        1 << self.bucket_bits
    }

    /// Bytes of all starts in the file, and in memory.
    pub(crate) fn bytes(&self) -> usize {
        (self.buckets() + 1) * START_BYTES
    }

    /// Which of these bytes tell where the buckets begin, and where the last of them ends.
    pub(crate) fn range(&self, buckets: &RangeInclusive<usize>) -> Range<usize> {
        buckets.start() * START_BYTES..(buckets.end() + 2) * START_BYTES
    }

    /// The numbers of the entries that are in these buckets, by what is in their
    /// [`Spread::range`]; `None` when no writer made that.
    pub(crate) fn entries_in(
        &self,
        buckets: &RangeInclusive<usize>,
        raw: &[u8],
    ) -> Option<Range<u32>> {
        if raw.len() != self.range(buckets).len() {
            return None;
        }
        let (first, end) = (u32_at(raw, 0), u32_at(raw, raw.len() - START_BYTES));
        (first <= end && end <= self.entries).then_some(first..end)
    }
}

impl Starts {
    /// Those of two to the power of `bucket_bits` buckets, of which each but the last ends
    /// where another begins: `starts` has one more than there are buckets.
    ///
    /// # Panics
    /// With a number of starts that is another.
    pub(crate) fn of(bucket_bits: u8, starts: &[u32]) -> Self {
        let entries = *starts.last().expect("one more than there are buckets");
        let raw: Vec<u8> = starts.iter().flat_map(|start| start.to_le_bytes()).collect();
        Starts::parse(Spread { entries, bucket_bits }, raw.into())
    }

    /// Reads starts from their bytes.
    ///
    /// # Panics
    /// When these are not as many as [`Spread::bytes`].
    pub(crate) fn parse(spread: Spread, raw: Bytes) -> Self {
        assert_eq!(raw.len(), spread.bytes(), "starts of another length");
        Starts { spread, raw }
    }

    /// What must be known to read them.
    pub(crate) fn spread(&self) -> Spread {
        self.spread
    }

    /// Their bytes in the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The bytes in the [`Spread::range`] of these buckets.
    pub(crate) fn of_buckets(&self, buckets: &RangeInclusive<usize>) -> &[u8] {
        &self.raw[self.spread.range(buckets)]
    }
}
