//! Frames of a file: length, sequence number and checksums around a body.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GSF1` |
//! | 4 | length of the body |
//! | 8 | sequence number: one more than the frame before |
//! | 4 | CRC-32C of the body |
//! | 4 | CRC-32C of the 20 bytes before, then of the file's salt |
//! | … | the body |
//!
//! Numbers are little-endian. The salt is drawn when a file is made and is known to nobody else,
//! so that no command can contain what looks like a frame of the file that holds it: what follows
//! a broken frame is then told apart from what was once written there.

use bytes::{BufMut, Bytes};
use memchr::memmem;

/// What a frame begins with.
const MAGIC: [u8; 4] = *b"GSF1";
/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 24;

/// A frame that was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    pub(crate) body: Bytes,
}

impl Frame {
    /// How many bytes it takes in the file.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }
}

/// What is in a file at some offset.
#[derive(Debug, PartialEq)]
pub(crate) enum At {
    /// A whole frame.
    Whole(Frame),
    /// The header of a frame whose body is not what was written.
    Spoilt,
    /// Nothing that was ever a frame of this file.
    Nothing,
}

/// The frame of a body.
///
/// # Panics
/// When the body has 4 GiB or more.
pub(crate) fn encode(sequence: u64, salt: u64, body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.put_slice(&MAGIC);
    bytes.put_u32_le(u32::try_from(body.len()).expect("bounded by the size of a command"));
    bytes.put_u64_le(sequence);
    bytes.put_u32_le(crc32c::crc32c(body));
    let checksum = header_checksum(&bytes, salt);
    bytes.put_u32_le(checksum);
    bytes.put_slice(body);
    bytes.into()
}

fn header_checksum(first: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(first), &salt.to_le_bytes())
}

/// What is at `offset` of a file's contents.
pub(crate) fn look(contents: &Bytes, offset: usize, salt: u64) -> At {
    let Some((header, sequence)) = header_at(contents, offset, salt) else { return At::Nothing };
    let len = u32_at(header, 4) as usize;
    let begin = offset + HEADER_BYTES;
    if contents.len() - begin < len {
        return At::Spoilt;
    }
    let body = contents.slice(begin..begin + len);
    match crc32c::crc32c(&body) == u32_at(header, 16) {
        true => At::Whole(Frame { sequence, body }),
        false => At::Spoilt,
    }
}

/// Whether a frame later than `sequence` begins anywhere from `offset` on.
pub(crate) fn is_followed(contents: &Bytes, offset: usize, salt: u64, sequence: u64) -> bool {
    let rest = contents.get(offset..).unwrap_or_default();
    memmem::find_iter(rest, &MAGIC)
        .filter_map(|at| header_at(contents, offset + at, salt))
        .any(|(_, found)| found > sequence)
}

/// A sound header, and its sequence number.
fn header_at(contents: &Bytes, offset: usize, salt: u64) -> Option<(&[u8], u64)> {
    let header = contents.get(offset..)?.get(..HEADER_BYTES)?;
    let sound =
        header.starts_with(&MAGIC) && header_checksum(&header[..20], salt) == u32_at(header, 20);
    let sequence = u64::from_le_bytes(header[8..16].try_into().expect("eight bytes"));
    sound.then_some((header, sequence))
}

fn u32_at(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"))
}

/// The length of the body that a sound header without salt announces.
pub(crate) fn body_bytes(header: &Bytes) -> Option<usize> {
    header_at(header, 0, 0).map(|(header, _)| u32_at(header, 4) as usize)
}
