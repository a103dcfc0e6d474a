//! Encoded records: of an object, of a deletion, and many as buffers.

use bytes::{BufMut, Bytes, BytesMut};
use gitstratum_core::object::{Object, ObjectId};

use crate::codec::pack::Packer;
use crate::format::account::Tally;
use crate::format::record::{
    Begins, Codec, Content, RECORD_TRAILER_BYTES, RecordHead, tombstone_data,
};
use crate::format::segment::SegmentId;

/// Smaller data is copied beside its header, so that a group has few buffers.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// A record to be written.
#[derive(Clone, Debug)]
pub(crate) struct EncodedRecord {
    pub(crate) head: RecordHead,
    /// In the form it has in the file.
    pub(crate) data: Bytes,
    /// The checksum of `data`, computed by whoever puts: the committer is one for all.
    crc: u32,
}

impl EncodedRecord {
    /// A record with this data in the form that it has in the file.
    pub(crate) fn new(head: RecordHead, data: Bytes) -> Self {
        let crc = crc32c::crc32c(&data);
        EncodedRecord { head, data, crc }
    }

    /// A tombstone for a record of so many bytes in segment `victim`, which held an object
    /// of so many.
    pub(crate) fn tombstone(id: ObjectId, victim: u32, dead: Tally) -> Self {
        let small = |bytes: u64| u32::try_from(bytes).expect("a record is below 4 GiB");
        let data = tombstone_data(small(dead.bytes), small(dead.payload));
        let content = Content::Tombstone { victim };
        let head = RecordHead { id, content, begins: Begins::Nothing };
        EncodedRecord::new(head, Bytes::copy_from_slice(&data))
    }

    /// The record of an object of at most `limits::OBJECT_BYTES_WHOLE_MAX` bytes, packed if
    /// there is a packer and it gains.
    pub(crate) fn of_object(object: Object, packer: Option<&mut Packer>) -> Self {
        let raw = object.data().clone();
        let size = u32::try_from(raw.len()).expect("a whole object is small");
        let packed = packer.and_then(|packer| packer.pack(&raw));
        let (codec, data) = packed.unwrap_or((Codec::Raw, raw));
        let stored = u32::try_from(data.len()).expect("no longer than the object");
        let content = Content::Object { kind: object.kind(), size, codec, stored };
        let head = RecordHead { id: object.id(), content, begins: Begins::Nothing };
        EncodedRecord::new(head, data)
    }

    /// Bytes of its record.
    pub(crate) fn len(&self) -> u64 {
        self.head.record_len()
    }
}

/// What is certain of the records before some that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// They are durable.
    Durable,
    /// All are, but for those of one group, which are being flushed.
    Flight,
    /// They become durable together with these.
    Same,
}

/// The records for their place in a segment, as few buffers: small data beside its header,
/// large data shared, not copied. What is copied goes into `arena`, whose memory serves
/// again once the buffers are gone.
pub(crate) fn encode(
    records: &[&EncodedRecord],
    segment: SegmentId,
    mut offset: u64,
    follows: Follows,
    arena: &mut BytesMut,
) -> Vec<Bytes> {
    let copied = |record: &&&EncodedRecord| record.data.len() <= COPIED_BYTES_MAX;
    let small: usize = records.iter().filter(copied).map(|record| record.data.len()).sum();
    let overhead: usize =
        records.iter().map(|record| record.head.header_len() + RECORD_TRAILER_BYTES).sum();
    let mut buffers = Vec::new();
    arena.reserve(small + overhead);
    for (place, record) in records.iter().enumerate() {
        let begins = match follows {
            Follows::Durable if place == 0 => Begins::Group,
            Follows::Flight if place == 0 => Begins::GroupBehindFlight,
            _ => Begins::Nothing,
        };
        RecordHead { begins, ..record.head }.write(segment, offset, arena);
        if copied(&record) {
            arena.put_slice(&record.data);
        } else {
            buffers.push(arena.split().freeze());
            buffers.push(record.data.clone());
        }
        arena.put_u32_le(record.crc);
        offset += record.len();
    }
    buffers.push(arena.split().freeze());
    buffers
}
