//! Records before they are written: of an object, of a deletion, and many as buffers.

use bytes::{BufMut, Bytes, BytesMut};

use super::Compression;
use super::format::account::Tally;
use super::format::record::{Codec, Content, RECORD_TRAILER_BYTES, RecordHead, tombstone_data};
use super::format::segment::SegmentId;
use crate::object::{Object, ObjectId};

/// Smaller data is copied beside its header, so that a group has few buffers.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// Data below this is not worth compressing: of real repositories a hundredth of the bytes,
/// which shrink by a tenth.
const COMPRESSED_BYTES_MIN: usize = 512;

/// A record to be written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) head: RecordHead,
    /// In the form it has in the file.
    pub(super) data: Bytes,
}

impl Draft {
    /// A tombstone for a record of so many bytes in segment `victim`, which held an object
    /// of so many.
    pub(super) fn tombstone(id: ObjectId, victim: u32, dead: Tally) -> Self {
        let small = |bytes: u64| u32::try_from(bytes).expect("a record is below 4 GiB");
        let data = tombstone_data(small(dead.bytes), small(dead.payload));
        let content = Content::Tombstone { victim };
        let head = RecordHead { id, content, begins_group: false };
        Draft { head, data: Bytes::copy_from_slice(&data) }
    }

    /// Bytes of its record.
    pub(super) fn len(&self) -> u64 {
        self.head.record_len()
    }
}

/// The record of an object of at most `limits::OBJECT_BYTES_WHOLE_MAX` bytes.
pub(super) fn draft(object: Object, compression: Compression) -> Draft {
    let raw = object.data().clone();
    let size = u32::try_from(raw.len()).expect("a whole object is small");
    let (codec, data) = match compression {
        Compression::Lz4 if raw.len() >= COMPRESSED_BYTES_MIN => packed(raw),
        _ => (Codec::Raw, raw),
    };
    let stored = u32::try_from(data.len()).expect("no longer than the object");
    let content = Content::Object { kind: object.kind(), size, codec, stored };
    Draft { head: RecordHead { id: object.id(), content, begins_group: false }, data }
}

fn packed(raw: Bytes) -> (Codec, Bytes) {
    let packed = lz4_flex::block::compress(&raw);
    match packed.len() <= raw.len() - raw.len() / 16 && packed.len() < raw.len() {
        true => (Codec::Lz4, packed.into()),
        false => (Codec::Raw, raw),
    }
}

/// What the first of some records is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// It is written when they are durable.
    New,
    /// It is written before that is certain.
    Same,
}

/// The records for their place in a segment, as few buffers: small data beside its header,
/// large data shared, not copied.
pub(super) fn encode(
    drafts: &[&Draft],
    segment: SegmentId,
    mut offset: u64,
    group: Group,
) -> Vec<Bytes> {
    let copied = |draft: &&&Draft| draft.data.len() <= COPIED_BYTES_MAX;
    let small: usize = drafts.iter().filter(copied).map(|draft| draft.data.len()).sum();
    let overhead: usize =
        drafts.iter().map(|draft| draft.head.header_len() + RECORD_TRAILER_BYTES).sum();
    let mut buffers = Vec::new();
    let mut arena = BytesMut::with_capacity(small + overhead);
    for (place, draft) in drafts.iter().enumerate() {
        let begins_group = place == 0 && group == Group::New;
        RecordHead { begins_group, ..draft.head }.write(segment, offset, &mut arena);
        if copied(&draft) {
            arena.put_slice(&draft.data);
        } else {
            buffers.push(arena.split().freeze());
            buffers.push(draft.data.clone());
        }
        arena.put_u32_le(crc32c::crc32c(&draft.data));
        offset += draft.len();
    }
    buffers.push(arena.freeze());
    buffers
}
