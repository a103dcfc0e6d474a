//! Accounts: what a segment holds, what it made garbage elsewhere, and what was dropped from it.
//!
//! ```text
//! accounts   4 kills | held | settled | kills times (4 victim | tally)
//! tally      4 records | 8 bytes of whole records | 8 bytes of objects
//! block      accounts | 4 crc of them: behind the header of a compacted segment
//! ```
//!
//! Invariant: over all segments, the live records are those held, less those killed, plus
//! those settled. A kill is counted with the tombstone's segment under the number of the
//! segment that had the record, and stays when the tombstone is dropped; what is settled is
//! counted with the segment that compaction made, and stays when it is rewritten. So the
//! sum is right after any row of deletions and compactions, and none must look at another.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

use bytes::{BufMut, Bytes, BytesMut};

use super::{u32_at, u64_at};

const TALLY_BYTES: usize = 4 + 8 + 8;
const KILL_BYTES: usize = 4 + TALLY_BYTES;
/// Bytes of accounts without kills.
pub(crate) const ACCOUNTS_BYTES_FIXED: usize = 4 + 2 * TALLY_BYTES;

/// So many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Their number.
    pub(crate) records: u64,
    /// Bytes of the records in their segments.
    pub(crate) bytes: u64,
    /// Bytes of the objects they hold.
    pub(crate) payload: u64,
}

impl Tally {
    /// One record of so many bytes, of an object of so many.
    pub(crate) fn one(bytes: u64, payload: u64) -> Self {
        Tally { records: 1, bytes, payload }
    }

    fn parse(bytes: &[u8]) -> Self {
        let (records, rest) = (u32_at(bytes, 0), &bytes[4..]);
        Tally { records: records.into(), bytes: u64_at(rest, 0), payload: u64_at(rest, 8) }
    }

    fn write(&self, out: &mut impl BufMut) {
        // A segment has fewer, unless what it was made from was damaged.
        out.put_u32_le(u32::try_from(self.records).unwrap_or(u32::MAX));
        out.put_u64_le(self.bytes);
        out.put_u64_le(self.payload);
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        // Saturating, because the numbers may come from a file.
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.payload = self.payload.saturating_add(other.payload);
    }
}

impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Tally) {
        self.records = self.records.saturating_sub(other.records);
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.payload = self.payload.saturating_sub(other.payload);
    }
}

/// The accounts of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    /// Objects in it, dead ones included.
    pub(crate) held: Tally,
    /// Dead records that compaction dropped on the way to it.
    pub(crate) settled: Tally,
    /// By the number of the segment that had them: records that its tombstones killed.
    pub(crate) kills: BTreeMap<u32, Tally>,
}

impl Accounts {
    /// Segments that one segment's tombstones can kill in.
    pub(crate) const KILLS_MAX: usize = 1 << 20;

    /// Bytes of accounts with so many kills.
    pub(crate) fn len(kills: usize) -> usize {
        ACCOUNTS_BYTES_FIXED + kills * KILL_BYTES
    }

    /// The number of kills in the first bytes of accounts.
    pub(crate) fn kills_in(prefix: &[u8]) -> usize {
        u32_at(prefix, 0) as usize
    }

    /// Takes what another segment's accounts say.
    pub(crate) fn absorb(&mut self, other: &Accounts) {
        self.held += other.held;
        self.settled += other.settled;
        for (victim, tally) in &other.kills {
            *self.kills.entry(*victim).or_default() += *tally;
        }
    }

    /// Reads accounts and returns what follows them.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let fixed = bytes.get(..ACCOUNTS_BYTES_FIXED)?;
        let count = Self::kills_in(fixed);
        let (held, settled) = (Tally::parse(&fixed[4..]), Tally::parse(&fixed[4 + TALLY_BYTES..]));
        if count > Self::KILLS_MAX {
            return None;
        }
        let (kills, rest) = bytes[ACCOUNTS_BYTES_FIXED..].split_at_checked(count * KILL_BYTES)?;
        let kills =
            kills.chunks_exact(KILL_BYTES).map(|kill| (u32_at(kill, 0), Tally::parse(&kill[4..])));
        Some((Accounts { held, settled, kills: kills.collect() }, rest))
    }

    /// Appends the accounts.
    ///
    /// # Panics
    /// With more than [`Accounts::KILLS_MAX`] kills.
    pub(crate) fn write(&self, out: &mut impl BufMut) {
        assert!(self.kills.len() <= Self::KILLS_MAX, "segments are fewer");
        out.put_u32_le(self.kills.len() as u32);
        self.held.write(out);
        self.settled.write(out);
        for (victim, tally) in &self.kills {
            out.put_u32_le(*victim);
            tally.write(out);
        }
    }

    /// Length of the block that begins with these bytes.
    pub(crate) fn block_len(prefix: &[u8]) -> Option<usize> {
        let prefix = prefix.get(..ACCOUNTS_BYTES_FIXED)?;
        let kills = Self::kills_in(prefix);
        (kills <= Self::KILLS_MAX).then(|| Self::len(kills) + 4)
    }

    /// The accounts with their checksum.
    pub(crate) fn to_block(&self) -> Bytes {
        let mut block = BytesMut::with_capacity(Self::len(self.kills.len()) + 4);
        self.write(&mut block);
        let crc = crc32c::crc32c(&block);
        block.put_u32_le(crc);
        block.freeze()
    }

    /// Reads a block.
    pub(crate) fn parse_block(block: &[u8]) -> Option<Self> {
        let (accounts, crc) = block.split_at_checked(block.len().checked_sub(4)?)?;
        if u32_at(crc, 0) != crc32c::crc32c(accounts) {
            return None;
        }
        let (accounts, rest) = Self::parse(accounts)?;
        rest.is_empty().then_some(accounts)
    }
}
