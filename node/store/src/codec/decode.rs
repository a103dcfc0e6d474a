//! Decoding of records: a record's bytes to its data, and that to an object.

use bytes::Bytes;
use gitstratum_core::object::Object;

use super::pack::Unpacker;
use crate::format::record::{Content, RECORD_TRAILER_BYTES, RecordHead};

/// The data of a record in the form it has in the file; `None` when the checksum, or the
/// length, is another.
pub(crate) fn data_of<'a>(head: &RecordHead, record: &'a [u8]) -> Option<&'a [u8]> {
    let begin = head.header_len();
    let end = begin + head.stored() as usize;
    let trailer = record.get(end..end + RECORD_TRAILER_BYTES)?;
    let data = &record[begin..end];
    (trailer == crc32c::crc32c(data).to_le_bytes()).then_some(data)
}

/// The object whose stored form this is; what is stored as it is, `keep` makes last.
pub(crate) fn object_of(
    head: &RecordHead,
    data: &[u8],
    unpacker: &Unpacker,
    keep: impl FnOnce(&[u8]) -> Bytes,
) -> Result<Object, &'static str> {
    let Content::Object { kind, size, codec, .. } = head.content else {
        return Err("its record holds no object");
    };
    let data = unpacker.unpack(codec, data, size as usize, keep)?;
    Ok(Object::claimed(head.id, kind, data))
}
