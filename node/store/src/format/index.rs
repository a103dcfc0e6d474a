//! The index file of a sealed segment: its records sorted by id, and what is needed to
//! find one with a single read.
//!
//! ```text
//! head       8 magic "GSTRIDX\n" | 4 version | 12 segment id | 8 segment's length
//!            | 4 entries | 1 id width | 1 bucket bits | 1 window bits | 1 zero
//!            | 4 windows | 4 seed (filter.rs)
//!            | accounts (account.rs) | 4 crc of the head
//! directory  starts (starts.rs) | filter (filter.rs) | 4 crc of the head's crc and the directory
//! bucket     entries | 4 crc of the head's crc, the bucket's number and the entries
//! entry      id, padded to the id width | 4 offset | 4 stored, or victim | 1 what
//! ```
//!
//! Ids are hashes, so their first bits divide them evenly: bucket *b* has the ids whose
//! first `bucket bits` bits are *b*. That is an interpolation search whose guess is always
//! right, for four bytes a bucket.
//!
//! Opening a store reads the heads alone, and nothing of their segments. The directory is read
//! behind that and kept; until then a bucket's place is read from where it lies in the file,
//! unverified, because the bucket's own checksum tells whether it was the right one.
//!
//! The file adds nothing to its segment: one that does not hold, or is of an earlier version,
//! is made again from it.

mod encode;

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;
use gitstratum_core::object::ObjectId;

use super::account::{ACCOUNTS_BYTES_FIXED, Accounts};
use super::filter::{Filter, Key, Shape};
use super::record::DATA_BYTES_MAX;
use super::segment::SegmentId;
use super::starts::{Spread, Starts};
use super::{HeaderError, algorithm_from_byte, id_from_padded, u32_at, u64_at};

pub(crate) use encode::encode_index;

/// The version this code writes, and the only one it reads.
///
/// It stands for the segment's version too, because a store that opens an index does not look
/// at the segment: what an earlier program cannot read needs an index that it refuses.
pub(crate) const VERSION: u32 = 8;
const _: () =
    assert!(super::segment::VERSION == 4, "a new version of segments, and no new one here");
const MAGIC: [u8; 8] = *b"GSTRIDX\n";
const FIXED_BYTES: usize = 8 + 4 + 12 + 8 + 4 + 4 + 4 + 4;
/// A bucket has this many entries on average, or up to twice as many. Fewer cost memory; with
/// more, a get reads and checks more.
const BUCKET_ENTRIES: usize = 6;
/// Bytes of an entry beside the id.
const ENTRY_FIXED_BYTES: usize = 9;
const CRC_BYTES: usize = 4;
const TOMBSTONE: u8 = 0x80;

/// Greatest number of entries: what a segment can have.
pub(crate) const ENTRIES_MAX: u32 = 1 << 24;

/// What an index says of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its record begins here.
    Object {
        /// In the segment.
        offset: u32,
        /// Bytes of data in the file.
        stored: u32,
    },
    /// Its tombstone is here.
    Tombstone {
        /// In the segment.
        offset: u32,
        /// Number of the segment that held it.
        victim: u32,
    },
}

/// An id and its place.
pub(crate) type Entry = (ObjectId, Place);

/// The first part of an index file: what opening a store reads.
#[derive(Debug)]
pub(crate) struct IndexHead {
    /// Whose index.
    pub(crate) segment: SegmentId,
    /// Length of the segment; one that differs was cut or is another.
    pub(crate) segment_len: u64,
    /// What the segment holds and what it made garbage.
    pub(crate) accounts: Accounts,
    id_width: usize,
    spread: Spread,
    filter: Shape,
    /// Of this head in the file.
    len: usize,
    /// So that no part of another index is taken for one of this.
    crc: u32,
}

/// Where the buckets begin, and what tells without a read that an id is in none of them.
/// Parsed of a file's bytes, which it keeps.
#[derive(Debug)]
pub(crate) struct Directory {
    starts: Starts,
    filter: Filter,
}

/// Bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where they begin.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) len: usize,
}

/// The ids whose first bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    number: usize,
    /// Its entries and their checksum.
    pub(crate) piece: Piece,
}

/// What was read is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexDamaged;

/// Bytes before everything whose length varies; enough to know the length of the head.
pub(crate) const INDEX_PREFIX_BYTES: usize = FIXED_BYTES + ACCOUNTS_BYTES_FIXED;

