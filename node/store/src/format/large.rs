//! Large objects: a file each.
//!
//! ```text
//! header   8 magic "GSTROBJ\n" | 4 version | 1 kind | 1 algorithm | 2 zero | 8 size
//!          | 32 id, zero-padded | 4 crc of these 56
//! chunks   256 KiB of data each, the last one less | 4 crc of it and of its number
//! ```
//!
//! A chunk is verified before a byte of it is given away. The file has its name only when
//! it is whole and durable.

use gitstratum_core::limits;
use gitstratum_core::object::{ObjectHead, ObjectId};

use super::{
    HeaderError, algorithm_from_byte, algorithm_to_byte, id_from_padded, kind_from_byte,
    kind_to_byte, u32_at, u64_at,
};

/// Bytes before the data.
pub(crate) const LARGE_HEADER_BYTES: usize = 60;
/// Data of one chunk.
pub(crate) const LARGE_CHUNK_BYTES: usize = limits::PART_BYTES_MAX;
/// Bytes after a chunk's data.
pub(crate) const CHUNK_TRAILER_BYTES: usize = 4;
pub(crate) const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"GSTROBJ\n";

const _: () = assert!(LARGE_HEADER_BYTES == 8 + 4 + 4 + 8 + 32 + 4);

/// Length of the file of an object of so many bytes, if that is a number.
pub(crate) fn large_file_len(size_bytes: u64) -> Option<u64> {
    let chunks = size_bytes.div_ceil(LARGE_CHUNK_BYTES as u64);
    let trailers = chunks.checked_mul(CHUNK_TRAILER_BYTES as u64)?;
    size_bytes.checked_add(trailers)?.checked_add(LARGE_HEADER_BYTES as u64)
}

/// Bytes of the object whose file has this length; of a file that was cut, about.
pub(crate) fn large_size_of(file_len: u64) -> u64 {
    let chunks = file_len.saturating_sub(LARGE_HEADER_BYTES as u64);
    let count = chunks.div_ceil((LARGE_CHUNK_BYTES + CHUNK_TRAILER_BYTES) as u64);
    chunks.saturating_sub(count * CHUNK_TRAILER_BYTES as u64)
}

/// The checksum of a chunk with `crc` of its data.
pub(crate) fn chunk_crc(crc: u32, number: u64) -> [u8; CHUNK_TRAILER_BYTES] {
    crc32c::crc32c_append(crc, &number.to_le_bytes()).to_le_bytes()
}

/// The bytes before an object's data.
pub(crate) fn large_header(head: &ObjectHead) -> [u8; LARGE_HEADER_BYTES] {
    let mut header = [0; LARGE_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12] = kind_to_byte(head.kind);
    header[13] = algorithm_to_byte(head.id.algorithm());
    header[16..24].copy_from_slice(&head.size_bytes.to_le_bytes());
    let id = head.id.as_bytes();
    header[24..24 + id.len()].copy_from_slice(id);
    let crc = crc32c::crc32c(&header[..56]);
    header[56..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads the first bytes of a large object's file.
pub(crate) fn parse_large_header(bytes: &[u8]) -> Result<ObjectHead, HeaderError> {
    let header = bytes.get(..LARGE_HEADER_BYTES).ok_or(HeaderError::Damaged)?;
    if header[..8] != MAGIC || u32_at(header, 56) != crc32c::crc32c(&header[..56]) {
        return Err(HeaderError::Damaged);
    }
    let version = u32_at(header, 8);
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    let head = || -> Option<ObjectHead> {
        let kind = kind_from_byte(header[12])?;
        let algorithm = algorithm_from_byte(header[13])?;
        let id: ObjectId = id_from_padded(&header[24..56], algorithm)?;
        Some(ObjectHead { id, kind, size_bytes: u64_at(header, 16) })
    };
    head().ok_or(HeaderError::Damaged)
}
