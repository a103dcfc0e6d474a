//! The store in either world: durability, damage, whose directory it is.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, scratch};

use super::*;
use crate::limits;
use crate::object::{HashAlgorithm, Kind};

fn blob(text: &str) -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(text.to_owned())).unwrap()
}

fn blobs(count: usize) -> Vec<Object> {
    (0..count).map(|n| blob(&format!("object {n} {}", "x".repeat(n * 7 % 300)))).collect()
}

async fn open(disk: &Disk) -> Arc<SegmentStore> {
    SegmentStore::open(disk.clone(), StoreOptions::new(NodeId::new("n1"), true)).await.unwrap()
}

async fn put_all(store: &SegmentStore, objects: &[Object]) {
    for stored in store.put(objects.to_vec()).await {
        assert_eq!(stored.unwrap().durability, Durability::Synced);
    }
}

async fn holds(store: &SegmentStore, object: &Object) -> bool {
    match store.get(object.id()).await {
        Ok(Found::Object(found)) => {
            assert_eq!(found, *object);
            true
        }
        Ok(Found::Absent) | Err(StoreError::Damaged { .. }) => false,
        other => panic!("neither the object nor its absence: {other:?}"),
    }
}

/// The only segment file, as bytes.
async fn segment_bytes(disk: &Disk) -> (String, Bytes) {
    let names = disk.list("segments").await.unwrap();
    let path = format!("segments/{}", names[0]);
    let file = disk.open(&path, OpenMode::Read).await.unwrap();
    let len = usize::try_from(file.len().await.unwrap()).unwrap();
    (path, file.read_at(0, len).await.unwrap())
}

async fn overwrite(disk: &Disk, path: &str, bytes: Bytes) {
    let file = disk.open(path, OpenMode::ReadWrite).await.unwrap();
    file.set_len(bytes.len() as u64).await.unwrap();
    file.write_at_and_sync(0, vec![bytes]).await.unwrap();
}

#[tokio::test]
async fn what_was_put_is_found_again_after_reopening() {
    let scratch = scratch();
    let objects = blobs(100);
    let store = open(&scratch.disk).await;
    put_all(&store, &objects).await;
    store.close().await;
    let store = open(&scratch.disk).await;
    for object in &objects {
        assert!(holds(&store, object).await);
    }
    assert_eq!(store.stats().objects, 100);
    assert!(!holds(&store, &blob("never put")).await);
}

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
        let options = StoreOptions::new(NodeId::new("n1"), true);
        match SegmentStore::open(disk.clone(), options).await {
            Ok(store) => {
                let mut held = 0;
                for object in &objects {
                    held += usize::from(holds(&store, object).await);
                }
                assert_eq!(held, 3, "one record is hit by byte {place}");
                store.close().await;
            }
            Err(OpenError::Damaged { path: named } | OpenError::Version { path: named, .. }) => {
                assert_eq!(named, path);
                assert!(place < record::SEGMENT_HEADER_BYTES);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn concurrent_puts_share_their_syncs() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects = blobs(64);
    let puts = objects.iter().map(|object| store.put(vec![object.clone()]));
    for stored in join_all(puts).await {
        assert!(stored[0].is_ok());
    }
    assert!(store.stats().syncs <= 8, "{} syncs for 64 puts", store.stats().syncs);
}

#[tokio::test]
async fn a_second_put_of_an_object_writes_nothing() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let twice = vec![blob("same"), blob("same")];
    let stored: Vec<_> = store.put(twice).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(stored.iter().filter(|stored| stored.already_present).count(), 1);
    let written = store.stats().bytes_written;
    assert!(store.put(vec![blob("same")]).await[0].as_ref().unwrap().already_present);
    assert_eq!(store.stats().bytes_written, written);
    assert_eq!(store.stats().objects, 1);
}

#[tokio::test]
async fn bytes_that_are_not_the_id_s_are_refused_and_leave_nothing() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let (good, other) = (blob("good"), blob("other"));
    let forged = Object::claimed(good.id(), Kind::Blob, other.data().clone());
    let answers = store.put(vec![forged, other.clone()]).await;
    assert!(matches!(answers[0], Err(StoreError::HashMismatch(_))));
    assert!(answers[1].is_ok());
    assert!(!holds(&store, &good).await);
    let large = Bytes::from(vec![0; limits::OBJECT_BYTES_WHOLE_MAX + 1]);
    let large = Object::hash(HashAlgorithm::Sha1, Kind::Blob, large).unwrap();
    assert!(matches!(store.put(vec![large]).await[0], Err(StoreError::TooLarge { .. })));
    assert_eq!(store.stats().objects, 1);
}

#[tokio::test]
async fn a_directory_in_use_or_of_another_node_is_refused_untouched() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let store = open(disk).await;
    put_all(&store, &blobs(3)).await;
    let options = |name| StoreOptions::new(NodeId::new(name), true);
    let second = SegmentStore::open(disk.clone(), options("n1")).await;
    assert!(matches!(second, Err(OpenError::InUse)));
    store.close().await;
    let before = segment_bytes(disk).await;
    let names = disk.list("").await.unwrap();
    let stranger = SegmentStore::open(disk.clone(), options("n2")).await;
    assert!(matches!(stranger, Err(OpenError::OtherNode { owner, .. }) if owner.as_str() == "n1"));
    assert_eq!(segment_bytes(disk).await, before);
    assert_eq!(disk.list("").await.unwrap(), names);
}