/// Length of the head whose first [`INDEX_PREFIX_BYTES`] bytes these are.
///
/// # Errors
/// When no index begins so, or that of a later version. One of an earlier version counts as
/// damaged: it is made again.
pub(crate) fn head_len(prefix: &[u8]) -> Result<usize, HeaderError> {
    let prefix = prefix.get(..INDEX_PREFIX_BYTES).ok_or(HeaderError::Damaged)?;
    if prefix[..8] != MAGIC {
        return Err(HeaderError::Damaged);
    }
    match u32_at(prefix, 8) {
        VERSION => {}
        later if later > VERSION => return Err(HeaderError::Version(later)),
        _ => return Err(HeaderError::Damaged),
    }
    match Accounts::kills_in(&prefix[FIXED_BYTES..]) {
        kills if kills > Accounts::KILLS_MAX => Err(HeaderError::Damaged),
        kills => Ok(FIXED_BYTES + Accounts::len(kills) + CRC_BYTES),
    }
}

fn bucket_bits(entries: usize) -> u8 {
    (entries / BUCKET_ENTRIES).max(1).ilog2() as u8
}

fn bucket_at(position: u64, bits: u8) -> usize {
    // A shift by 64 is no shift at all in the processor, and an error here.
    let place = position.checked_shr(64 - u32::from(bits)).unwrap_or(0);
    usize::try_from(place).expect("a few bits")
}

fn bucket_crc(head_crc: u32, number: usize, entries: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(head_crc, &(number as u64).to_le_bytes());
    crc32c::crc32c_append(crc, entries)
}

impl IndexHead {
    /// Reads a head of the length that [`head_len`] told, from a file of `file_len` bytes.
    pub(crate) fn parse(raw: &[u8], file_len: u64) -> Result<Self, HeaderError> {
        let len = head_len(raw)?;
        let (head, crc) = raw.get(..len).ok_or(HeaderError::Damaged)?.split_at(len - CRC_BYTES);
        let crc = u32_at(crc, 0);
        if crc != crc32c::crc32c(head) {
            return Err(HeaderError::Damaged);
        }
        let segment = SegmentId::parse(&head[12..24]).ok_or(HeaderError::Damaged)?;
        let (accounts, rest) = Accounts::parse(&head[FIXED_BYTES..]).ok_or(HeaderError::Damaged)?;
        let spread = Spread { entries: u32_at(head, 32), bucket_bits: head[37] };
        let filter =
            Shape { window_bits: head[38], windows: u32_at(head, 40), seed: u32_at(head, 44) };
        let head = IndexHead {
            segment,
            segment_len: u64_at(head, 24),
            accounts,
            id_width: usize::from(head[36]),
            spread,
            filter,
            len,
            crc,
        };
        // What a writer makes; anything else would only ask for memory.
        let sane = rest.is_empty()
            && spread.entries <= ENTRIES_MAX
            && spread.bucket_bits == bucket_bits(spread.entries as usize)
            && matches!(head.id_width, 20 | 32)
            && head.filter.is_sane(spread.entries)
            && head.bucket_begin(spread.buckets(), spread.entries) == file_len;
        if sane { Ok(head) } else { Err(HeaderError::Damaged) }
    }

    /// Number of entries.
    pub(crate) fn entries(&self) -> u32 {
        self.spread.entries
    }

    /// Where the directory is.
    pub(crate) fn directory_piece(&self) -> Piece {
        let len = self.spread.bytes() + self.filter.bytes() + CRC_BYTES;
        Piece { offset: self.len as u64, len }
    }

    /// Reads the directory from its piece.
    pub(crate) fn directory(&self, mut raw: Bytes) -> Result<Directory, IndexDamaged> {
        if raw.len() != self.directory_piece().len {
            return Err(IndexDamaged);
        }
        let crc = raw.split_off(raw.len() - CRC_BYTES);
        if u32_at(&crc, 0) != crc32c::crc32c_append(self.crc, &raw) {
            return Err(IndexDamaged);
        }
        let starts = Starts::parse(self.spread, raw.split_to(self.spread.bytes()));
        Ok(Directory { starts, filter: Filter::parse(self.filter, raw) })
    }

    /// Numbers of the buckets that may have ids at positions `first` to `last`.
    pub(crate) fn numbers_between(&self, first: u64, last: u64) -> RangeInclusive<usize> {
        bucket_at(first, self.spread.bucket_bits)..=bucket_at(last, self.spread.bucket_bits)
    }

    /// Number of the bucket that has the id, if any has.
    pub(crate) fn number_of(&self, id: &ObjectId) -> usize {
        bucket_at(id.prefix_u64(), self.spread.bucket_bits)
    }

    /// Where the file tells where these buckets begin, and where the last of them ends.
    pub(crate) fn starts_piece(&self, numbers: &RangeInclusive<usize>) -> Piece {
        let range = self.spread.range(numbers);
        Piece { offset: (self.len + range.start) as u64, len: range.len() }
    }

