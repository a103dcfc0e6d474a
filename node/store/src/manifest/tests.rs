//! The manifest's text, and what is missing when a store is compared with it.

use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_host::disk::scratch;

use super::*;

fn id(n: u32) -> ObjectId {
    let algorithm = [HashAlgorithm::Sha1, HashAlgorithm::Sha256][n as usize % 2];
    Object::hash(algorithm, Kind::Blob, n.to_string().into()).unwrap().id()
}

fn sealed(len: u64, records: u64) -> Should {
    let ids = (records > 0).then(|| (id(1).min(id(2)), id(1).max(id(2))));
    Should::Sealed(Summary { len, records, ids, unread: 7 })
}

fn segment(first: u32, last: u32, generation: u32) -> SegmentId {
    SegmentId { last, first, generation }
}

/// One with a segment of each kind.
fn manifest() -> Manifest {
    let active = Should::Active { len: 300, records: 3, unread: 0 };
    let segments = [
        (segment(0, 2, 1), sealed(5_000, 40)),
        (segment(3, 3, 0), sealed(28, 0)),
        (segment(4, 4, 0), active),
    ];
    let large = Reach { generation: 2, len: 90 };
    let (sequence, next_segment, quarantine) = (12, 5, 3);
    Manifest { sequence, next_segment, quarantine, large, segments: segments.into() }
}

#[test]
fn what_was_written_is_read_again_and_no_part_or_flip_of_it_is() {
    let text = text::encode(&manifest()).into_bytes();
    assert_eq!(text::parse(&text), Ok(manifest()));
    for at in 0..text.len() {
        assert_eq!(text::parse(&text[..at]), Err(text::Error::Damaged), "cut at {at}");
        for bit in 0..8 {
            let mut flipped = text.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(text::parse(&flipped), Err(text::Error::Damaged), "byte {at}, bit {bit}");
        }
    }
    let later = "gitstratum manifest 2\nin another form\n";
    let later = format!("{later}{:08x}\n", crc32c::crc32c(later.as_bytes()));
    assert_eq!(text::parse(later.as_bytes()), Err(text::Error::Version(2)));
}

#[tokio::test]
async fn of_two_copies_the_newer_one_counts_and_what_is_wrong_with_the_other_is_said() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all(DIR).await.unwrap();
    let none = read(disk).await.unwrap();
    assert_eq!((none.manifest, none.trouble.len()), (None, 2));
    let newer = manifest();
    write(disk, "", &newer).await.unwrap();
    assert_eq!(read(disk).await.unwrap(), Read { manifest: Some(newer.clone()), trouble: vec![] });
    let older = Manifest { sequence: newer.sequence - 1, ..Manifest::default() };
    let [root, inner] = paths();
    for (path, other) in [(&root, &inner), (&inner, &root)] {
        let cases = [
            (text::encode(&older), format!("{path} is older than {other}")),
            (text::encode(&newer)[1..].to_owned(), format!("{path} is damaged")),
            (String::new(), format!("{path} is damaged")),
        ];
        for (contents, trouble) in cases {
            write(disk, "", &newer).await.unwrap();
            disk.replace(path, contents.into()).await.unwrap();
            let found = read(disk).await.unwrap();
            assert_eq!(found, Read { manifest: Some(newer.clone()), trouble: vec![trouble] });
        }
        disk.remove(path).await.unwrap();
        let trouble = vec![format!("{path} is missing")];
        assert_eq!(read(disk).await.unwrap(), Read { manifest: Some(newer.clone()), trouble });
    }
}

#[test]
fn what_is_less_than_the_manifest_says_is_lost_and_what_is_more_is_not() {
    let whole = [
        (segment(0, 2, 1), OnDisk { len: 5_000, records: 40, unread: 7 }),
        (segment(3, 3, 0), OnDisk { len: 28, records: 0, unread: 0 }),
        (segment(4, 4, 0), OnDisk { len: 300, records: 3, unread: 0 }),
    ];
    let paths = |held: &[(SegmentId, OnDisk)]| {
        let lost = compare(&manifest(), &held.iter().copied().collect());
        lost.into_iter().map(|(path, lost)| (path, lost.records)).collect::<Vec<_>>()
    };
    let path = |first, last, generation| {
        crate::files::names::segment_path(segment(first, last, generation))
    };
    let with = |place: usize, held: OnDisk| {
        let mut changed = whole;
        changed[place].1 = held;
        paths(&changed)
    };
    assert_eq!(paths(&whole), []);
    // Sealed: cut, of fewer records, longer.
    let first = path(0, 2, 1);
    let lost = |path: &str, records| vec![(path.to_owned(), Some(records))];
    assert_eq!(with(0, OnDisk { len: 4_999, records: 40, unread: 7 }), lost(&first, 1));
    assert_eq!(with(0, OnDisk { len: 4_000, records: 30, unread: 7 }), lost(&first, 10));
    assert_eq!(with(0, OnDisk { len: 5_000, records: 39, unread: 7 }), lost(&first, 1));
    assert_eq!(with(0, OnDisk { len: 5_001, records: 40, unread: 7 }), lost(&first, 1));
    // What cannot be read in it is noted for itself.
    assert_eq!(with(0, OnDisk { len: 5_000, records: 39, unread: 8 }), []);
    // The active one grows, and has at least what it had.
    let last = path(4, 4, 0);
    assert_eq!(with(2, OnDisk { len: 9_000, records: 50, unread: 0 }), []);
    assert_eq!(with(2, OnDisk { len: 299, records: 3, unread: 0 }), lost(&last, 1));
    assert_eq!(with(2, OnDisk { len: 300, records: 1, unread: 0 }), lost(&last, 2));
    // Missing; an empty one takes nothing along.
    assert_eq!(paths(&whole[1..]), lost(&first, 40));
    assert_eq!(paths(&[whole[0], whole[2]]), []);
    assert_eq!(paths(&whole[..2]), lost(&last, 3));
    // What compaction made stands for what it was made of.
    let compacted = (segment(0, 3, 2), OnDisk { len: 3_000, records: 20, unread: 0 });
    assert_eq!(paths(&[compacted, whole[2]]), []);
    // A segment that was begun later shows that the manifest is old, unless it has no record.
    let begun = |len, records| {
        let held = OnDisk { len, records, unread: 0 };
        paths(&[whole[0], whole[1], whole[2], (segment(5, 5, 0), held)])
    };
    assert_eq!(begun(28, 0), []);
    assert_eq!(begun(90, 1), [(FILE.to_owned(), None)]);
}

#[test]
fn only_ids_within_the_range_that_was_lost_are_in_doubt() {
    let ids = [id(1), id(2), id(3)];
    let (low, high) = (ids.iter().min().unwrap(), ids.iter().max().unwrap());
    let lost =
        |ids| UnidentifiedRecords { records: Some(3), ids, reason: "it is missing".to_owned() };
    let within = lost(Some((*low, *high)));
    assert!(ids.iter().all(|id| within.may_have(id)));
    let lowest = lost(Some((*low, *low)));
    assert!(lowest.may_have(low) && !lowest.may_have(high));
    assert!(lost(None).may_have(high));
    let said = within.to_string();
    assert!(said.contains("3 records") && said.contains(&low.to_string()), "{said}");
}
