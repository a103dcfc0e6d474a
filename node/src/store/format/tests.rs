//! The formats by themselves: what was written is read, and nothing else is.

use bytes::Bytes;

use super::account::{Accounts, Tally};
use super::index::{Entry, IndexHead, Place, Sought, encode_index, encode_version, head_len};
use super::large::{large_header, parse_large_header};
use super::record::{Begins, Codec, Content, RecordHead};
use super::segment::{SegmentId, parse_segment_header, segment_header};
use crate::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};

fn id(n: usize) -> ObjectId {
    let algorithm = if n.is_multiple_of(3) { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha1 };
    Object::hash(algorithm, Kind::Blob, format!("object {n}").into()).unwrap().id()
}

fn entries(count: usize) -> Vec<Entry> {
    let place = |n: usize| match n % 7 {
        0 => Place::Tombstone { offset: n as u32 * 60, victim: n as u32 },
        _ => Place::Object { offset: n as u32 * 60, stored: n as u32 * 3 },
    };
    (0..count).map(|n| (id(n), place(n))).collect()
}

fn accounts() -> Accounts {
    let mut accounts = Accounts { held: Tally::one(500, 400), ..Accounts::default() };
    accounts.kills.insert(3, Tally::one(70, 20));
    accounts
}

const SEGMENT: SegmentId = SegmentId { last: 9, first: 7, generation: 2 };

fn file(count: usize) -> Vec<u8> {
    encode_index(SEGMENT, 1234, &accounts(), entries(count)).concat()
}

fn head(file: &[u8]) -> Result<IndexHead, super::HeaderError> {
    head_len(file)?;
    IndexHead::parse(Bytes::copy_from_slice(file), file.len() as u64)
}

fn find(head: &IndexHead, file: &[u8], id: &ObjectId) -> Option<Place> {
    let bucket = head.bucket_for(&Sought::new(id))?;
    let from = usize::try_from(bucket.offset).unwrap();
    head.find(bucket, &file[from..from + bucket.len], id).expect("the bucket is whole")
}

#[test]
fn an_index_finds_what_it_was_made_of_and_nothing_else() {
    for count in [0, 1, 5, 24, 25, 1000, 5000] {
        let file = file(count);
        let head = head(&file).unwrap();
        assert_eq!((head.segment, head.segment_len, &head.accounts), (SEGMENT, 1234, &accounts()));
        for (id, place) in entries(count) {
            assert_eq!(find(&head, &file, &id), Some(place), "of {count}");
        }
        let passed = (count..count + 2000).filter(|n| head.may_have(&Sought::new(&id(*n)))).count();
        assert!(passed <= 20, "{passed} of 2000 absent ids passed the filter of {count}");
        for absent in count..count + 2000 {
            assert_eq!(find(&head, &file, &id(absent)), None);
        }
    }
}

#[test]
fn indexes_of_earlier_versions_are_read_and_those_of_later_ones_refused() {
    let file = encode_version(1, SEGMENT, 1234, &accounts(), entries(1000)).concat();
    assert!(file.len() < self::file(1000).len(), "it has a smaller filter");
    let head = head(&file).unwrap();
    for (id, place) in entries(1000) {
        assert_eq!(find(&head, &file, &id), Some(place));
    }
    let mut later = file;
    later[8] = 3;
    assert_eq!(head_len(&later), Err(super::HeaderError::Version(3)));
    let mut segment = segment_header(SEGMENT);
    for (version, read) in [(1, Ok(SEGMENT)), (3, Err(super::HeaderError::Version(3)))] {
        segment[8] = version;
        let crc = crc32c::crc32c(&segment[..24]);
        segment[24..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(parse_segment_header(&segment), read);
    }
}

#[test]
fn an_index_costs_less_than_three_bytes_of_memory_an_object() {
    let head = head(&file(100_000)).unwrap();
    assert!(head.memory_bytes() < 22 * 10_000, "{} bytes for 100,000", head.memory_bytes());
}

#[test]
fn a_flipped_bit_anywhere_in_an_index_is_noticed() {
    let whole = file(40);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(head) = head(&flipped) else { continue };
        let damaged = head.buckets().filter(|bucket| {
            let from = usize::try_from(bucket.offset).unwrap();
            head.all(*bucket, &flipped[from..from + bucket.len]).is_err()
        });
        assert_eq!(damaged.count(), 1, "bit {bit}");
    }
}

#[test]
fn an_index_cut_anywhere_is_refused() {
    let whole = file(40);
    for len in 0..whole.len() {
        assert!(head(&whole[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn a_record_is_read_only_where_it_was_written() {
    let content = Content::Object { kind: Kind::Tree, size: 90, codec: Codec::Lz4, stored: 40 };
    for head in [
        RecordHead { id: id(0), content, begins: Begins::Group },
        RecordHead {
            id: id(1),
            content: Content::Tombstone { victim: 5 },
            begins: Begins::GroupBehindFlight,
        },
        RecordHead { id: id(1), content: Content::Void { stored: 5 }, begins: Begins::Nothing },
    ] {
        let mut bytes = Vec::new();
        head.write(SEGMENT, 77, &mut bytes);
        assert_eq!(bytes.len(), head.header_len());
        assert_eq!(RecordHead::parse(&bytes, SEGMENT, 77), Some(head));
        assert_eq!(RecordHead::parse(&bytes, SEGMENT, 78), None);
        assert_eq!(RecordHead::parse(&bytes, SegmentId { generation: 3, ..SEGMENT }, 77), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHead::parse(&flipped, SEGMENT, 77), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(RecordHead::parse(&bytes[..len], SEGMENT, 77), None);
        }
    }
}

#[test]
fn headers_and_names_say_what_they_were_made_of() {
    assert_eq!(parse_segment_header(&segment_header(SEGMENT)), Ok(SEGMENT));
    assert_eq!(SegmentId::from_stem(&SEGMENT.to_string()), Some(SEGMENT));
    for strange in ["7-9-2", "00000009-00000007-00000002", "+0000007-00000009-00000002"] {
        assert_eq!(SegmentId::from_stem(strange), None);
    }
    let object = ObjectHead { id: id(0), kind: Kind::Tag, size_bytes: 1 << 40 };
    assert_eq!(parse_large_header(&large_header(&object)), Ok(object));
}
