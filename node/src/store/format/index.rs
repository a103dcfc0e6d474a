//! The index file of a sealed segment: its records sorted by id, and what is needed to
//! find one with a single read.
//!
//! ```text
//! head       8 magic "GSTRIDX\n" | 4 version | 12 segment id | 8 segment's length
//!            | 4 entries | 1 id width | 1 bucket bits | 2 zero | 4 filter blocks | accounts
//!            (account.rs) | 4 first entry of each bucket, and the number of entries
//!            | 4 crc of each bucket's entries | 32 each filter block | 4 crc of the head
//! entries    id, padded to the id width | 4 offset | 4 stored, or victim | 1 what
//! ```
//!
//! Ids are hashes, so their first bits divide them evenly: bucket *b* has the ids whose
//! first `bucket bits` bits are *b*. That is an interpolation search whose guess is always
//! right, for four bytes a bucket. The filter is a split block Bloom filter (Putze, Sanders
//! and Singler 2007, in the form of Apache Parquet) over other bits of the id: a block is
//! half a cache line, so an absent id costs one access.
//!
//! The file adds nothing to its segment: one that does not hold is made again from it.

use bytes::{BufMut, Bytes, BytesMut};

use super::account::{ACCOUNTS_BYTES_FIXED, Accounts};
use super::segment::SegmentId;
use super::{HeaderError, algorithm_from_byte, algorithm_to_byte, id_from_padded, u32_at, u64_at};
use crate::object::ObjectId;

/// The version this code writes. It reads version 1 too, whose filters are smaller.
const VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"GSTRIDX\n";
const FIXED_BYTES: usize = 8 + 4 + 12 + 8 + 4 + 4 + 4;
/// A bucket has this many entries on average, or up to twice as many.
const BUCKET_ENTRIES: usize = 24;
/// With eight bits set per id, one absent id in four hundred passes.
const FILTER_BITS_PER_ENTRY: usize = 14;
/// In version 1: one in two hundred passes.
const FILTER_BITS_PER_ENTRY_1: usize = 12;
const BLOCK_BYTES: usize = 32;
/// Bytes of an entry beside the id.
const ENTRY_FIXED_BYTES: usize = 9;
const TOMBSTONE: u8 = 0x80;
/// Odd numbers that spread a hash over the eight words of a block; Parquet's.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Greatest number of entries: what a segment can have.
pub(in crate::store) const ENTRIES_MAX: u32 = 1 << 24;

/// What an index says of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Place {
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
pub(in crate::store) type Entry = (ObjectId, Place);

/// The part of an index file that is kept in memory.
#[derive(Debug)]
pub(in crate::store) struct IndexHead {
    /// Whose index.
    pub(in crate::store) segment: SegmentId,
    /// Length of the segment; one that differs was cut or is another.
    pub(in crate::store) segment_len: u64,
    /// What the segment holds and what it made garbage.
    pub(in crate::store) accounts: Accounts,
    id_width: usize,
    bucket_bits: u32,
    /// The head as it is in the file: what it says of buckets, and the filter, is read where
    /// it lies.
    raw: Bytes,
    /// Where the first entries of the buckets begin in `raw`.
    starts_at: usize,
    /// Where the checksums of their entries do.
    crcs_at: usize,
    /// Where the filter does.
    filter_at: usize,
    filter_blocks: usize,
}

/// An id that is looked for, with what each filter is asked: the same bits of every one.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Sought {
    /// The id.
    pub(in crate::store) id: ObjectId,
    /// Chooses the block of a filter, whatever the number of blocks.
    place: u32,
    masks: [u32; 8],
}

impl Sought {
    /// What is asked about this id.
    pub(in crate::store) fn new(id: &ObjectId) -> Self {
        let hash = filter_hash(id);
        Sought { id: *id, place: (hash >> 32) as u32, masks: filter_masks(hash) }
    }
}

/// A piece of the entries: read it, then give it to [`IndexHead::find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Bucket {
    number: usize,
    /// Where it begins in the file.
    pub(in crate::store) offset: u64,
    /// Its length in bytes.
    pub(in crate::store) len: usize,
}

/// The entries of a bucket are not those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct BucketDamaged;

/// Bytes before everything whose length varies; enough to know the length of the head.
pub(in crate::store) const INDEX_PREFIX_BYTES: usize = FIXED_BYTES + ACCOUNTS_BYTES_FIXED;

