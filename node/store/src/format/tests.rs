//! The formats by themselves: what was written is read, and nothing else is.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};

use super::account::{Accounts, Tally};
use super::filter::{Filter, Key, Shape, fill};
use super::index::{Directory, Entry, IndexHead, Piece, Place, encode_index, head_len};
use super::large::{large_header, parse_large_header};
use super::record::{Begins, Codec, Content, DATA_BYTES_MAX, RecordHead};
use super::segment::{SegmentId, parse_segment_header, segment_header};
use super::starts::{Spread, Starts};

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
    IndexHead::parse(file, file.len() as u64)
}

fn at(file: &[u8], Piece { offset, len }: Piece) -> &[u8] {
    &file[usize::try_from(offset).unwrap()..][..len]
}

fn directory(head: &IndexHead, file: &[u8]) -> Directory {
    head.directory(Bytes::copy_from_slice(at(file, head.directory_piece()))).unwrap()
}

/// What the index says without its directory.
fn find(head: &IndexHead, file: &[u8], id: &ObjectId) -> Option<Place> {
    let number = head.number_of(id);
    let starts = at(file, head.starts_piece(&(number..=number)));
    let bucket = head.bucket(number, starts).unwrap();
    head.find(bucket, at(file, bucket.piece), id).expect("the bucket is whole")
}

#[test]
fn an_index_finds_what_it_was_made_of_and_nothing_else() {
    for count in [0, 1, 2, 5, 24, 25, 1000, 5000] {
        let file = file(count);
        let head = head(&file).unwrap();
        assert_eq!((head.segment, head.segment_len, &head.accounts), (SEGMENT, 1234, &accounts()));
        assert_eq!(head.entries() as usize, count);
        let directory = directory(&head, &file);
        for (id, place) in entries(count) {
            assert!(directory.may_have(&id), "the filter of {count} lacks {id}");
            assert_eq!(find(&head, &file, &id), Some(place), "of {count}");
            let number = head.number_of(&id);
            assert_eq!(
                directory.starts(&(number..=number)),
                at(&file, head.starts_piece(&(number..=number)))
            );
        }
        for absent in count..count + 2000 {
            assert_eq!(find(&head, &file, &id(absent)), None);
        }
    }
}

#[test]
fn ids_that_somebody_chose_are_found_as_well() {
    // A tenth are what hashes are, the others have their first byte in common.
    let count = 80_000;
    let mut chosen: Vec<Entry> = entries(count / 10);
    chosen.extend((count / 10..count).map(|n| {
        let mut bytes = spread(n as u64);
        bytes[0] = 0x5a;
        (ObjectId::from_bytes(&bytes).unwrap(), Place::Object { offset: n as u32, stored: 1 })
    }));
    let file = encode_index(SEGMENT, 1234, &accounts(), chosen.clone()).concat();
    let head = head(&file).unwrap();
    let directory = directory(&head, &file);
    for (id, place) in chosen.iter().step_by(50) {
        assert_eq!(find(&head, &file, id), Some(*place));
        let numbers = head.numbers_between(id.prefix_u64(), id.prefix_u64());
        assert_eq!(directory.starts(&numbers), at(&file, head.starts_piece(&numbers)));
    }
    let numbers = head.numbers_between(0x5a << 56, 0x5b << 56);
    assert!(directory.entries(&numbers) > Some(72_000));
}

#[test]
fn starts_are_what_they_were_made_of_and_others_lead_nowhere() {
    let spread = Spread { entries: 100, bucket_bits: 2 };
    let starts = Starts::of(2, &[0, 30, 50, 50, 100]);
    assert_eq!(starts.spread(), spread);
    let entries = |numbers: RangeInclusive<usize>| {
        spread.entries_in(&numbers, starts.of_buckets(&numbers)).unwrap()
    };
    assert_eq!(
        [0..=0, 1..=1, 2..=2, 1..=3, 0..=3].map(entries),
        [0..30, 30..50, 50..50, 30..100, 0..100]
    );
    let forged = |first: u32, end: u32| {
        spread.entries_in(&(1..=1), &[first.to_le_bytes(), end.to_le_bytes()].concat())
    };
    assert_eq!(forged(0, 100), Some(0..100));
    for (first, end) in [(51, 50), (0, 101), (u32::MAX, u32::MAX)] {
        assert_eq!(forged(first, end), None, "{first}, {end}");
    }
    for len in [0, 4, 12] {
        assert_eq!(spread.entries_in(&(1..=1), &vec![0; len]), None, "{len} bytes");
    }
}

