//! Damaged files: the right bytes or an error, never others.

use std::time::Duration;

use bytes::BytesMut;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::replica::StoreError;

use super::*;
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId, segment_header};
use crate::state::view::{Bad, BadPlace};

#[tokio::test]
async fn a_tail_torn_at_any_byte_costs_only_the_last_record() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let (first, last) = (blob("first"), blob("the last one"));
    let store = open(disk).await;
    put_all(&store, std::slice::from_ref(&first)).await;
    let whole = store.stats().disk_bytes;
    put_all(&store, std::slice::from_ref(&last)).await;
    store.close().await;
    let (path, bytes) = segment_bytes(disk).await;
    for cut in usize::try_from(whole).unwrap()..bytes.len() {
        overwrite(disk, &path, bytes.slice(..cut)).await;
        let store = open(disk).await;
        assert!(holds(&store, &first).await, "cut at {cut}");
        assert!(!holds(&store, &last).await, "cut at {cut}");
        assert_eq!(store.stats().disk_bytes, whole, "cut at {cut}");
        put_all(&store, std::slice::from_ref(&last)).await;
        assert!(holds(&store, &last).await);
        store.close().await;
    }
}

#[tokio::test]
async fn a_flipped_byte_gives_the_right_bytes_or_an_error_never_others() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(4);
    let store = open(disk).await;
    put_all(&store, &objects).await;
    store.close().await;
    let (path, bytes) = segment_bytes(disk).await;
    for place in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 0x40;
        overwrite(disk, &path, flipped.into()).await;
        // The damage of the byte before is gone, and what was noted of it.
        let _ = disk.remove(quarantine::FILE).await;
        let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
        match SegmentStore::open(disk.clone(), options).await {
            Ok(store) => {
                let mut held = 0;
                for object in &objects {
                    held += usize::from(holds(&store, object).await);
                }
                // Records say themselves where they belong: they do not need the header.
                let hit = usize::from(place >= SEGMENT_HEADER_BYTES);
                assert_eq!(held, objects.len() - hit, "byte {place}");
                store.close().await;
            }
            Err(
                OpenError::Damaged { path: named }
                | OpenError::Newer(NewerFormat { what: named, .. }),
            ) => {
                assert_eq!(named, path);
                assert!(place < SEGMENT_HEADER_BYTES);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_was_damaged_and_put_again_is_there_for_every_question() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let object = blob(&"rots ".repeat(9));
    let store = open(disk).await;
    put_all(&store, std::slice::from_ref(&object)).await;
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    flipped[SEGMENT_HEADER_BYTES + 50] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    assert!(matches!(store.get(object.id()).await, Err(StoreError::Damaged { .. })));
    assert!(!store.has(&[object.id()]).await.unwrap()[0]);
    let again = async || store.put(vec![object.clone()]).await.remove(0).unwrap();
    assert!(!again().await.already_present);
    assert!(holds(&store, &object).await);
    assert!(store.has(&[object.id()]).await.unwrap()[0]);
    assert!(again().await.already_present);
}

#[tokio::test]
async fn damage_at_the_end_of_a_sealed_segment_is_said_and_healed_by_a_new_put() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let options = || StoreOptions::new(NodeId::new("n1"), Fsync::Always).segment_bytes_max(150);
    let (first, second) = (blob(&"first ".repeat(9)), blob(&"second ".repeat(9)));
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    put_all(&store, std::slice::from_ref(&first)).await;
    put_all(&store, std::slice::from_ref(&second)).await;
    store.close().await;
    let names = disk.list("segments").await.unwrap();
    assert_eq!(names.len(), 4, "two segments, an index and a manifest: {names:?}");
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    assert!(matches!(store.get(first.id()).await, Err(StoreError::Damaged { .. })));
    assert_eq!(store.has(&[first.id(), second.id()]).await.unwrap(), [false, true]);
    put_all(&store, std::slice::from_ref(&first)).await;
    assert!(holds(&store, &first).await);
    store.close().await;
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    assert!(holds(&store, &first).await && holds(&store, &second).await);
}

/// The file of a store that holds this object and nothing else.
async fn a_segment_with(object: &Object) -> Bytes {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    put_all(&store, std::slice::from_ref(object)).await;
    store.close().await;
    segment_bytes(&scratch.disk).await.1
}