    /// Where a bucket begins whose first entry has this number.
    fn bucket_begin(&self, number: usize, start: u32) -> u64 {
        let piece = self.directory_piece();
        let width = (self.id_width + ENTRY_FIXED_BYTES) as u64;
        let entries = u64::from(start) * width + (number * CRC_BYTES) as u64;
        piece.offset + piece.len as u64 + entries
    }

    /// A bucket, by what the file tells of where it and the next one begin.
    pub(crate) fn bucket(&self, number: usize, starts: &[u8]) -> Result<Bucket, IndexDamaged> {
        let entries = self.spread.entries_in(&(number..=number), starts).ok_or(IndexDamaged)?;
        let offset = self.bucket_begin(number, entries.start);
        let len = self.bucket_begin(number + 1, entries.end) - offset;
        let len = usize::try_from(len).expect("it lies within the file");
        Ok(Bucket { number, piece: Piece { offset, len } })
    }

    /// The same for several, which follow one another in the file.
    pub(crate) fn buckets(
        &self,
        numbers: RangeInclusive<usize>,
        starts: &[u8],
    ) -> Result<Vec<Bucket>, IndexDamaged> {
        let begin = self.spread.range(&numbers).start;
        let bucket = |number| {
            let Range { start, end } = self.spread.range(&(number..=number));
            self.bucket(number, starts.get(start - begin..end - begin).ok_or(IndexDamaged)?)
        };
        numbers.map(bucket).collect()
    }

    /// All buckets' numbers.
    pub(crate) fn numbers(&self) -> RangeInclusive<usize> {
        0..=self.spread.buckets() - 1
    }

    /// Looks the id up among a bucket's bytes.
    pub(crate) fn find(
        &self,
        bucket: Bucket,
        bytes: &[u8],
        id: &ObjectId,
    ) -> Result<Option<Place>, IndexDamaged> {
        let entries = self.entries_in(bucket, bytes)?;
        let wanted = id.as_bytes();
        if wanted.len() > self.id_width {
            return Ok(None);
        }
        let begin = u64_at(wanted, 0);
        let mut same = entries
            .chunks_exact(self.id_width + ENTRY_FIXED_BYTES)
            // Most differ in the first bytes, which are a number in a register.
            .filter(|entry| u64_at(entry, 0) == begin && entry[..wanted.len()] == *wanted);
        same.find_map(|entry| match self.entry(entry) {
            Some((known, place)) => (known == *id).then_some(Ok(place)),
            None => Some(Err(IndexDamaged)),
        })
        .transpose()
    }

    /// All entries of a bucket.
    pub(crate) fn all(&self, bucket: Bucket, bytes: &[u8]) -> Result<Vec<Entry>, IndexDamaged> {
        let entries = self.entries_in(bucket, bytes)?;
        let entries = entries.chunks_exact(self.id_width + ENTRY_FIXED_BYTES);
        entries.map(|entry| self.entry(entry).ok_or(IndexDamaged)).collect()
    }

    /// A bucket's entries without their checksum, which holds.
    fn entries_in<'a>(&self, bucket: Bucket, bytes: &'a [u8]) -> Result<&'a [u8], IndexDamaged> {
        if bytes.len() != bucket.piece.len {
            return Err(IndexDamaged);
        }
        let (entries, crc) = bytes.split_at(bytes.len() - CRC_BYTES);
        match u32_at(crc, 0) == bucket_crc(self.crc, bucket.number, entries) {
            true => Ok(entries),
            false => Err(IndexDamaged),
        }
    }

    fn entry(&self, entry: &[u8]) -> Option<Entry> {
        let (padded, rest) = entry.split_at(self.id_width);
        let (offset, number, what) = (u32_at(rest, 0), u32_at(rest, 4), rest[8]);
        let id = id_from_padded(padded, algorithm_from_byte(what & !TOMBSTONE)?)?;
        let place = match what & TOMBSTONE {
            0 if number > DATA_BYTES_MAX => return None,
            0 => Place::Object { offset, stored: number },
            _ => Place::Tombstone { offset, victim: number },
        };
        Some((id, place))
    }
}

impl Directory {
    /// Bytes that it takes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.starts.bytes().len() + self.filter.bytes().len()
    }

    /// Whether the id may be there; `false` is certain.
    pub(crate) fn may_have(&self, id: &ObjectId) -> bool {
        self.filter.may_have(Key::of(id))
    }

    /// What the file has at [`IndexHead::starts_piece`].
    pub(crate) fn starts(&self, numbers: &RangeInclusive<usize>) -> &[u8] {
        self.starts.of_buckets(numbers)
    }

    /// How many entries these buckets have; `None` when no writer made the file.
    pub(crate) fn entries(&self, numbers: &RangeInclusive<usize>) -> Option<u64> {
        let entries = self.starts.spread().entries_in(numbers, self.starts(numbers))?;
        Some(u64::from(entries.end - entries.start))
    }
}
