//! Pack index format: what is kept of a pack beside its body.
//!
//! It answers where an object's entry is and what it builds on, what a commit's tree and parents are
//! and what a tag points to, without reading the body; and which chunks the body was cut into.
//!
//! Objects have *positions*: their places in the order of their entries, so that neighbours in the
//! body are neighbours here, and bitmaps over positions are dense. All numbers are little-endian.
//!
//! | section | a row | rows |
//! |---|---|---|
//! | header | magic, format, hash, counts of all sections, chunk size, body length: 48 bytes | 1 |
//! | ids | id | objects |
//! | offsets | 5 bytes | objects |
//! | sizes | 5 bytes | objects |
//! | checksums | CRC-32 of the entry, 4 bytes | objects |
//! | flags | kind, form of the entry, whether it was appended: 1 byte | objects |
//! | bases | position of a delta's base, or all ones: 4 bytes | objects |
//! | order | positions sorted by id: 4 bytes | objects |
//! | outside | ids that commits and tags name and the pack lacks, sorted | outside |
//! | garbage | offset and length of what no object has: 10 bytes | garbage |
//! | commits | position, tree, end of its parents, generation number: 4 bytes each; time: 8 bytes | commits |
//! | parents | 4 bytes | parents |
//! | tags | position, target: 4 bytes each; kind of the target: 1 byte | tags |
//! | chunks | id, 32 bytes | chunks |
//! | checksum | CRC-32C of everything before, 4 bytes | 1 |
//!
//! Trees, parents and targets are positions, or above them places among the outside ids. An entry
//! ends where the next one or garbage begins. For SHA-1 an object takes 43 bytes.

mod build;
mod check;
mod layout;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

pub use self::build::{MetaBuilder, generations};
use self::layout::{
    COMMIT_BYTES, Counts, FORM_SHIFT, Layout, NO_BASE, OFFSET_BYTES, TAG_BYTES, kind_of, u32_at,
    u40_at, u64_at,
};

/// Bytes that are no pack index, or what cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// They do not begin as one.
    #[error("these bytes are no pack index")]
    NotMeta,
    /// They are of a newer version.
    #[error("{}", NewerFormat::new("the index of a pack", .0, layout::FORMAT.into()))]
    Format(u8),
    /// They are cut off, or go on.
    #[error("the pack index has {actual} bytes, and should have {expected}")]
    Length {
        /// By what it says of itself.
        expected: u64,
        /// How many there are.
        actual: u64,
    },
    /// They are damaged.
    #[error("the pack index is corrupt: its checksum is wrong")]
    Checksum,
    /// They contradict themselves: whoever made them was wrong.
    #[error("the pack index contradicts itself: {0}")]
    Invalid(&'static str),
    /// A pack has more than can be said of one.
    #[error("a pack index cannot hold {0}")]
    TooLarge(&'static str),
}

/// How the entry of an object holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredForm {
    /// Whole.
    Whole,
    /// As a delta that names its base by distance.
    OfsDelta,
    /// As a delta that names its base by id.
    RefDelta,
}

/// An object of a stored pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaObject {
    /// Its id.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// Its size, uncompressed.
    pub size: u64,
    /// Where its entry begins in the body.
    pub offset: u64,
    /// Bytes of the entry, with its header.
    pub packed_len: u64,
    /// CRC-32 of these bytes.
    pub crc32: u32,
    /// How they hold it.
    pub form: StoredForm,
    /// The position of the object that a delta builds on. Following these ends.
    pub base: Option<u32>,
    /// Nobody pushed it with this pack: a delta builds on it.
    pub appended: bool,
}

/// An object that another one names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is in the pack.
    Inside(u32),
    /// It is not.
    Outside(ObjectId),
}

/// A commit of a stored pack.
#[derive(Clone, Copy, Debug)]
pub struct MetaCommit<'a> {
    meta: &'a PackMeta,
    row: usize,
}

/// The index of a stored pack, which was checked when it was decoded. Cloning shares it.
#[derive(Clone, Debug)]
pub struct PackMeta {
    bytes: Bytes,
    algorithm: HashAlgorithm,
    counts: Counts,
    layout: Layout,
}