#[tokio::test]
async fn a_record_inside_an_object_is_never_taken_for_one() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let inner = blob("never put by itself");
    let other = a_segment_with(&inner).await;
    let outer = Object::hash(HashAlgorithm::Sha1, Kind::Blob, other).expect("no collision attack");
    let store = open(disk).await;
    put_all(&store, &[outer.clone(), blob("last")]).await;
    store.close().await;
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    // The outer record's header no longer holds, so the scan searches its data.
    flipped[SEGMENT_HEADER_BYTES + 20] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    let store = open(disk).await;
    assert_eq!(
        store.has(&[inner.id(), outer.id(), blob("last").id()]).await.unwrap(),
        [false, false, true]
    );
}

#[tokio::test]
async fn scrub_finds_a_sound_record_of_other_bytes() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let (asked, other) = (blob("asked for"), blob("some other data"));
    open(disk).await.close().await;
    let segment = SegmentId::fresh(0);
    let forged = Object::claimed(asked.id(), Kind::Blob, other.data().clone());
    let forged = encode::EncodedRecord::of_object(forged, None);
    let header = Bytes::copy_from_slice(&segment_header(segment));
    let arena = &mut BytesMut::new();
    let record =
        encode::encode(&[&forged], segment, header.len() as u64, encode::Follows::Durable, arena);
    let file = disk.open(&names::segment_path(segment), OpenMode::CreateNew).await.unwrap();
    file.write_at(0, [vec![header], record].concat()).await.unwrap();
    let store = open(disk).await;
    assert_eq!(store.stats().objects, 1);
    let damaged = store.scrub(None).await.unwrap().damaged;
    assert_eq!(damaged.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [asked.id()]);
    assert!(matches!(store.get(asked.id()).await, Err(StoreError::Damaged { .. })));
    put_all(&store, std::slice::from_ref(&asked)).await;
    assert!(holds(&store, &asked).await);
}

#[tokio::test]
async fn where_an_id_cannot_be_read_nothing_missing_is_called_absent() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(4);
    let store = open(disk).await;
    put_all(&store, &objects).await;
    store.close().await;
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    flipped[SEGMENT_HEADER_BYTES + 20] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    for _ in 0..2 {
        let store = open(disk).await;
        let never_put = blob("never put");
        for lost in [&objects[0], &never_put] {
            let got = store.get(lost.id()).await;
            assert!(matches!(got, Err(StoreError::Damaged { .. })), "{got:?}");
            assert_eq!(store.has(&[lost.id()]).await.unwrap(), [false]);
        }
        assert_eq!(store.stats().damaged_objects, 1);
        store.seal().await.unwrap();
        store.close().await;
    }
    let store = open(disk).await;
    put_all(&store, &objects).await;
    for object in &objects {
        assert!(holds(&store, object).await);
    }
}

#[tokio::test]
async fn verify_says_which_file_it_cannot_read_and_reads_the_others() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(30);
    let store = open(disk).await;
    for part in objects.chunks(10) {
        put_all(&store, part).await;
        store.seal().await.unwrap();
    }
    store.close().await;
    // A directory has a name and a length, and cannot be read.
    let path = names::segment_path(SegmentId::fresh(1));
    disk.remove(&path).await.unwrap();
    disk.create_dir_all(&path).await.unwrap();
    let found = offline::verify(disk, |_, _| {}).await.unwrap();
    assert_eq!((found.sound, found.remarks.len()), (20, 0), "{found:?}");
    let [problem] = &found.problems[..] else { panic!("{found:?}") };
    assert!(problem.contains(&path), "{problem}");
}

