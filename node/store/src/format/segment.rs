//! Segments: their names and their first bytes.
//!
//! ```text
//! header   8 magic "GSTRSEG\n" | 4 version | 4 first | 4 last | 4 generation | 4 crc of these 24
//! ```
//!
//! Records follow, and nothing else, but that the segment with the highest number may end in
//! zeros while it is appended to, or in what a crash tore; both end where the next segment
//! begins or the store is opened or closed.
//!
//! Segments are numbered in the order in which they were begun, and among records of one
//! id the one in the later segment counts. A fresh segment has `first = last` and
//! generation 0. What compaction makes of the segments `first` to `last` takes their place
//! in that order with a generation above theirs; it is complete when it has its name, so a
//! segment whose range lies within that of a higher generation is a leftover.

use std::fmt;

use super::{HeaderError, u32_at};

/// Bytes of a segment header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 28;
/// The version this code writes. It reads all earlier ones too: version 1 has no groups behind
/// a flight, up to version 2 no object is a zstd frame, and up to version 3 none is a chunk.
pub(crate) const VERSION: u32 = 4;
const VERSION_MIN: u32 = 1;
const MAGIC: [u8; 8] = *b"GSTRSEG\n";

const _: () = assert!(SEGMENT_HEADER_BYTES == 8 + 4 * 5);

/// Which segment: the numbers it stands for, and how often they were rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId {
    /// The highest number; first, because segments are ordered by it.
    pub(crate) last: u32,
    /// The lowest number.
    pub(crate) first: u32,
    /// Rewritings behind it.
    pub(crate) generation: u32,
}

impl SegmentId {
    /// The id of a segment that puts are appended to.
    pub(crate) fn fresh(number: u32) -> Self {
        SegmentId { last: number, first: number, generation: 0 }
    }

    /// Whether this segment was made of `other`, among others.
    pub(crate) fn supersedes(&self, other: &SegmentId) -> bool {
        self.first <= other.first && other.last <= self.last && self.generation > other.generation
    }

    /// What the checksum of a record's header is taken over beside the header.
    pub(super) fn bytes(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.first.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.last.to_le_bytes());
        bytes[8..].copy_from_slice(&self.generation.to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, last) = (u32_at(bytes, 0), u32_at(bytes, 4));
        (first <= last).then(|| SegmentId { last, first, generation: u32_at(bytes, 8) })
    }

    /// Reads the name of a file without its suffix.
    pub(crate) fn from_stem(stem: &str) -> Option<Self> {
        // One spelling only: no capitals, no sign.
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let mut parts = stem.split('-').map(|part| match part.len() {
            8 if part.bytes().all(is_digit) => u32::from_str_radix(part, 16).ok(),
            _ => None,
        });
        let (first, last, generation) = (parts.next()??, parts.next()??, parts.next()??);
        let whole = parts.next().is_none() && first <= last;
        whole.then_some(SegmentId { last, first, generation })
    }
}

/// The stem of its files' names.
impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:08x}-{:08x}", self.first, self.last, self.generation)
    }
}

/// The first bytes of a segment.
pub(crate) fn segment_header(id: SegmentId) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..24].copy_from_slice(&id.bytes());
    let crc = crc32c::crc32c(&header[..24]);
    header[24..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads the first bytes of a segment.
pub(crate) fn parse_segment_header(bytes: &[u8]) -> Result<SegmentId, HeaderError> {
    let header = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(HeaderError::Damaged)?;
    if header[..8] != MAGIC || u32_at(header, 24) != crc32c::crc32c(&header[..24]) {
        return Err(HeaderError::Damaged);
    }
    match u32_at(header, 8) {
        VERSION_MIN..=VERSION => SegmentId::parse(&header[12..24]).ok_or(HeaderError::Damaged),
        other => Err(HeaderError::Version(other)),
    }
}
