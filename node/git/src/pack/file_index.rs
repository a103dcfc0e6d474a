//! Pack index file: git's `.idx`, version 2, which stands beside a `.pack` in a repository on disk.
//!
//! ```text
//! ff 74 4f 63 | 00 00 00 02 | for each first byte, how many ids begin with it or a smaller one
//! | ids, ascending | CRC-32 of each entry | offset of each entry, or with the highest bit set its
//! place in what follows | offsets from 2 GiB on, 8 bytes each | checksum of the pack
//! | checksum of all this
//! ```
//!
//! All numbers are big-endian.

use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::checksum::Checksum;

const HEADER: [u8; 8] = *b"\xfftOc\0\0\0\x02";
/// Offsets from here on do not fit beside the others.
const OFFSET_SHORT_END: u64 = 1 << 31;

/// An object of a pack file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileEntry {
    /// Which.
    pub id: ObjectId,
    /// Where its entry begins in the file.
    pub offset: u64,
    /// CRC-32 of its entry.
    pub crc32: u32,
}

/// The index of a pack that has these entries and this checksum. Sorts the entries.
///
/// # Panics
/// If there are more than 2^31 entries.
pub fn encode(
    algorithm: HashAlgorithm,
    entries: &mut [FileEntry],
    pack_checksum: &[u8],
) -> Vec<u8> {
    entries.sort_unstable();
    let number = |count: usize| {
        let fits = u32::try_from(count).ok().filter(|count| u64::from(*count) < OFFSET_SHORT_END);
        fits.expect("a pack has fewer entries than that").to_be_bytes()
    };
    let mut out =
        Vec::with_capacity(HEADER.len() + entries.len() * (algorithm.id_len() + 8) + 2048);
    out.extend_from_slice(&HEADER);
    let mut upto = 0;
    for first in 0..=u8::MAX {
        upto += entries[upto..].partition_point(|entry| entry.id.as_bytes()[0] <= first);
        out.extend_from_slice(&number(upto));
    }
    entries.iter().for_each(|entry| out.extend_from_slice(entry.id.as_bytes()));
    entries.iter().for_each(|entry| out.extend_from_slice(&entry.crc32.to_be_bytes()));
    let mut long = Vec::new();
    for entry in entries.iter() {
        let short = match u32::try_from(entry.offset) {
            Ok(offset) if entry.offset < OFFSET_SHORT_END => offset,
            _ => {
                let place = u32::from_be_bytes(number(long.len() / 8));
                long.extend_from_slice(&entry.offset.to_be_bytes());
                place | 1 << 31
            }
        };
        out.extend_from_slice(&short.to_be_bytes());
    }
    out.extend_from_slice(&long);
    out.extend_from_slice(pack_checksum);
    let mut checksum = Checksum::new(algorithm);
    checksum.update(&out);
    out.extend_from_slice(checksum.finish().as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_beyond_two_gib_are_found_in_the_second_table() {
        let entry = |byte: u8, offset| FileEntry {
            id: ObjectId::from_bytes(&[byte; 20]).unwrap(),
            offset,
            crc32: u32::from(byte),
        };
        let mut entries = [entry(9, 5 << 30), entry(0, 12), entry(9, 1 << 31)];
        entries[2].id = ObjectId::from_bytes(&[3; 20]).unwrap();
        let index = encode(HashAlgorithm::Sha1, &mut entries, &[7; 20]);
        assert_eq!(index.len(), 8 + 1024 + 3 * (20 + 4 + 4) + 2 * 8 + 40);
        let u32_at = |at: usize| u32::from_be_bytes(index[at..at + 4].try_into().unwrap());
        assert_eq!([u32_at(8), u32_at(8 + 4 * 3), u32_at(8 + 4 * 255)], [1, 2, 3]);
        let offsets = 8 + 1024 + 3 * 24;
        let found = [u32_at(offsets), u32_at(offsets + 4), u32_at(offsets + 8)];
        assert_eq!(found, [12, 1 << 31, 1 << 31 | 1]);
        let long = offsets + 12;
        let u64_at = |at: usize| u64::from_be_bytes(index[at..at + 8].try_into().unwrap());
        assert_eq!([u64_at(long), u64_at(long + 8)], [1 << 31, 5 << 30]);
    }
}
