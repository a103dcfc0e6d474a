//! The format on disk: segment headers and records.
//!
//! A segment is a header and then records, one after another:
//!
//! ```text
//! segment header   8 magic "GSTRSEG\n" | 4 version | 4 contents | 8 number | 4 crc32c of these 24
//! record           4 magic "GSR1" | 1 kind | 1 algorithm | 2 flags, zero | 8 size
//!                  | 32 id, zero-padded | 4 crc32c of these 48, of the segment's number
//!                  and of the record's offset in it (8 bytes each)
//!                  | size bytes of data | 4 crc32c of the data
//! ```
//!
//! The header's checksum covers the record's place, so that data which contains a copy of a
//! segment, or a block that was written to the wrong place, is never taken for a record.
//! Numbers are little-endian. The data's checksum follows it, so that a record can be
//! written while its data is still coming. A reader refuses a segment whose version it does
//! not know and a record with flags it does not know; a writer writes only its own version.

use crate::object::{HashAlgorithm, Kind, ObjectHead, ObjectId};

/// Bytes of a segment header.
pub(super) const SEGMENT_HEADER_BYTES: usize = 28;
/// Bytes before a record's data.
pub(super) const RECORD_HEADER_BYTES: usize = 52;
/// Bytes after a record's data.
pub(super) const RECORD_TRAILER_BYTES: usize = 4;
/// The version this code reads and writes.
pub(super) const VERSION: u32 = 1;
/// How a record begins, to find the next one after damage.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"GSR1";

const SEGMENT_MAGIC: [u8; 8] = *b"GSTRSEG\n";

const _: () = assert!(SEGMENT_HEADER_BYTES == 8 + 4 + 4 + 8 + 4);
const _: () = assert!(RECORD_HEADER_BYTES == 4 + 1 + 1 + 2 + 8 + 32 + 4);

/// What a segment is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Any number of records, appended by group commit.
    Many,
    /// One large record, written and synced before the file got its name.
    One,
}

/// Why the first bytes of a file are no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentHeaderError {
    /// Too short, another magic, or a checksum that does not hold.
    NoHeader,
    /// Written by another version.
    Version(u32),
}

/// The header of segment `number`.
pub(super) fn segment_header(number: u64, contents: Contents) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let contents: u32 = match contents {
        Contents::Many => 0,
        Contents::One => 1,
    };
    header[12..16].copy_from_slice(&contents.to_le_bytes());
    header[16..24].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&header[..24]);
    header[24..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads a segment header: its number and what the segment is made of.
pub(super) fn parse_segment_header(bytes: &[u8]) -> Result<(u64, Contents), SegmentHeaderError> {
    let header = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(SegmentHeaderError::NoHeader)?;
    if header[..8] != SEGMENT_MAGIC || u32_at(header, 24) != crc32c::crc32c(&header[..24]) {
        return Err(SegmentHeaderError::NoHeader);
    }
    let version = u32_at(header, 8);
    let contents = match u32_at(header, 12) {
        0 => Contents::Many,
        1 => Contents::One,
        _ => return Err(SegmentHeaderError::Version(version)),
    };
    match version {
        VERSION => Ok((u64_at(header, 16), contents)),
        other => Err(SegmentHeaderError::Version(other)),
    }
}

/// The bytes before an object's data, for a record at `offset` of segment `segment`.
pub(super) fn record_header(
    head: &ObjectHead,
    segment: u64,
    offset: u64,
) -> [u8; RECORD_HEADER_BYTES] {
    let mut header = [0; RECORD_HEADER_BYTES];
    header[..4].copy_from_slice(&RECORD_MAGIC);
    header[4] = match head.kind {
        Kind::Blob => 1,
        Kind::Tree => 2,
        Kind::Commit => 3,
        Kind::Tag => 4,
    };
    header[5] = match head.id.algorithm() {
        HashAlgorithm::Sha1 => 1,
        HashAlgorithm::Sha256 => 2,
    };
    header[8..16].copy_from_slice(&head.size_bytes.to_le_bytes());
    let id = head.id.as_bytes();
    header[16..16 + id.len()].copy_from_slice(id);
    let crc = record_header_crc(&header, segment, offset);
    header[48..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads the header of a record at `offset` of segment `segment`; `None` when these bytes
/// are none, or another place's.
pub(super) fn parse_record_header(bytes: &[u8], segment: u64, offset: u64) -> Option<ObjectHead> {
    let header = bytes.get(..RECORD_HEADER_BYTES)?;
    if header[..4] != RECORD_MAGIC
        || u32_at(header, 48) != record_header_crc(header, segment, offset)
    {
        return None;
    }
    let kind = match header[4] {
        1 => Kind::Blob,
        2 => Kind::Tree,
        3 => Kind::Commit,
        4 => Kind::Tag,
        _ => return None,
    };
    let id_len = match header[5] {
        1 => HashAlgorithm::Sha1.id_len(),
        2 => HashAlgorithm::Sha256.id_len(),
        _ => return None,
    };
    if header[6..8] != [0, 0] {
        return None;
    }
    let id = ObjectId::from_bytes(&header[16..16 + id_len]).ok()?;
    Some(ObjectHead { id, kind, size_bytes: u64_at(header, 8) })
}

fn record_header_crc(header: &[u8], segment: u64, offset: u64) -> u32 {
    let crc = crc32c::crc32c(&header[..48]);
    let crc = crc32c::crc32c_append(crc, &segment.to_le_bytes());
    crc32c::crc32c_append(crc, &offset.to_le_bytes())
}

/// Bytes of a whole record with this much data, if that is a number.
pub(super) fn record_len(size_bytes: u64) -> Option<u64> {
    size_bytes.checked_add((RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES) as u64)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