impl PackMeta {
    /// The hash of the ids.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The encoded form.
    pub fn encoded(&self) -> &Bytes {
        &self.bytes
    }

    /// How many objects there are.
    pub fn len(&self) -> u32 {
        self.counts.objects
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the body.
    pub fn body_bytes(&self) -> u64 {
        self.counts.body_bytes
    }

    /// Bytes of the body that are of no object.
    pub fn garbage_bytes(&self) -> u64 {
        (0..self.counts.garbage as usize).map(|row| self.garbage(row).1).sum()
    }

    /// Bytes of a chunk, as whoever made the index said.
    pub fn chunk_bytes(&self) -> u32 {
        self.counts.chunk_bytes
    }

    /// The chunks of the body, as whoever made the index said.
    pub fn chunk_ids(&self) -> impl ExactSizeIterator<Item = [u8; 32]> + '_ {
        let (begin, end) = (self.layout.chunks, self.layout.checksum);
        self.bytes[begin..end].chunks_exact(32).map(|id| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(id);
            bytes
        })
    }

    fn id_bytes(&self, section: usize, row: u32) -> &[u8] {
        let len = self.algorithm.id_len();
        &self.bytes[section + row as usize * len..][..len]
    }

    fn read_id(&self, section: usize, row: u32) -> ObjectId {
        let bytes = self.id_bytes(section, row);
        ObjectId::from_bytes(bytes).expect("as long as the ids of its algorithm")
    }

    /// The id of the object at a position.
    ///
    /// # Panics
    /// As all that take a position, if there is none there.
    pub fn id(&self, position: u32) -> ObjectId {
        assert!(position < self.len(), "a position of the pack");
        self.read_id(self.layout.ids, position)
    }

    /// The position of an object.
    pub fn find(&self, id: &ObjectId) -> Option<u32> {
        if id.algorithm() != self.algorithm {
            return None;
        }
        let order = self.layout.order;
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let position = u32_at(&self.bytes, order + 4 * middle as usize);
            match self.id_bytes(self.layout.ids, position).cmp(id.as_bytes()) {
                std::cmp::Ordering::Equal => return Some(position),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Positions in the order of the ids.
    pub fn by_id(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        let order = self.layout.order;
        (0..self.len() as usize).map(move |place| u32_at(&self.bytes, order + 4 * place))
    }

    fn offset(&self, position: u32) -> u64 {
        u40_at(&self.bytes, self.layout.offsets + OFFSET_BYTES * position as usize)
    }

    fn flags(&self, position: u32) -> u8 {
        self.bytes[self.layout.flags + position as usize]
    }

    fn garbage(&self, row: usize) -> (u64, u64) {
        let at = self.layout.garbage + 2 * OFFSET_BYTES * row;
        (u40_at(&self.bytes, at), u40_at(&self.bytes, at + OFFSET_BYTES))
    }

    /// What the object at a position is.
    pub fn kind(&self, position: u32) -> Kind {
        assert!(position < self.len(), "a position of the pack");
        kind_of(self.flags(position))
    }

    /// The position of the base of the delta at a position.
    pub fn base(&self, position: u32) -> Option<u32> {
        assert!(position < self.len(), "a position of the pack");
        let base = u32_at(&self.bytes, self.layout.bases + 4 * position as usize);
        (base != NO_BASE).then_some(base)
    }

    /// The object at a position.
    pub fn object(&self, position: u32) -> MetaObject {
        let id = self.id(position);
        let row = position as usize;
        let offset = self.offset(position);
        let flags = self.flags(position);
        MetaObject {
            id,
            kind: kind_of(flags),
            size: u40_at(&self.bytes, self.layout.sizes + OFFSET_BYTES * row),
            offset,
            packed_len: self.end(position) - offset,
            crc32: u32_at(&self.bytes, self.layout.crcs + 4 * row),
            form: match flags >> FORM_SHIFT & 3 {
                0 => StoredForm::Whole,
                1 => StoredForm::OfsDelta,
                _ => StoredForm::RefDelta,
            },
            base: self.base(position),
            appended: flags & layout::APPENDED != 0,
        }
    }

    /// Where the entry at a position ends: where the next one begins, or garbage before that.
    fn end(&self, position: u32) -> u64 {
        let next = position + 1;
        let end = if next < self.len() { self.offset(next) } else { self.body_bytes() };
        let offset = self.offset(position);
        let rows = self.counts.garbage as usize;
        let row = partition_point(rows, |row| self.garbage(row).0 < offset);
        if row < rows { end.min(self.garbage(row).0) } else { end }
    }

    /// All objects in the order of their entries.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = MetaObject> + '_ {
        (0..self.len() as usize).map(|position| self.object(position as u32))
    }

    /// The position of the object whose entry begins at an offset.
    pub fn at_offset(&self, offset: u64) -> Option<u32> {
        let rows = self.len() as usize;
        let position = partition_point(rows, |row| self.offset(row as u32) < offset) as u32;
        (position < self.len() && self.offset(position) == offset).then_some(position)
    }

    fn link(&self, at: usize) -> Link {
        let link = u32_at(&self.bytes, at);
        match link.checked_sub(self.len()) {
            None => Link::Inside(link),
            Some(row) => Link::Outside(self.read_id(self.layout.outside, row)),
        }
    }

    /// The id of an object that is named.
    pub fn id_of(&self, link: Link) -> ObjectId {
        match link {
            Link::Inside(position) => self.id(position),
            Link::Outside(id) => id,
        }
    }

    /// All commits in the order of their entries.
    pub fn commits(&self) -> impl ExactSizeIterator<Item = MetaCommit<'_>> {
        (0..self.counts.commits as usize).map(|row| MetaCommit { meta: self, row })
    }

    /// The commit at a position, if it is one.
    pub fn commit(&self, position: u32) -> Option<MetaCommit<'_>> {
        let rows = self.counts.commits as usize;
        let commit = |row| MetaCommit { meta: self, row };
        let row = partition_point(rows, |row| commit(row).position() < position);
        (row < rows && commit(row).position() == position).then(|| commit(row))
    }

    /// What the annotated tag at a position points to, and what that is said to be.
    pub fn tag(&self, position: u32) -> Option<(Link, Kind)> {
        let rows = self.counts.tags as usize;
        let at = |row: usize| self.layout.tags + TAG_BYTES * row;
        let row = partition_point(rows, |row| u32_at(&self.bytes, at(row)) < position);
        (row < rows && u32_at(&self.bytes, at(row)) == position)
            .then(|| (self.link(at(row) + 4), kind_of(self.bytes[at(row) + 8])))
    }
}

