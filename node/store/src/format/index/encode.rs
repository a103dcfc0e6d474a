//! Encoding of a segment index: head, directory and buckets of sorted entries.

use bytes::{BufMut, Bytes, BytesMut};
use gitstratum_core::object::ObjectId;

use super::super::account::Accounts;
use super::super::algorithm_to_byte;
use super::super::filter::{Filter, Key};
use super::super::segment::SegmentId;
use super::super::starts::Starts;
use super::{
    CRC_BYTES, ENTRIES_MAX, ENTRY_FIXED_BYTES, Entry, MAGIC, Place, TOMBSTONE, VERSION, bucket_at,
    bucket_bits, bucket_crc,
};

/// The index file of a segment with these entries, each id once, in any order.
///
/// # Panics
/// With more than [`ENTRIES_MAX`] entries.
pub(crate) fn encode_index(
    segment: SegmentId,
    segment_len: u64,
    accounts: &Accounts,
    mut entries: Vec<Entry>,
) -> Vec<Bytes> {
    assert!(entries.len() <= ENTRIES_MAX as usize, "a segment is sealed long before");
    entries.sort_unstable_by_key(|(id, _)| *id);
    let id_width = entries.iter().map(|(id, _)| id.as_bytes().len()).max().unwrap_or(20);
    let (starts, begins) = {
        let bits = bucket_bits(entries.len());
        let begins = bucket_begins(&entries, bits);
        (Starts::of(bits, &begins), begins)
    };
    let filter = Filter::of(&Key::all(entries.iter().map(|(id, _)| id)));
    let (spread, shape) = (starts.spread(), filter.shape());
    let mut head = BytesMut::new();
    head.put_slice(&MAGIC);
    head.put_u32_le(VERSION);
    head.put_slice(&segment.bytes());
    head.put_u64_le(segment_len);
    head.put_u32_le(spread.entries);
    head.put_u8(id_width as u8);
    head.put_u8(spread.bucket_bits);
    head.put_u8(shape.window_bits);
    head.put_u8(0);
    head.put_u32_le(shape.windows);
    head.put_u32_le(shape.seed);
    accounts.write(&mut head);
    let head_crc = crc32c::crc32c(&head);
    head.put_u32_le(head_crc);
    let mut directory = BytesMut::with_capacity(spread.bytes() + shape.bytes() + CRC_BYTES);
    directory.put_slice(starts.bytes());
    directory.put_slice(filter.bytes());
    let crc = crc32c::crc32c_append(head_crc, &directory);
    directory.put_u32_le(crc);
    let width = id_width + ENTRY_FIXED_BYTES;
    let mut body = BytesMut::with_capacity(entries.len() * width + spread.buckets() * CRC_BYTES);
    for (bucket, ends) in begins.windows(2).enumerate() {
        let begun = body.len();
        for (id, place) in &entries[ends[0] as usize..ends[1] as usize] {
            put_entry(&mut body, id_width, id, *place);
        }
        let crc = bucket_crc(head_crc, bucket, &body[begun..]);
        body.put_u32_le(crc);
    }
    vec![head.freeze(), directory.freeze(), body.freeze()]
}

/// How many of these entries, which are sorted, are before each bucket, and in the end all.
fn bucket_begins(entries: &[Entry], bits: u8) -> Vec<u32> {
    let mut before = 0;
    let begins = (0..=1 << bits).map(|bucket| {
        let earlier = |(id, _): &Entry| bucket_at(id.prefix_u64(), bits) < bucket;
        before += entries[before..].iter().take_while(|entry| earlier(entry)).count();
        u32::try_from(before).expect("no more entries than an index has")
    });
    begins.collect()
}

fn put_entry(out: &mut BytesMut, id_width: usize, id: &ObjectId, place: Place) {
    let raw = id.as_bytes();
    out.put_slice(raw);
    out.put_bytes(0, id_width - raw.len());
    let algorithm = algorithm_to_byte(id.algorithm());
    let (offset, number, what) = match place {
        Place::Object { offset, stored } => (offset, stored, algorithm),
        Place::Tombstone { offset, victim } => (offset, victim, algorithm | TOMBSTONE),
    };
    out.put_u32_le(offset);
    out.put_u32_le(number);
    out.put_u8(what);
}