#[test]
fn the_buckets_between_two_positions_hold_all_entries_there() {
    let file = file(1000);
    let head = head(&file).unwrap();
    let directory = directory(&head, &file);
    let all: BTreeSet<ObjectId> = entries(1000).into_iter().map(|(id, _)| id).collect();
    for (first, last) in [(0, u64::MAX), (0, 0), (1 << 60, 1 << 62), (u64::MAX - 5, u64::MAX)] {
        let numbers = head.numbers_between(first, last);
        let starts = directory.starts(&numbers);
        assert_eq!(starts, at(&file, head.starts_piece(&numbers)));
        let buckets = head.buckets(numbers.clone(), starts).unwrap();
        let found: Vec<ObjectId> = buckets
            .iter()
            .flat_map(|bucket| head.all(*bucket, at(&file, bucket.piece)).unwrap())
            .map(|(id, _)| id)
            .collect();
        assert_eq!(directory.entries(&numbers), Some(found.len() as u64));
        assert!(found.is_sorted(), "buckets follow one another");
        let within = |id: &&ObjectId| (first..=last).contains(&id.prefix_u64());
        assert!(all.iter().filter(within).all(|id| found.contains(id)), "{first} to {last}");
    }
}

fn key(n: u64) -> Key {
    Key::of(&ObjectId::from_bytes(&spread(n)).unwrap())
}

fn keys(numbers: std::ops::Range<u64>) -> Vec<Key> {
    let ids: Vec<_> = numbers.map(|n| ObjectId::from_bytes(&spread(n)).unwrap()).collect();
    Key::all(ids.iter())
}

#[test]
fn a_filter_lets_through_its_own_ids_and_one_in_many_thousand_others() {
    for count in [1, 2, 3, 10, 100, 10_000, 200_000] {
        let filter = Filter::of(&keys(0..count));
        assert!(filter.shape().is_sane(u32::try_from(count).unwrap()));
        assert!((0..count).all(|n| filter.may_have(key(n))), "all of {count} pass");
        let absent = 400_000;
        let passed = (count..count + absent).filter(|n| filter.may_have(key(*n))).count();
        // 49 are to be expected.
        assert!((10..120).contains(&passed), "{passed} of {absent} pass that of {count}");
    }
    // Ids that only their first bytes tell apart are one to a filter, and pass.
    let same = [spread(1), spread(1), spread(2)].map(|mut bytes| {
        bytes[19] ^= bytes[0];
        ObjectId::from_bytes(&bytes).unwrap()
    });
    let filter = Filter::of(&Key::all(same.iter()));
    assert!(same.iter().all(|id| filter.may_have(Key::of(id))));
    // Keys that are too many find no places.
    assert_eq!(fill(Shape { window_bits: 3, seed: 0, windows: 1 }, &keys(0..100)), None);
    // Without ids, and when none of the hash functions will do, all pass.
    let open = Filter::of(&[]);
    assert!(open.bytes().is_empty() && open.may_have(key(1)));
}

/// Twenty bytes that differ in every place from those of other numbers.
fn spread(n: u64) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (word, salt) in bytes.chunks_mut(8).zip([3, 5, 7]) {
        let mixed = (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(salt as u32 * 9);
        let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        word.copy_from_slice(&mixed.to_le_bytes()[..word.len()]);
    }
    bytes
}

