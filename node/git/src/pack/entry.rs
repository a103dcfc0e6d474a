//! Pack entry headers.
//!
//! An entry is a header, then zlib data. The header has the type in three bits, the inflated size as
//! a number of variable length, and of a delta what its base is: so many bytes before (`OFS_DELTA`,
//! in git's biased form of such numbers), or an object id (`REF_DELTA`).

#[cfg(test)]
mod tests;

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::PackError;

/// Bytes of a header at most: ten of the size, then an id of the longer hash.
pub const HEADER_BYTES_MAX: usize = 10 + 32;

const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The object itself.
    Whole(Kind),
    /// A delta to an earlier entry.
    OfsDelta {
        /// The offset of that entry in the body.
        base: u64,
    },
    /// A delta to an object that is anywhere.
    RefDelta {
        /// Its id.
        base: ObjectId,
    },
}

/// The header of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// What the entry holds.
    pub kind: EntryKind,
    /// What its data inflates to: the object, or the delta.
    pub size: u64,
    /// Bytes of the header.
    pub len: usize,
}

impl EntryHeader {
    /// Reads the header that `bytes` begin with, of the entry at `offset` of the body. Nothing if it
    /// is longer than they are.
    ///
    /// # Errors
    /// [`PackError::EntryType`], [`PackError::EntryNumber`], or [`PackError::BaseOffset`] for a base
    /// before the body or the delta itself.
    pub fn parse(
        algorithm: HashAlgorithm,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Option<Self>, PackError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let code = first >> 4 & 7;
        let kind = match code {
            1 => Some(Kind::Commit),
            2 => Some(Kind::Tree),
            3 => Some(Kind::Blob),
            4 => Some(Kind::Tag),
            OFS_DELTA | REF_DELTA => None,
            _ => return Err(PackError::EntryType { offset, code }),
        };
        let Some((size, len)) = parse_size(offset, bytes)? else { return Ok(None) };
        let rest = &bytes[len..];
        let (kind, more) = match kind {
            Some(kind) => (EntryKind::Whole(kind), 0),
            None if code == OFS_DELTA => {
                let Some((distance, more)) = parse_distance(offset, rest)? else { return Ok(None) };
                if distance == 0 || distance > offset {
                    return Err(PackError::BaseOffset { offset, distance });
                }
                (EntryKind::OfsDelta { base: offset - distance }, more)
            }
            None => {
                let Some(id) = rest.get(..algorithm.id_len()) else { return Ok(None) };
                let base = ObjectId::from_bytes(id).expect("as long as the ids of its algorithm");
                (EntryKind::RefDelta { base }, id.len())
            }
        };
        Ok(Some(EntryHeader { kind, size, len: len + more }))
    }
}

/// The size that a header begins with, and how many bytes it takes.
fn parse_size(offset: u64, bytes: &[u8]) -> Result<Option<(u64, usize)>, PackError> {
    let mut size = u64::from(bytes[0] & 15);
    let mut shift = 4;
    let mut last = bytes[0];
    let mut len = 1;
    while last & 0x80 != 0 {
        let Some(&byte) = bytes.get(len) else { return Ok(None) };
        let bits = u64::from(byte & 0x7f);
        if shift >= 64 || bits << shift >> shift != bits {
            return Err(PackError::EntryNumber { offset });
        }
        size |= bits << shift;
        shift += 7;
        last = byte;
        len += 1;
    }
    Ok(Some((size, len)))
}

/// The distance to the base of an `OFS_DELTA`, and how many bytes it takes. Each byte but the last
/// stands for one more than its bits say, so that no distance has two forms.
fn parse_distance(offset: u64, bytes: &[u8]) -> Result<Option<(u64, usize)>, PackError> {
    let mut distance = 0u64;
    for (at, &byte) in bytes.iter().enumerate() {
        distance |= u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(Some((distance, at + 1)));
        }
        distance += 1;
        if distance >> 57 != 0 {
            return Err(PackError::EntryNumber { offset });
        }
        distance <<= 7;
    }
    Ok(None)
}

impl EntryKind {
    /// Appends the header of an entry of this kind at `offset`, whose data inflates to `size` bytes.
    ///
    /// # Panics
    /// When the base of an `OFS_DELTA` is not before `offset`, or for a chunk, which is no object of
    /// Git.
    pub fn write_header(&self, offset: u64, size: u64, out: &mut Vec<u8>) {
        let code = match self {
            EntryKind::Whole(Kind::Commit) => 1,
            EntryKind::Whole(Kind::Tree) => 2,
            EntryKind::Whole(Kind::Blob) => 3,
            EntryKind::Whole(Kind::Tag) => 4,
            EntryKind::Whole(Kind::Chunk) => panic!("a chunk is no object of Git"),
            EntryKind::OfsDelta { .. } => OFS_DELTA,
            EntryKind::RefDelta { .. } => REF_DELTA,
        };
        let mut byte = code << 4 | (size & 15) as u8;
        let mut rest = size >> 4;
        while rest != 0 {
            out.push(byte | 0x80);
            byte = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        out.push(byte);
        match self {
            EntryKind::Whole(_) => {}
            EntryKind::RefDelta { base } => out.extend_from_slice(base.as_bytes()),
            EntryKind::OfsDelta { base } => {
                assert!(*base < offset, "the base of a delta by distance lies before it");
                write_distance(offset - base, out);
            }
        }
    }
}

fn write_distance(distance: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let mut at = bytes.len() - 1;
    bytes[at] = (distance & 0x7f) as u8;
    let mut rest = distance >> 7;
    while rest != 0 {
        rest -= 1;
        at -= 1;
        bytes[at] = 0x80 | (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.extend_from_slice(&bytes[at..]);
}