fn large() -> (ObjectHead, Vec<Bytes>) {
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let object = Object::hash(HashAlgorithm::Sha256, Kind::Blob, Bytes::from(data)).unwrap();
    let parts = object.data().chunks(limits::PART_BYTES_MAX).map(Bytes::copy_from_slice);
    (object.head(), parts.collect())
}

async fn put_parts(
    store: &SegmentStore,
    head: ObjectHead,
    parts: &[Bytes],
) -> Result<Stored, StoreError> {
    let mut writer = store.put_large(head).await?;
    for part in parts {
        writer.write(part.clone()).await?;
    }
    writer.finish().await
}

async fn read_parts(store: &SegmentStore, id: ObjectId) -> Result<Vec<u8>, StoreError> {
    let mut reader = store.get_large(id).await?.expect("it was put");
    let mut data = Vec::new();
    while let Some(part) = reader.next().await? {
        data.extend_from_slice(&part);
    }
    Ok(data)
}

#[tokio::test]
async fn a_large_object_comes_back_in_parts_also_after_reopening() {
    let scratch = scratch();
    let (head, parts) = large();
    let store = open(&scratch.disk).await;
    let stored = put_parts(&store, head, &parts).await.unwrap();
    assert_eq!((stored.bytes, stored.already_present), (3_000_000, false));
    assert!(put_parts(&store, head, &parts).await.unwrap().already_present);
    put_all(&store, &blobs(3)).await;
    store.close().await;
    let store = open(&scratch.disk).await;
    assert!(matches!(store.get(head.id).await, Ok(Found::Large(found)) if found == head));
    assert_eq!(read_parts(&store, head.id).await.unwrap(), parts.concat());
    put_all(&store, &blobs(4)).await;
}

#[tokio::test]
async fn a_large_object_that_ends_early_or_hashes_otherwise_leaves_nothing() {
    let scratch = scratch();
    let (head, parts) = large();
    let store = open(&scratch.disk).await;
    let short = put_parts(&store, head, &parts[..2]).await;
    assert!(matches!(short, Err(StoreError::Truncated { .. })));
    let mut other = parts.clone();
    other.swap(0, 1);
    assert!(matches!(put_parts(&store, head, &other).await, Err(StoreError::HashMismatch(_))));
    let long = [parts.clone(), parts.clone()].concat();
    assert!(matches!(put_parts(&store, head, &long).await, Err(StoreError::TooLarge { .. })));
    assert!(matches!(store.get(head.id).await, Ok(Found::Absent)));
    store.close().await;
    assert!(scratch.disk.list("segments").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_large_object_is_an_error_at_the_latest_at_its_end() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let (head, parts) = large();
    let store = open(disk).await;
    put_parts(&store, head, &parts).await.unwrap();
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    flipped[1_500_000] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    let read = read_parts(&store, head.id).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn segments_roll_at_their_size_and_all_are_read_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let options = || StoreOptions::new(NodeId::new("n1"), true).segment_bytes_max(2_000);
    let objects = blobs(50);
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    for object in &objects {
        put_all(&store, std::slice::from_ref(object)).await;
    }
    store.close().await;
    assert!(disk.list("segments").await.unwrap().len() > 3);
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    for object in &objects {
        assert!(holds(&store, object).await);
    }
}

#[tokio::test]
async fn damage_at_the_end_of_a_sealed_segment_is_said_and_healed_by_a_new_put() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let options = || StoreOptions::new(NodeId::new("n1"), true).segment_bytes_max(150);
    let (first, second) = (blob(&"first ".repeat(9)), blob(&"second ".repeat(9)));
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    put_all(&store, std::slice::from_ref(&first)).await;
    put_all(&store, std::slice::from_ref(&second)).await;
    store.close().await;
    assert_eq!(disk.list("segments").await.unwrap().len(), 2);
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    assert!(matches!(store.get(first.id()).await, Err(StoreError::Damaged { .. })));
    assert_eq!(store.has(&[first.id(), second.id()]).await, [false, true]);
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
    flipped[record::SEGMENT_HEADER_BYTES + 20] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    let store = open(disk).await;
    assert_eq!(store.has(&[inner.id(), outer.id(), blob("last").id()]).await, [false, false, true]);
}

#[tokio::test]
async fn a_sound_record_of_other_bytes_is_not_returned() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let (asked, other) = (blob("asked for"), blob("some other data"));
    open(disk).await.close().await;
    let forged = ObjectHead { id: asked.id(), ..other.head() };
    let header = record::record_header(&forged, 0, record::SEGMENT_HEADER_BYTES as u64);
    let segment = [
        &record::segment_header(0, record::Contents::Many)[..],
        &header,
        other.data(),
        &crc32c::crc32c(other.data()).to_le_bytes(),
    ];
    let file = disk.open(&segment::path(0), OpenMode::CreateNew).await.unwrap();
    file.write_at(0, vec![Bytes::from(segment.concat())]).await.unwrap();
    let store = open(disk).await;
    assert_eq!(store.stats().objects, 1);
    assert!(matches!(store.get(asked.id()).await, Err(StoreError::Damaged { .. })));
    put_all(&store, std::slice::from_ref(&asked)).await;
    assert!(holds(&store, &asked).await);
}