#[tokio::test]
async fn a_snapshot_knows_what_is_damaged_here() {
    for has_index in [true, false] {
        let scratch = scratch();
        let disk = &scratch.disk;
        let objects = blobs(20);
        let store = open(disk).await;
        put_all(&store, &objects).await;
        store.seal().await.unwrap();
        // The newest segment would be gone on with instead.
        put_all(&store, &[blob("later")]).await;
        store.close().await;
        let (path, whole) = segment_bytes(disk).await;
        let mut flipped = whole.to_vec();
        // The head of the first record; without its index nobody knows whose that was.
        flipped[SEGMENT_HEADER_BYTES + 20] ^= 1;
        overwrite(disk, &path, flipped.into()).await;
        if !has_index {
            disk.remove(&path.replace(".seg", ".idx")).await.unwrap();
        }
        let store = open(disk).await;
        let lost = store.get(objects[0].id()).await;
        assert!(matches!(lost, Err(StoreError::Damaged { .. })), "{lost:?}");
        let snapshot = store.snapshot("monday").await.unwrap();
        let (_, here) = bytes_of(disk, quarantine::FILE.to_owned()).await;
        let (_, there) = bytes_of(disk, format!("{}/{}", snapshot.path, quarantine::FILE)).await;
        assert_eq!(here, there);
        assert!(there.len() > 30, "{there:?}");
    }
}

#[tokio::test]
async fn a_full_list_of_damage_is_read_again_and_compaction_leaves_what_it_could_not_note() {
    let scratch = scratch();
    let objects = blobs(20);
    let store = open(&scratch.disk).await;
    put_all(&store, &objects).await;
    store.seal().await.unwrap();
    let (path, whole) = segment_bytes(&scratch.disk).await;
    let lost = &objects[19];
    {
        let mut view = store.shared.view();
        for n in 0..limits::QUARANTINED_MAX {
            let text = n.to_string();
            let id = Object::hash(HashAlgorithm::Sha256, Kind::Blob, text.into()).unwrap().id();
            let (segment, offset) = (view.sealed[0].id(), u32::MAX);
            let at = BadPlace::Record { segment, offset };
            assert!(view.note(id, Bad::wrong(at, u64::MAX, "very ".repeat(50))));
        }
    }
    store.shared.damage.save().await.unwrap();
    store.delete(&objects[..19].iter().map(Object::id).collect::<Vec<_>>()).await.unwrap();
    store.seal().await.unwrap();
    store.close().await;
    let mut flipped = whole.to_vec();
    let last = whole.len() - 1;
    flipped[last] ^= 1;
    overwrite(&scratch.disk, &path, flipped.into()).await;

    let store = open(&scratch.disk).await;
    assert_eq!(store.shared.view().bad.len(), limits::QUARANTINED_MAX);
    let damaged = async || matches!(store.get(lost.id()).await, Err(StoreError::Damaged { .. }));
    assert!(damaged().await);
    let error = store.compact(CompactOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("the list is full"), "{error}");
    assert!(scratch.disk.exists(&path).await.unwrap() && damaged().await);
    // It is forgotten when nothing is left of its segment, and then there is room.
    store.shared.view().bad.clear();
    store.compact(CompactOptions::default()).await.unwrap();
    assert!(!scratch.disk.exists(&path).await.unwrap() && damaged().await);
}

#[tokio::test]
async fn an_index_of_an_earlier_version_or_a_damaged_directory_is_made_again() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects = blobs(300);
    put_all(&store, &objects).await;
    store.seal().await.unwrap();
    // The newest segment would be gone on with instead.
    put_all(&store, &[blob("later")]).await;
    store.close().await;
    let names = scratch.disk.list("segments").await.unwrap();
    let name = names.iter().find(|name| name.ends_with(".idx")).expect("a segment was sealed");
    let (path, whole) = bytes_of(&scratch.disk, format!("segments/{name}")).await;
    // The version, which opening reads, and the filter, which it does not.
    for (at, byte) in [(8, 2), (300, whole[300] ^ 4)] {
        let mut changed = whole.to_vec();
        changed[at] = byte;
        overwrite(&scratch.disk, &path, changed.into()).await;
        let store = open(&scratch.disk).await;
        for object in &objects {
            assert!(holds(&store, object).await, "byte {at} changed");
        }
        assert!(!store.has(&[blob("another").id()]).await.unwrap()[0]);
        let mended = async {
            while bytes_of(&scratch.disk, path.clone()).await.1 != whole {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mended = tokio::time::timeout(Duration::from_secs(10), mended).await;
        mended.unwrap_or_else(|_| panic!("byte {at} stays changed"));
        store.close().await;
    }
}