#[test]
fn earlier_indexes_are_made_again_earlier_segments_read_and_later_ones_refused() {
    let mut index = file(1000);
    for (version, refused) in [
        (1, super::HeaderError::Damaged),
        (2, super::HeaderError::Damaged),
        (3, super::HeaderError::Damaged),
        (5, super::HeaderError::Damaged),
        (6, super::HeaderError::Damaged),
        (7, super::HeaderError::Damaged),
        (9, super::HeaderError::Version(9)),
    ] {
        index[8] = version;
        assert_eq!(head_len(&index), Err(refused));
    }
    let mut segment = segment_header(SEGMENT);
    for (version, read) in [
        (1, Ok(SEGMENT)),
        (2, Ok(SEGMENT)),
        (3, Ok(SEGMENT)),
        (5, Err(super::HeaderError::Version(5))),
    ] {
        segment[8] = version;
        let crc = crc32c::crc32c(&segment[..24]);
        segment[24..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(parse_segment_header(&segment), read);
    }
}

#[test]
fn an_index_costs_less_than_three_bytes_of_memory_an_object() {
    // The first has as few entries a bucket as there can be, the second as many.
    for count in [98_304, 196_607] {
        let file = file(count);
        let bytes = directory(&head(&file).unwrap(), &file).memory_bytes();
        assert!(bytes * 10 < 28 * count, "{bytes} bytes for {count}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_an_index_is_noticed() {
    let whole = file(40);
    let sound = head(&whole).unwrap();
    let starts = sound.starts_piece(&sound.numbers());
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(head) = head(&flipped) else { continue };
        let directory = Bytes::copy_from_slice(at(&flipped, head.directory_piece()));
        let in_directory =
            (bit / 8) as u64 - head.directory_piece().offset < head.directory_piece().len as u64;
        assert_eq!(head.directory(directory).is_err(), in_directory, "bit {bit}");
        // Without the directory: what tells where a bucket is was flipped, or the bucket, or
        // else each is as it was.
        for number in head.numbers() {
            let pair = head.starts_piece(&(number..=number));
            let bucket = head.bucket(number, at(&flipped, pair));
            let read = bucket.and_then(|bucket| {
                let in_file = bucket.piece.offset + bucket.piece.len as u64 <= whole.len() as u64;
                assert!(in_file, "bit {bit}");
                head.all(bucket, at(&flipped, bucket.piece))
            });
            if let Ok(entries) = read {
                let bucket = sound.bucket(number, at(&whole, pair)).unwrap();
                assert_eq!(entries, sound.all(bucket, at(&whole, bucket.piece)).unwrap());
            } else {
                let byte = (bit / 8) as u64;
                assert!(byte >= starts.offset, "bit {bit}");
            }
        }
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

/// A chunk once had the number of a void, and was lost when it was read.
#[test]
fn a_record_of_every_kind_is_read_as_what_it_is_in_every_form() {
    let object = |kind, codec, stored| Content::Object { kind, size: 90, codec, stored };
    let kinds = [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag, Kind::Chunk];
    let forms = [(Codec::Raw, 90), (Codec::Lz4, 40), (Codec::Zstd, 40)];
    let objects =
        kinds.map(|kind| forms.map(|(codec, stored)| object(kind, codec, stored))).into_iter();
    let others = [Content::Tombstone { victim: 90 }, Content::Void { stored: 90 }];
    for content in objects.flatten().chain(others) {
        let head = RecordHead { id: id(0), content, begins: Begins::Nothing };
        let mut bytes = Vec::new();
        head.write(SEGMENT, 77, &mut bytes);
        assert_eq!(RecordHead::parse(&bytes, SEGMENT, 77), Some(head));
    }
}

#[test]
fn what_claims_more_data_than_a_record_has_is_damaged() {
    let max = DATA_BYTES_MAX;
    for (codec, size, stored, holds) in [
        (Codec::Raw, max, max, true),
        (Codec::Raw, max + 1, max + 1, false),
        (Codec::Raw, u32::MAX, u32::MAX, false),
        (Codec::Lz4, max, 40, true),
        (Codec::Lz4, max + 1, 40, false),
        (Codec::Zstd, max, max - 1, true),
        (Codec::Zstd, u32::MAX, u32::MAX - 1, false),
    ] {
        let content = Content::Object { kind: Kind::Blob, size, codec, stored };
        let mut bytes = Vec::new();
        RecordHead { id: id(0), content, begins: Begins::Nothing }.write(SEGMENT, 9, &mut bytes);
        assert_eq!(RecordHead::parse(&bytes, SEGMENT, 9).is_some(), holds, "{content:?}");

        let entry = (id(0), Place::Object { offset: 9, stored });
        let file = encode_index(SEGMENT, 1234, &accounts(), vec![entry]).concat();
        let head = head(&file).unwrap();
        let bucket = head.bucket(0, at(&file, head.starts_piece(&(0..=0)))).unwrap();
        let bytes = at(&file, bucket.piece);
        let holds = stored <= max;
        assert_eq!(head.find(bucket, bytes, &id(0)).is_ok(), holds, "{entry:?}");
        assert_eq!(head.all(bucket, bytes).is_ok(), holds, "{entry:?}");
    }
}

#[test]
fn headers_and_names_say_what_they_were_made_of() {
    assert_eq!(parse_segment_header(&segment_header(SEGMENT)), Ok(SEGMENT));
    assert_eq!(SegmentId::from_stem(&SEGMENT.to_string()), Some(SEGMENT));
    for strange in [
        "7-9-2",
        "00000009-00000007-00000002",
        "+0000007-00000009-00000002",
        "0000000A-0000000B-00000002",
        "00000007-00000009-00000002-",
    ] {
        assert_eq!(SegmentId::from_stem(strange), None);
    }
    let object = ObjectHead { id: id(0), kind: Kind::Tag, size_bytes: 1 << 40 };
    assert_eq!(parse_large_header(&large_header(&object)), Ok(object));
}
