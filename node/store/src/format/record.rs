//! Records: an object, or the word that there is none any more.
//!
//! ```text
//! record   4 magic "GSR1" | 1 kind | 1 algorithm | 1 codec | 1 flags
//!          | 4 size | 4 stored | 20 or 32 id | 4 crc of all these and of the record's place
//!          | stored bytes of data | 4 crc of them
//! ```
//!
//! `size` is the length of the object's data, `stored` that of its form in the file, and
//! neither is above [`DATA_BYTES_MAX`]: what claims more is no record. The
//! record's place is its segment's id and its offset there, so that data which contains a
//! copy of a segment, or a block that was written to the wrong place, is never taken for a
//! record. Kind 0 is a tombstone: `size` is then the number of the segment that holds the
//! deleted record, and its data are the length of that record and of its object, 4 bytes
//! each. Kind 5 is a void: what recovery writes over the room of a record that never became
//! whole; its data is anything, and has no checksum.
//!
//! Flag 1 marks the first record of a group, of what was flushed together: all that is before
//! it was durable when it was written. With flag 2 beside it, all was but the group before,
//! whose flush went on.

use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::segment::SegmentId;
use super::{
    algorithm_from_byte, algorithm_to_byte, id_from_padded, kind_from_byte, kind_to_byte, u32_at,
};

/// How a record begins, to find the next one after damage.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"GSR1";
/// Bytes after a record's data.
pub(crate) const RECORD_TRAILER_BYTES: usize = 4;
/// The longest header: that of a SHA-256 id.
pub(crate) const RECORD_HEADER_BYTES_MAX: usize = header_len(HashAlgorithm::Sha256);

/// The most data that a record's object has; larger ones are in files of their own. Readers
/// ask for no more memory than this, whatever a file says.
pub(crate) const DATA_BYTES_MAX: u32 = limits::OBJECT_BYTES_WHOLE_MAX as u32;

const FIXED_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
const TOMBSTONE: u8 = 0;
const VOID: u8 = 5;
const BEGINS_GROUP: u8 = 1;
const BEHIND_FLIGHT: u8 = 2;
/// Bytes of a tombstone's data.
pub(crate) const TOMBSTONE_DATA_BYTES: usize = 8;

/// Bytes before a record's data.
pub(crate) const fn header_len(algorithm: HashAlgorithm) -> usize {
    FIXED_BYTES + algorithm.id_len() + CRC_BYTES
}

/// What an object's data looks like in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As it is.
    Raw,
    /// One LZ4 block, without a frame or a length of its own.
    Lz4,
    /// One zstd frame.
    Zstd,
}

/// What a record says of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The object is here.
    Object {
        /// Its kind.
        kind: Kind,
        /// Length of its data in bytes.
        size: u32,
        /// The form of the data in the file.
        codec: Codec,
        /// Length of that form in bytes.
        stored: u32,
    },
    /// The object was deleted; what was, is the data.
    Tombstone {
        /// Number of the segment that held it.
        victim: u32,
    },
    /// Nothing; so many bytes are passed over.
    Void {
        /// Bytes of data in the file.
        stored: u32,
    },
}

/// Whether a record is the first of those that were flushed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// It is not.
    Nothing,
    /// It is, and all records before it were durable when it was written.
    Group,
    /// It is, and all records before the preceding group were.
    GroupBehindFlight,
}

/// The first part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    /// Which object.
    pub(crate) id: ObjectId,
    /// What of it.
    pub(crate) content: Content,
    /// Whether it is the first of those that were flushed together.
    pub(crate) begins: Begins,
}

impl RecordHead {
    /// Bytes before the data.
    pub(crate) fn header_len(&self) -> usize {
        header_len(self.id.algorithm())
    }

    /// Bytes of data in the file.
    pub(crate) fn stored(&self) -> u32 {
        match self.content {
            Content::Object { stored, .. } | Content::Void { stored } => stored,
            Content::Tombstone { .. } => TOMBSTONE_DATA_BYTES as u32,
        }
    }

    /// Bytes of the whole record.
    pub(crate) fn record_len(&self) -> u64 {
        (self.header_len() + RECORD_TRAILER_BYTES) as u64 + u64::from(self.stored())
    }

