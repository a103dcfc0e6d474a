//! Where the buckets of an index begin: how many of its entries are before each.
//!
//! Hashes divide evenly: of *n* entries about *n·b/B* are before bucket *b* of *B*, give or
//! take half the square root of *n*; and by how much it is more or less differs little from one
//! bucket to the next. So sixteen buckets share two bytes, and each has one of its own, where
//! the number itself would take four. Ids that somebody chose can be further off, and then all
//! take four.
//!
//! ```text
//! narrow     of each sixteen buckets: 2 surplus of the first | 16 × 1 surplus, less that
//! wide       of each bucket: 4 surplus
//! ```
//!
//! A bucket's surplus is the number of entries before it, less *n·b/B* rounded down; signed, as
//! are the differences. There is one for each bucket, and one for the end of the last; what is
//! left of the last sixteen is zero.

use std::ops::{Range, RangeInclusive};

use bytes::{BufMut, Bytes, BytesMut};

use super::u32_at;

/// Buckets whose starts are kept together where they are narrow.
const GROUP: usize = 16;
const GROUP_BYTES: usize = 2 + GROUP;

/// In what form starts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Somewhat more than a byte each.
    Narrow,
    /// Four bytes each.
    Wide,
}

impl Width {
    /// The byte that stands for it.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Width::Narrow => 1,
            Width::Wide => 4,
        }
    }

    /// What this byte stands for.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Width::Narrow),
            4 => Some(Width::Wide),
            _ => None,
        }
    }
}

/// What must be known of starts to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Number of entries.
    pub(crate) entries: u32,
    /// Two to this power is the number of buckets.
    pub(crate) bucket_bits: u8,
    /// In what form they are.
    pub(crate) width: Width,
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
        self.range(&(0..=self.buckets() - 1)).end
    }

    /// Which of these bytes tell where the buckets begin, and where the last of them ends.
    pub(crate) fn range(&self, buckets: &RangeInclusive<usize>) -> Range<usize> {
        self.at(*buckets.start())..self.at(buckets.end() + 1) + self.unit()
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
        let first = self.start(*buckets.start(), &raw[..self.unit()])?;
        let end = self.start(buckets.end() + 1, &raw[raw.len() - self.unit()..])?;
        (first <= end && end <= self.entries).then_some(first..end)
    }

    /// How many bytes tell where a bucket begins: those of its group, or its own.
    fn unit(&self) -> usize {
        match self.width {
            Width::Narrow => GROUP_BYTES,
            Width::Wide => 4,
        }
    }

    /// Where they are among all.
    fn at(&self, bucket: usize) -> usize {
        match self.width {
            Width::Narrow => bucket / GROUP * GROUP_BYTES,
            Width::Wide => bucket * 4,
        }
    }

    fn start(&self, bucket: usize, unit: &[u8]) -> Option<u32> {
        let surplus = match self.width {
            Width::Narrow => {
                let (first, more) = unit.split_at(2);
                let first = i16::from_le_bytes([first[0], first[1]]);
                i32::from(first) + i32::from(more[bucket % GROUP].cast_signed())
            }
            Width::Wide => u32_at(unit, 0).cast_signed(),
        };
        self.even(bucket).checked_add_signed(surplus)
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
    pub(crate) fn of(bucket_bits: u8, starts: &[u32]) -> Self {
        let entries = *starts.last().expect("one more than there are buckets");
        let spread = Spread { entries, bucket_bits, width: Width::Wide };
        assert_eq!(starts.len(), spread.buckets() + 1, "one more than there are buckets");
        let surplus = |(bucket, start): (usize, &u32)| {
            start.checked_signed_diff(spread.even(bucket)).expect("a few million entries")
        };
        let surplus: Vec<i32> = starts.iter().enumerate().map(surplus).collect();
        let (width, raw) = match narrow(&surplus) {
            Some(raw) => (Width::Narrow, raw),
            None => (Width::Wide, surplus.into_iter().flat_map(i32::to_le_bytes).collect()),
        };
        Starts::parse(Spread { width, ..spread }, raw)
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

/// The narrow form of starts with these surpluses, if they fit it.
fn narrow(surplus: &[i32]) -> Option<Bytes> {
    let mut raw = BytesMut::with_capacity(surplus.len().div_ceil(GROUP) * GROUP_BYTES);
    for group in surplus.chunks(GROUP) {
        raw.put_i16_le(group[0].try_into().ok()?);
        for more in group {
            raw.put_i8((more - group[0]).try_into().ok()?);
        }
        raw.put_bytes(0, GROUP - group.len());
    }
    Some(raw.freeze())
}
