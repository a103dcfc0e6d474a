//! What the files of a store look like, byte for byte. Pure: nothing here does I/O.
//!
//! ```text
//! node                                   whose data this is (files/identity.rs)
//! lock                                   held by the process that has the store open
//! segments/<first>-<last>-<gen>.seg      records, one after another (segment.rs, record.rs)
//! segments/<first>-<last>-<gen>.idx      where they are; rebuilt when it is missing (index.rs)
//! large/<object id>.obj                  an object too large for a segment (large.rs)
//! manifest, segments/manifest            what the store should hold, twice (manifest/)
//! large-names                            the large objects there should be (state/large_names.rs)
//! quarantine                             what was found damaged or lost (state/quarantine/)
//! clean                                  of a store before it has a manifest: that it was
//!                                        closed, not left (open/clean.rs)
//! scrub                                  how far the reading of everything has come (state/scrub/)
//! snapshots/<name>/                      the above, by hard links
//! *.tmp                                  not complete; removed when the store is opened
//! ```
//!
//! All numbers are little-endian, all checksums CRC-32C. Every file begins with a magic and
//! a version. A program that meets a newer version refuses it by name and changes nothing;
//! a newer program reads every version that was ever released. A record's flags and codec
//! are part of that: an unknown one is never skipped.

pub(crate) mod account;
pub(crate) mod filter;
pub(crate) mod index;
pub(crate) mod large;
pub(crate) mod record;
pub(crate) mod segment;
mod starts;

#[cfg(test)]
mod tests;

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

/// Why the first bytes of a file are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Too short, another magic, or a checksum that does not hold.
    Damaged,
    /// Written by a version that this program does not know.
    Version(u32),
}

fn kind_to_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Blob => 1,
        Kind::Tree => 2,
        Kind::Commit => 3,
        Kind::Tag => 4,
        // 5 is what a void has (record.rs).
        Kind::Chunk => 6,
    }
}

fn kind_from_byte(byte: u8) -> Option<Kind> {
    match byte {
        1 => Some(Kind::Blob),
        2 => Some(Kind::Tree),
        3 => Some(Kind::Commit),
        4 => Some(Kind::Tag),
        6 => Some(Kind::Chunk),
        _ => None,
    }
}

fn algorithm_to_byte(algorithm: HashAlgorithm) -> u8 {
    match algorithm {
        HashAlgorithm::Sha1 => 1,
        HashAlgorithm::Sha256 => 2,
    }
}

fn algorithm_from_byte(byte: u8) -> Option<HashAlgorithm> {
    match byte {
        1 => Some(HashAlgorithm::Sha1),
        2 => Some(HashAlgorithm::Sha256),
        _ => None,
    }
}

/// The id in a field of `bytes` whose unused end is zero.
fn id_from_padded(bytes: &[u8], algorithm: HashAlgorithm) -> Option<ObjectId> {
    let (id, padding) = bytes.split_at_checked(algorithm.id_len())?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    ObjectId::from_bytes(id).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