impl<'a> MetaCommit<'a> {
    fn at(&self) -> usize {
        self.meta.layout.commits + COMMIT_BYTES * self.row
    }

    /// Its position.
    pub fn position(&self) -> u32 {
        u32_at(&self.meta.bytes, self.at())
    }

    /// Its id.
    pub fn id(&self) -> ObjectId {
        self.meta.id(self.position())
    }

    /// Its tree.
    pub fn tree(&self) -> Link {
        self.meta.link(self.at() + 4)
    }

    /// Its parents, in order.
    pub fn parents(&self) -> impl ExactSizeIterator<Item = Link> + use<'a> {
        let meta = self.meta;
        let end = u32_at(&meta.bytes, self.at() + 8) as usize;
        let begin = match self.row {
            0 => 0,
            row => u32_at(&meta.bytes, meta.layout.commits + COMMIT_BYTES * (row - 1) + 8) as usize,
        };
        (begin..end).map(move |row| meta.link(meta.layout.parents + 4 * row))
    }

    /// One more than the greatest of its parents, 1 without parents; 0 where that is not known.
    pub fn generation(&self) -> u32 {
        u32_at(&self.meta.bytes, self.at() + 12)
    }

    /// Seconds since 1970.
    pub fn committed_at(&self) -> u64 {
        u64_at(&self.meta.bytes, self.at() + 16)
    }
}

/// How many rows, of which the first satisfy `is_before`, do so.
fn partition_point(rows: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
