//! Where each section of a pack index begins, and how its numbers are written.

use gitstratum_core::object::{HashAlgorithm, Kind};

use super::MetaError;

pub(super) const MAGIC: [u8; 4] = *b"GSPI";
pub(super) const FORMAT: u8 = 1;
pub(super) const HEADER_BYTES: usize = 48;
pub(super) const OFFSET_BYTES: usize = 5;
pub(super) const COMMIT_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 9;
const CHUNK_ID_BYTES: u64 = 32;
pub(super) const CHECKSUM_BYTES: usize = 4;
/// What five bytes hold.
pub(super) const U40_MAX: u64 = (1 << 40) - 1;
/// The base of what is no delta.
pub(super) const NO_BASE: u32 = u32::MAX;

/// Flags: the kind in the two lowest bits, then the form, then whether it was appended.
pub(super) const FORM_SHIFT: u8 = 2;
pub(super) const FORM_OFS: u8 = 1;
pub(super) const FORM_REF: u8 = 2;
pub(super) const APPENDED: u8 = 1 << 4;
pub(super) const FLAGS_ALL: u8 = (1 << 5) - 1;

/// How many rows each section has, and what else the header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) objects: u32,
    pub(super) commits: u32,
    pub(super) parents: u32,
    pub(super) tags: u32,
    pub(super) outside: u32,
    pub(super) garbage: u32,
    pub(super) chunks: u32,
    pub(super) chunk_bytes: u32,
    pub(super) body_bytes: u64,
}

impl Counts {
    pub(super) fn write_header(&self, algorithm: HashAlgorithm, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        let hash = match algorithm {
            HashAlgorithm::Sha1 => 1,
            HashAlgorithm::Sha256 => 2,
        };
        out.extend_from_slice(&[FORMAT, hash, 0, 0]);
        for count in [
            self.objects,
            self.commits,
            self.parents,
            self.tags,
            self.outside,
            self.garbage,
            self.chunks,
            self.chunk_bytes,
        ] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
    }

    /// Reads a header from bytes of which there are enough.
    pub(super) fn read_header(bytes: &[u8]) -> Result<(HashAlgorithm, Self), MetaError> {
        let algorithm = match bytes[5] {
            1 => HashAlgorithm::Sha1,
            2 => HashAlgorithm::Sha256,
            _ => return Err(MetaError::Invalid("an unknown hash")),
        };
        if bytes[6..8] != [0, 0] {
            return Err(MetaError::Invalid("bytes that should be zero"));
        }
        let count = |row: usize| u32_at(bytes, 8 + 4 * row);
        let counts = Counts {
            objects: count(0),
            commits: count(1),
            parents: count(2),
            tags: count(3),
            outside: count(4),
            garbage: count(5),
            chunks: count(6),
            chunk_bytes: count(7),
            body_bytes: u64_at(bytes, 40),
        };
        Ok((algorithm, counts))
    }
}

/// Where sections begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) ids: usize,
    pub(super) offsets: usize,
    pub(super) sizes: usize,
    pub(super) crcs: usize,
    pub(super) flags: usize,
    pub(super) bases: usize,
    pub(super) order: usize,
    pub(super) outside: usize,
    pub(super) garbage: usize,
    pub(super) commits: usize,
    pub(super) parents: usize,
    pub(super) tags: usize,
    pub(super) chunks: usize,
    pub(super) checksum: usize,
}

impl Layout {
    /// The layout of an index with these counts, if it has `actual` bytes. Counts are believed only
    /// if they come to what is there.
    pub(super) fn new(
        algorithm: HashAlgorithm,
        counts: &Counts,
        actual: usize,
    ) -> Result<Self, MetaError> {
        let objects = u64::from(counts.objects);
        let id_len = algorithm.id_len() as u64;
        let five = OFFSET_BYTES as u64;
        let lengths = [
            objects * id_len,
            objects * five,
            objects * five,
            objects * 4,
            objects,
            objects * 4,
            objects * 4,
            u64::from(counts.outside) * id_len,
            u64::from(counts.garbage) * 2 * five,
            u64::from(counts.commits) * COMMIT_BYTES as u64,
            u64::from(counts.parents) * 4,
            u64::from(counts.tags) * TAG_BYTES as u64,
            u64::from(counts.chunks) * CHUNK_ID_BYTES,
        ];
        let expected = (HEADER_BYTES + CHECKSUM_BYTES) as u64 + lengths.iter().sum::<u64>();
        if expected != actual as u64 {
            return Err(MetaError::Length { expected, actual: actual as u64 });
        }
        let mut begin = HEADER_BYTES;
        let begins = lengths.map(|len| {
            let this = begin;
            begin += len as usize;
            this
        });
        let [
            ids,
            offsets,
            sizes,
            crcs,
            flags,
            bases,
            order,
            outside,
            garbage,
            commits,
            parents,
            tags,
            chunks,
        ] = begins;
        Ok(Layout {
            ids,
            offsets,
            sizes,
            crcs,
            flags,
            bases,
            order,
            outside,
            garbage,
            commits,
            parents,
            tags,
            chunks,
            checksum: begin,
        })
    }
}

pub(super) fn kind_code(kind: Kind) -> Result<u8, MetaError> {
    match kind {
        Kind::Blob => Ok(0),
        Kind::Tree => Ok(1),
        Kind::Commit => Ok(2),
        Kind::Tag => Ok(3),
        Kind::Chunk => Err(MetaError::Invalid("a chunk among objects of Git")),
    }
}

/// The kind that the two lowest bits say.
pub(super) fn kind_of(flags: u8) -> Kind {
    match flags & 3 {
        0 => Kind::Blob,
        1 => Kind::Tree,
        2 => Kind::Commit,
        _ => Kind::Tag,
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[at..at + N]);
    number
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

pub(super) fn u40_at(bytes: &[u8], at: usize) -> u64 {
    let [a, b, c, d, e] = bytes_at(bytes, at);
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}

/// Appends a number in five bytes.
pub(super) fn push_u40(
    number: u64,
    what: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), MetaError> {
    if number > U40_MAX {
        return Err(MetaError::TooLarge(what));
    }
    out.extend_from_slice(&number.to_le_bytes()[..OFFSET_BYTES]);
    Ok(())
}