    /// Appends the header for a record at `offset` of `segment`.
    pub(crate) fn write(&self, segment: SegmentId, offset: u64, out: &mut impl bytes::BufMut) {
        let mut header = [0; RECORD_HEADER_BYTES_MAX];
        header[..4].copy_from_slice(&RECORD_MAGIC);
        header[5] = algorithm_to_byte(self.id.algorithm());
        header[7] = match self.begins {
            Begins::Nothing => 0,
            Begins::Group => BEGINS_GROUP,
            Begins::GroupBehindFlight => BEGINS_GROUP | BEHIND_FLIGHT,
        };
        let (size, stored) = match self.content {
            Content::Object { kind, size, codec, stored } => {
                header[4] = kind_to_byte(kind);
                header[6] = match codec {
                    Codec::Raw => 0,
                    Codec::Lz4 => 1,
                    Codec::Zstd => 2,
                };
                (size, stored)
            }
            Content::Tombstone { victim } => {
                header[4] = TOMBSTONE;
                (victim, TOMBSTONE_DATA_BYTES as u32)
            }
            Content::Void { stored } => {
                header[4] = VOID;
                (stored, stored)
            }
        };
        header[8..12].copy_from_slice(&size.to_le_bytes());
        header[12..16].copy_from_slice(&stored.to_le_bytes());
        let id = self.id.as_bytes();
        let end = FIXED_BYTES + id.len();
        header[FIXED_BYTES..end].copy_from_slice(id);
        let crc = header_crc(&header[..end], segment, offset);
        header[end..end + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        out.put_slice(&header[..end + CRC_BYTES]);
    }

    /// Reads the header of a record at `offset` of `segment`; `None` when these bytes are
    /// none, another place's, or of a form that this program does not know.
    pub(crate) fn parse(bytes: &[u8], segment: SegmentId, offset: u64) -> Option<Self> {
        if bytes.get(..4)? != RECORD_MAGIC {
            return None;
        }
        let algorithm = algorithm_from_byte(*bytes.get(5)?)?;
        let header = bytes.get(..header_len(algorithm))?;
        let (covered, crc) = header.split_at(header.len() - CRC_BYTES);
        if u32_at(crc, 0) != header_crc(covered, segment, offset) {
            return None;
        }
        let (size, stored) = (u32_at(header, 8), u32_at(header, 12));
        let begins = match header[7] {
            0 => Begins::Nothing,
            BEGINS_GROUP => Begins::Group,
            flags if flags == BEGINS_GROUP | BEHIND_FLIGHT => Begins::GroupBehindFlight,
            _ => return None,
        };
        let content = match (header[4], header[6]) {
            (TOMBSTONE, 0) if stored as usize == TOMBSTONE_DATA_BYTES => {
                Content::Tombstone { victim: size }
            }
            (VOID, 0) if stored == size => Content::Void { stored },
            (kind, 0) if stored == size => {
                Content::Object { kind: kind_from_byte(kind)?, size, codec: Codec::Raw, stored }
            }
            (kind, codec @ (1 | 2)) if stored < size => {
                let codec = if codec == 1 { Codec::Lz4 } else { Codec::Zstd };
                Content::Object { kind: kind_from_byte(kind)?, size, codec, stored }
            }
            _ => return None,
        };
        if matches!(content, Content::Object { size, .. } if size > DATA_BYTES_MAX) {
            return None;
        }
        let id = id_from_padded(&covered[FIXED_BYTES..], algorithm)?;
        Some(RecordHead { id, content, begins })
    }
}

/// Bytes of the smallest record there can be.
pub(crate) const RECORD_BYTES_MIN: usize = header_len(HashAlgorithm::Sha1) + RECORD_TRAILER_BYTES;

/// The data of a tombstone: the lengths of the deleted record and of its object.
pub(crate) fn tombstone_data(record_len: u32, size: u32) -> [u8; TOMBSTONE_DATA_BYTES] {
    let mut data = [0; TOMBSTONE_DATA_BYTES];
    data[..4].copy_from_slice(&record_len.to_le_bytes());
    data[4..].copy_from_slice(&size.to_le_bytes());
    data
}

/// Reads the data of a tombstone.
///
/// # Panics
/// When it is shorter than a parsed head said.
pub(crate) fn parse_tombstone_data(data: &[u8]) -> (u32, u32) {
    (u32_at(data, 0), u32_at(data, 4))
}

fn header_crc(covered: &[u8], segment: SegmentId, offset: u64) -> u32 {
    let crc = crc32c::crc32c(covered);
    let crc = crc32c::crc32c_append(crc, &segment.bytes());
    crc32c::crc32c_append(crc, &offset.to_le_bytes())
}