/// Length of the head whose first [`INDEX_PREFIX_BYTES`] bytes these are.
pub(in crate::store) fn head_len(prefix: &[u8]) -> Result<usize, HeaderError> {
    let prefix = prefix.get(..INDEX_PREFIX_BYTES).ok_or(HeaderError::Damaged)?;
    if prefix[..8] != MAGIC {
        return Err(HeaderError::Damaged);
    }
    let version = u32_at(prefix, 8);
    let filter_bits = filter_bits(version).ok_or(HeaderError::Version(version))?;
    let (entries, bits, blocks) = (u32_at(prefix, 32), u32::from(prefix[37]), u32_at(prefix, 40));
    let kills = Accounts::kills_in(&prefix[FIXED_BYTES..]);
    // What a writer makes; anything else would only ask for memory.
    if entries > ENTRIES_MAX
        || bits != bucket_bits(entries as usize)
        || blocks as usize != filter_blocks(entries as usize, filter_bits)
        || kills > Accounts::KILLS_MAX
    {
        return Err(HeaderError::Damaged);
    }
    let buckets = 1_usize << bits;
    Ok(FIXED_BYTES
        + Accounts::len(kills)
        + (2 * buckets + 1) * 4
        + blocks as usize * BLOCK_BYTES
        + 4)
}

fn bucket_bits(entries: usize) -> u32 {
    (entries / BUCKET_ENTRIES).max(1).ilog2()
}

/// Bits of the filter for each entry, in a version that this code reads.
fn filter_bits(version: u32) -> Option<usize> {
    match version {
        VERSION => Some(FILTER_BITS_PER_ENTRY),
        1 => Some(FILTER_BITS_PER_ENTRY_1),
        _ => None,
    }
}

fn filter_blocks(entries: usize, bits_per_entry: usize) -> usize {
    (entries * bits_per_entry).div_ceil(BLOCK_BYTES * 8).max(1)
}

fn bucket_of(id: &ObjectId, bits: u32) -> usize {
    bucket_at(id.prefix_u64(), bits)
}

fn bucket_at(position: u64, bits: u32) -> usize {
    // A shift by 64 is no shift at all in the processor, and an error here.
    let place = position.checked_shr(64 - bits).unwrap_or(0);
    usize::try_from(place).expect("a few bits")
}

fn filter_hash(id: &ObjectId) -> u64 {
    u64::from_le_bytes(id.as_bytes()[8..16].try_into().expect("eight bytes"))
}

fn filter_block(place: u32, blocks: usize) -> usize {
    // A filter has fewer blocks than an index has entries, which are few enough.
    ((u64::from(place) * blocks as u64) >> 32) as usize
}

