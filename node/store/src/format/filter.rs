//! Binary fuse filter: what an index can say without a read, that an id is none of its own.
//!
//! A binary fuse filter over three windows (Graf and Lemire, "Binary Fuse Filters: Fast and
//! Smaller Than Xor Filters", 2022). Each id has a fingerprint, and three slots in windows
//! that follow one another; it may be there when the slots' exclusive or is the fingerprint.
//! For what it takes in memory it lets through some twenty times fewer absent ids than a Bloom
//! filter whose blocks are cache lines, so that a get with dozens of segments to ask still
//! reads one index; in turn it takes three cache lines, and all ids must be known when it is
//! made, as those of a sealed segment are.
//!
//! ```text
//! slots      13 bits each, one after another from the lowest bit of the first byte on
//! padding    3 zeros, so that a slot can be read as four bytes
//! ```

use bytes::Bytes;
use gitstratum_core::object::ObjectId;

use super::{u32_at, u64_at};

/// One absent id in 8,192 passes.
const SLOT_BITS: usize = 13;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
/// So that four bytes can be read where a slot begins.
const PADDING_BYTES: usize = 3;
/// The largest window there is a use for.
const WINDOW_BITS_MAX: u8 = 18;
/// Hash functions that are tried. Nearly always the first will do.
const ATTEMPTS: u32 = 64;

/// The part of an id that filters look at: the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    /// Those of a segment's ids, ascending and each once.
    pub(crate) fn all<'a>(ids: impl Iterator<Item = &'a ObjectId>) -> Vec<Self> {
        let mut keys: Vec<Key> = ids.map(Key::of).collect();
        keys.sort_unstable();
        // Two that are the same could never be told their places.
        keys.dedup();
        keys
    }

    /// That of an id.
    pub(crate) fn of(id: &ObjectId) -> Self {
        // Other bits than those that tell its bucket.
        Key(u64_at(id.as_bytes(), 8))
    }
}

/// What must be known of a filter to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// A window has two to this power slots.
    pub(crate) window_bits: u8,
    /// Which hash function it was made with.
    pub(crate) seed: u32,
    /// Windows in which an id's first slot can be; two more follow. Without any, every id
    /// passes.
    pub(crate) windows: u32,
}

impl Shape {
    /// Passes every id, and has no bytes.
    const OPEN: Shape = Shape { window_bits: 0, seed: 0, windows: 0 };

    /// The shape in which so many keys find their places, nearly always; the sizes are those
    /// of the paper.
    fn of(keys: usize) -> Self {
        if keys == 0 {
            return Shape::OPEN;
        }
        let many = (keys as f64).max(2.0);
        let window_bits = (many.ln() / 3.33_f64.ln() + 2.25).floor() as u8;
        let window_bits = window_bits.min(WINDOW_BITS_MAX);
        let slots_per_key = (0.875 + 0.25 * 1_000_000_f64.ln() / many.ln()).max(1.125);
        let windows = (many * slots_per_key) as usize >> window_bits;
        // As near to that as whole windows come.
        let windows = windows.saturating_sub(1).max(1) as u32;
        Shape { window_bits, seed: 0, windows }
    }

    /// Whether a writer makes such a filter for at most so many ids; anything else would only
    /// ask for memory.
    pub(crate) fn is_sane(&self, entries: u32) -> bool {
        let largest = Shape::of(entries as usize);
        self.window_bits <= largest.window_bits && self.slots() <= largest.slots()
    }

    fn slots(&self) -> usize {
        match self.windows {
            0 => 0,
            windows => (windows as usize + 2) << self.window_bits,
        }
    }

    /// Bytes of the filter in the file, and in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self.slots() {
            0 => 0,
            slots => (slots * SLOT_BITS).div_ceil(8) + PADDING_BYTES,
        }
    }

    /// The hash of a key: bits of it tell the slots, others the fingerprint.
    fn hash(&self, key: Key) -> u64 {
        // The last steps of MurmurHash3, behind an odd number for each seed.
        let mut hash = key.0 ^ u64::from(self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }

    /// The three slots of a hash, each in its own window.
    #[inline]
    fn slots_of(&self, hash: u64) -> [usize; 3] {
        let window = 1_usize << self.window_bits;
        let range = (self.windows as usize) << self.window_bits;
        let first = ((u128::from(hash) * range as u128) >> 64) as usize;
        let within = |bits: u64| bits as usize & (window - 1);
        [first, (first + window) ^ within(hash >> 18), (first + 2 * window) ^ within(hash)]
    }
}

