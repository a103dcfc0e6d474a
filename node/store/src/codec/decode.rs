//! Decoding of records: a record's bytes to its data, and that to an object.

use bytes::Bytes;
use gitstratum_core::object::Object;

use super::pack::Unpacker;
use crate::format::record::{Content, RECORD_TRAILER_BYTES, RecordHead};

/// The data of a record in the form it has in the file; `None` when the checksum, or the
/// length, is another.
pub(crate) fn data_of(head: &RecordHead, record: &Bytes) -> Option<Bytes> {
    let begin = head.header_len();
    let end = begin + head.stored() as usize;
    let trailer = record.get(end..end + RECORD_TRAILER_BYTES)?;
    let sound = trailer == crc32c::crc32c(&record[begin..end]).to_le_bytes();
    sound.then(|| record.slice(begin..end))
}

/// The object whose stored form this is; what is stored as it is, is shared, not copied.
pub(crate) fn object_of(
    head: &RecordHead,
    data: Bytes,
    unpacker: &Unpacker,
) -> Result<Object, &'static str> {
    let Content::Object { kind, size, codec, .. } = head.content else {
        return Err("its record holds no object");
    };
    let data = unpacker.unpack(codec, data, size as usize)?;
    Ok(Object::claimed(head.id, kind, data))
}