fn filter_masks(hash: u64) -> [u32; 8] {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

impl IndexHead {
    /// Reads a head of the length that [`head_len`] told, from a file of `file_len` bytes.
    /// Keeps what it is given.
    pub(in crate::store) fn parse(raw: Bytes, file_len: u64) -> Result<Self, HeaderError> {
        let len = head_len(&raw)?;
        let head = raw.get(..len).ok_or(HeaderError::Damaged)?;
        if u32_at(head, len - 4) != crc32c::crc32c(&head[..len - 4]) {
            return Err(HeaderError::Damaged);
        }
        let segment = SegmentId::parse(&head[12..24]).ok_or(HeaderError::Damaged)?;
        let (entries, id_width) = (u32_at(head, 32), usize::from(head[36]));
        let bits = u32::from(head[37]);
        let (accounts, rest) =
            Accounts::parse(&head[FIXED_BYTES..len - 4]).ok_or(HeaderError::Damaged)?;
        let buckets = 1_usize << bits;
        let starts_at = len - 4 - rest.len();
        let crcs_at = starts_at + (buckets + 1) * 4;
        let filter_at = crcs_at + buckets * 4;
        let starts = head[starts_at..crcs_at].chunks_exact(4).map(|raw| u32_at(raw, 0));
        let sound = u32_at(head, starts_at) == 0
            && u32_at(head, crcs_at - 4) == entries
            && starts.is_sorted()
            && matches!(id_width, 20 | 32)
            && file_len == len as u64 + u64::from(entries) * (id_width + ENTRY_FIXED_BYTES) as u64;
        if !sound {
            return Err(HeaderError::Damaged);
        }
        Ok(IndexHead {
            segment,
            segment_len: u64_at(head, 24),
            accounts,
            id_width,
            bucket_bits: bits,
            starts_at,
            crcs_at,
            filter_at,
            filter_blocks: (len - 4 - filter_at) / BLOCK_BYTES,
            raw: raw.slice(..len),
        })
    }

    /// Number of a bucket's first entry; of all entries for the bucket after the last.
    fn start(&self, bucket: usize) -> u32 {
        u32_at(&self.raw, self.starts_at + bucket * 4)
    }

    fn crc(&self, bucket: usize) -> u32 {
        u32_at(&self.raw, self.crcs_at + bucket * 4)
    }

    fn bucket_count(&self) -> usize {
        1 << self.bucket_bits
    }

    /// Number of entries.
    pub(in crate::store) fn entries(&self) -> u32 {
        self.start(self.bucket_count())
    }

    /// Bytes that this head takes in memory.
    pub(in crate::store) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.raw.len()
    }

    /// Whether the id may be here; `false` when the filter knows that it is not.
    pub(in crate::store) fn may_have(&self, sought: &Sought) -> bool {
        let at = self.filter_at + filter_block(sought.place, self.filter_blocks) * BLOCK_BYTES;
        let words = self.raw[at..at + BLOCK_BYTES].chunks_exact(4).map(|raw| u32_at(raw, 0));
        // All eight words at once, without a branch for each.
        words.zip(&sought.masks).fold(0, |missing, (word, mask)| missing | (mask & !word)) == 0
    }

    /// The bucket that may have the id; `None` when the filter knows that none has.
    pub(in crate::store) fn bucket_for(&self, sought: &Sought) -> Option<Bucket> {
        self.may_have(sought).then(|| self.bucket(bucket_of(&sought.id, self.bucket_bits)))
    }

    /// All buckets, in the order of the ids.
    pub(in crate::store) fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        (0..self.bucket_count()).map(|number| self.bucket(number))
    }

    /// The buckets that may have ids at positions `first` to `last`, in the order of the ids.
    pub(in crate::store) fn buckets_between(
        &self,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = Bucket> + '_ {
        let numbers = self.numbers_between(first, last);
        numbers.map(|number| self.bucket(number))
    }

    /// How many entries those buckets have. Costs no read.
    pub(in crate::store) fn entries_between(&self, first: u64, last: u64) -> u64 {
        let numbers = self.numbers_between(first, last);
        u64::from(self.start(*numbers.end() + 1) - self.start(*numbers.start()))
    }

    fn numbers_between(&self, first: u64, last: u64) -> std::ops::RangeInclusive<usize> {
        bucket_at(first, self.bucket_bits)..=bucket_at(last, self.bucket_bits)
    }

    fn bucket(&self, number: usize) -> Bucket {
        let (from, to) = (u64::from(self.start(number)), u64::from(self.start(number + 1)));
        let width = (self.id_width + ENTRY_FIXED_BYTES) as u64;
        let len = usize::try_from((to - from) * width).expect("checked against the file's length");
        Bucket { number, offset: self.raw.len() as u64 + from * width, len }
    }

    /// Looks the id up among a bucket's bytes.
    pub(in crate::store) fn find(
        &self,
        bucket: Bucket,
        bytes: &[u8],
        id: &ObjectId,
    ) -> Result<Option<Place>, BucketDamaged> {
        self.check(bucket, bytes)?;
        let wanted = id.as_bytes();
        if wanted.len() > self.id_width {
            return Ok(None);
        }
        let entries = bytes.chunks_exact(self.id_width + ENTRY_FIXED_BYTES);
        let mut same = entries.filter(|entry| entry[..wanted.len()] == *wanted);
        same.find_map(|entry| match self.entry(entry) {
            Some((known, place)) => (known == *id).then_some(Ok(place)),
            None => Some(Err(BucketDamaged)),
        })
        .transpose()
    }

    /// All entries of a bucket.
    pub(in crate::store) fn all(
        &self,
        bucket: Bucket,
        bytes: &[u8],
    ) -> Result<Vec<Entry>, BucketDamaged> {
        self.check(bucket, bytes)?;
        let entries = bytes.chunks_exact(self.id_width + ENTRY_FIXED_BYTES);
        entries.map(|entry| self.entry(entry).ok_or(BucketDamaged)).collect()
    }

    fn check(&self, bucket: Bucket, bytes: &[u8]) -> Result<(), BucketDamaged> {
        match bytes.len() == bucket.len && crc32c::crc32c(bytes) == self.crc(bucket.number) {
            true => Ok(()),
            false => Err(BucketDamaged),
        }
    }

    fn entry(&self, entry: &[u8]) -> Option<Entry> {
        let (padded, rest) = entry.split_at(self.id_width);
        let (offset, number, what) = (u32_at(rest, 0), u32_at(rest, 4), rest[8]);
        let id = id_from_padded(padded, algorithm_from_byte(what & !TOMBSTONE)?)?;
        let place = match what & TOMBSTONE {
            0 => Place::Object { offset, stored: number },
            _ => Place::Tombstone { offset, victim: number },
        };
        Some((id, place))
    }
}

