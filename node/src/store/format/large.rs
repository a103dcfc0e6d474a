//! Large objects: a file each.
//!
//! ```text
//! header   8 magic "GSTROBJ\n" | 4 version | 1 kind | 1 algorithm | 2 zero | 8 size
//!          | 32 id, zero-padded | 4 crc of these 56
//! then     size bytes of data | 4 crc of them
//! ```
//!
//! The file has its name only when it is whole and durable.

use super::{
    HeaderError, algorithm_from_byte, algorithm_to_byte, id_from_padded, kind_from_byte,
    kind_to_byte, u32_at, u64_at,
};
use crate::object::{ObjectHead, ObjectId};

/// Bytes before the data.
pub(in crate::store) const LARGE_HEADER_BYTES: usize = 60;
/// Bytes after it.
pub(in crate::store) const LARGE_TRAILER_BYTES: usize = 4;
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"GSTROBJ\n";

const _: () = assert!(LARGE_HEADER_BYTES == 8 + 4 + 4 + 8 + 32 + 4);

/// Bytes of the file that are not data.
pub(in crate::store) const LARGE_OVERHEAD_BYTES: u64 =
    (LARGE_HEADER_BYTES + LARGE_TRAILER_BYTES) as u64;

/// The bytes before an object's data.
pub(in crate::store) fn large_header(head: &ObjectHead) -> [u8; LARGE_HEADER_BYTES] {
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
pub(in crate::store) fn parse_large_header(bytes: &[u8]) -> Result<ObjectHead, HeaderError> {
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