/// A filter, in the bytes that it has in the file.
#[derive(Debug)]
pub(crate) struct Filter {
    shape: Shape,
    bytes: Bytes,
}

impl Filter {
    /// The one that lets these keys through, which ascend and are there once each.
    pub(crate) fn of(keys: &[Key]) -> Self {
        // Whoever grinds ids that share their slots would have to know all others of the
        // segment.
        let mixed =
            keys.iter().fold(0, |crc, key| crc32c::crc32c_append(crc, &key.0.to_le_bytes()));
        let seeds = (0..ATTEMPTS).map(|attempt| mixed.wrapping_add(attempt));
        let mut shapes = seeds.map(|seed| Shape { seed, ..Shape::of(keys.len()) });
        let made = shapes.find_map(|shape| Some((shape, fill(shape, keys)?)));
        let (shape, bytes) = made.unwrap_or((Shape::OPEN, Vec::new()));
        Filter::parse(shape, bytes.into())
    }

    /// Reads one from its bytes.
    ///
    /// # Panics
    /// When these are not as many as [`Shape::bytes`].
    pub(crate) fn parse(shape: Shape, bytes: Bytes) -> Self {
        assert_eq!(bytes.len(), shape.bytes(), "a filter of another length");
        Filter { shape, bytes }
    }

    /// What must be known to read it.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Its bytes in the file.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether there are keys that it does not let through.
    fn stops_any(&self) -> bool {
        self.shape.windows > 0
    }

    /// Whether it lets the key through: always when it was made of it.
    #[inline]
    pub(crate) fn may_have(&self, key: Key) -> bool {
        if !self.stops_any() {
            return true;
        }
        let hash = self.shape.hash(key);
        let [first, second, third] = self.shape.slots_of(hash);
        let slot = |at| slot_at(&self.bytes, at);
        slot(first) ^ slot(second) ^ slot(third) == fingerprint(hash)
    }
}

fn fingerprint(hash: u64) -> u16 {
    ((hash ^ (hash >> 32)) & SLOT_MASK) as u16
}

fn slot_at(filter: &[u8], slot: usize) -> u16 {
    let bit = slot * SLOT_BITS;
    ((u64::from(u32_at(filter, bit / 8)) >> (bit % 8)) & SLOT_MASK) as u16
}

/// What the slots of a filter of this shape hold, packed; `None` when the keys do not find
/// their places in it.
pub(super) fn fill(shape: Shape, keys: &[Key]) -> Option<Vec<u8>> {
    /// What is left in a slot: how many hashes, and their exclusive or.
    #[derive(Clone, Default)]
    struct Slot {
        hashes: u64,
        count: u32,
    }
    let mut slots = vec![Slot::default(); shape.slots()];
    for key in keys {
        let hash = shape.hash(*key);
        for slot in shape.slots_of(hash) {
            slots[slot].hashes ^= hash;
            slots[slot].count += 1;
        }
    }
    // Whoever is alone in a slot may decide what that holds once all others are placed: it is
    // taken out, which leaves others alone.
    let mut alone: Vec<usize> = (0..slots.len()).filter(|slot| slots[*slot].count == 1).collect();
    let mut taken = Vec::with_capacity(keys.len());
    while let Some(slot) = alone.pop() {
        if slots[slot].count != 1 {
            continue;
        }
        let hash = slots[slot].hashes;
        taken.push((hash, slot));
        for other in shape.slots_of(hash) {
            slots[other].hashes ^= hash;
            slots[other].count -= 1;
            if slots[other].count == 1 {
                alone.push(other);
            }
        }
    }
    if taken.len() < keys.len() {
        return None;
    }
    let mut values = vec![0_u16; shape.slots()];
    for (hash, slot) in taken.into_iter().rev() {
        // Its own is still zero.
        let others = shape.slots_of(hash).map(|slot| values[slot]);
        values[slot] = fingerprint(hash) ^ others[0] ^ others[1] ^ others[2];
    }
    Some(pack(&values, shape.bytes()))
}

fn pack(values: &[u16], bytes: usize) -> Vec<u8> {
    let mut packed = Vec::with_capacity(bytes);
    let (mut waiting, mut bits) = (0_u32, 0);
    for value in values {
        waiting |= u32::from(*value) << bits;
        bits += SLOT_BITS;
        while bits >= 8 {
            packed.push(waiting as u8);
            waiting >>= 8;
            bits -= 8;
        }
    }
    packed.push(waiting as u8);
    packed.resize(bytes, 0);
    packed
}