/// The index file of a segment with these entries, each id once, in any order.
///
/// # Panics
/// With more than [`ENTRIES_MAX`] entries.
pub(in crate::store) fn encode_index(
    segment: SegmentId,
    segment_len: u64,
    accounts: &Accounts,
    entries: Vec<Entry>,
) -> Vec<Bytes> {
    encode_version(VERSION, segment, segment_len, accounts, entries)
}

/// The same in a version that this code reads.
pub(super) fn encode_version(
    version: u32,
    segment: SegmentId,
    segment_len: u64,
    accounts: &Accounts,
    mut entries: Vec<Entry>,
) -> Vec<Bytes> {
    let filter_bits = filter_bits(version).expect("a version that is read");
    assert!(entries.len() <= ENTRIES_MAX as usize, "a segment is sealed long before");
    entries.sort_unstable_by_key(|(id, _)| *id);
    let id_width = entries.iter().map(|(id, _)| id.as_bytes().len()).max().unwrap_or(20);
    let bits = bucket_bits(entries.len());
    let (buckets, blocks) = (1_usize << bits, filter_blocks(entries.len(), filter_bits));
    let mut head = BytesMut::new();
    head.put_slice(&MAGIC);
    head.put_u32_le(version);
    head.put_slice(&segment.bytes());
    head.put_u64_le(segment_len);
    head.put_u32_le(u32::try_from(entries.len()).expect("asserted above"));
    head.put_u8(id_width as u8);
    head.put_u8(bits as u8);
    head.put_u16_le(0);
    head.put_u32_le(u32::try_from(blocks).expect("bounded by the entries"));
    accounts.write(&mut head);
    let mut body = BytesMut::with_capacity(entries.len() * (id_width + ENTRY_FIXED_BYTES));
    let mut filter = vec![[0_u32; 8]; blocks];
    let mut crcs = Vec::with_capacity(buckets);
    let mut place = 0;
    for bucket in 0..buckets {
        head.put_u32_le(place as u32);
        let begun = body.len();
        while let Some((id, entry)) =
            entries.get(place).filter(|(id, _)| bucket_of(id, bits) == bucket)
        {
            put_entry(&mut body, id_width, id, *entry);
            let Sought { place: at, masks, .. } = Sought::new(id);
            let block = &mut filter[filter_block(at, blocks)];
            block.iter_mut().zip(masks).for_each(|(word, mask)| *word |= mask);
            place += 1;
        }
        crcs.push(crc32c::crc32c(&body[begun..]));
    }
    assert_eq!(place, entries.len(), "every entry is in a bucket");
    head.put_u32_le(place as u32);
    crcs.into_iter().for_each(|crc| head.put_u32_le(crc));
    filter.iter().flatten().for_each(|word| head.put_u32_le(*word));
    head.put_u32_le(crc32c::crc32c(&head));
    vec![head.freeze(), body.freeze()]
}

fn put_entry(out: &mut BytesMut, id_width: usize, id: &ObjectId, place: Place) {
    let raw = id.as_bytes();
    out.put_slice(raw);
    out.put_bytes(0, id_width - raw.len());
    let algorithm = algorithm_to_byte(id.algorithm());
    let (offset, number, what) = match place {
        Place::Object { offset, stored } => (offset, stored, algorithm),
        Place::Tombstone { offset, victim } => (offset, victim, algorithm | TOMBSTONE),
    };
    out.put_u32_le(offset);
    out.put_u32_le(number);
    out.put_u8(what);
}
