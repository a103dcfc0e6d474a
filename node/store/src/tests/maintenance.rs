//! Deletion, compaction, scrub, snapshots.

use gitstratum_core::replica::{Deleted, Found, StoreError};

use super::*;
use crate::format::record::header_len;
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId};

fn small_segments() -> StoreOptions {
    StoreOptions::new(NodeId::new("n1"), Fsync::Always).segment_bytes_max(2_000)
}

async fn open_small(disk: &Disk) -> Arc<SegmentStore> {
    SegmentStore::open(disk.clone(), small_segments()).await.unwrap()
}

async fn put_one_by_one(store: &SegmentStore, objects: &[Object]) {
    for object in objects {
        put_all(store, std::slice::from_ref(object)).await;
    }
}

fn ids(objects: &[Object]) -> Vec<ObjectId> {
    objects.iter().map(Object::id).collect()
}

/// Just `held` of `objects` are there, and the counters say so.
async fn assert_held(store: &SegmentStore, objects: &[Object], held: impl Fn(usize) -> bool) {
    let (mut count, mut bytes) = (0, 0);
    for (n, object) in objects.iter().enumerate() {
        assert_eq!(holds(store, object).await, held(n), "object {n}");
        if held(n) {
            count += 1;
            bytes += object.size_bytes();
        }
    }
    let stats = store.stats();
    assert_eq!((stats.objects, stats.payload_bytes), (count, bytes));
}

#[tokio::test]
async fn what_was_deleted_stays_deleted_and_can_be_put_again() {
    let scratch = scratch();
    let objects = blobs(50);
    let store = open_small(&scratch.disk).await;
    put_one_by_one(&store, &objects).await;
    let odd: Vec<_> = objects.iter().skip(1).step_by(2).map(Object::id).collect();
    let payload_bytes = objects.iter().skip(1).step_by(2).map(Object::size_bytes).sum();
    // Some are named twice.
    let deleted = store.delete(&[&odd[..], &odd[..3]].concat()).await.unwrap();
    assert_eq!(deleted, Deleted { objects: 25, payload_bytes });
    assert_eq!(store.delete(&odd).await.unwrap(), Deleted::default());
    assert_held(&store, &objects, |n| n.is_multiple_of(2)).await;
    store.close().await;
    let store = open_small(&scratch.disk).await;
    assert_held(&store, &objects, |n| n.is_multiple_of(2)).await;
    put_one_by_one(&store, &objects[..10]).await;
    assert_held(&store, &objects, |n| n.is_multiple_of(2) || n < 10).await;
    store.close().await;
    assert_held(&*open_small(&scratch.disk).await, &objects, |n| n.is_multiple_of(2) || n < 10)
        .await;
}

#[tokio::test]
async fn the_counters_are_the_same_when_the_index_of_a_compacted_segment_is_made_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(60);
    let store = open(disk).await;
    put_one_by_one(&store, &objects[..40]).await;
    store.seal().await.unwrap();
    // Their tombstones lie among objects of which most go, and stay as long as they do.
    let killed = ids(&objects[..10]);
    store.delete(&killed).await.unwrap();
    put_one_by_one(&store, &objects[40..]).await;
    store.seal().await.unwrap();
    store.delete(&ids(&objects[45..])).await.unwrap();
    store.seal().await.unwrap();
    let done = store.compact(CompactOptions::default()).await.unwrap();
    assert_eq!(done.segments, 1);
    let held = |n: usize| (10..45).contains(&n);
    assert_held(&store, &objects, held).await;
    let before = store.stats();
    store.close().await;

    let names = disk.list("segments").await.unwrap();
    let indexes = names.iter().filter(|name| name.ends_with(".idx"));
    for name in indexes {
        disk.remove(&format!("segments/{name}")).await.unwrap();
    }
    let store = open(disk).await;
    assert_held(&store, &objects, held).await;
    assert_eq!(store.stats().garbage_bytes, before.garbage_bytes);
}

#[tokio::test]
async fn compaction_frees_what_was_deleted_and_brings_nothing_back() {
    let scratch = scratch();
    let objects = blobs(200);
    let store = open_small(&scratch.disk).await;
    put_one_by_one(&store, &objects).await;
    let before = store.stats().disk_bytes;
    let kept = |n: usize| n.is_multiple_of(5) || n > 180;
    let gone: Vec<_> =
        objects.iter().enumerate().filter(|(n, _)| !kept(*n)).map(|(_, o)| o.id()).collect();
    store.delete(&gone).await.unwrap();
    store.seal().await.unwrap();
    for _ in 0..3 {
        let done = store.compact(CompactOptions::default()).await.unwrap();
        assert!(done.bytes_after <= done.bytes_before);
        assert_held(&store, &objects, kept).await;
    }
    let after = store.stats();
    assert!(after.disk_bytes < before * 3 / 5, "{} of {before} bytes left", after.disk_bytes);
    let idle = store.compact(CompactOptions::default()).await.unwrap();
    assert_eq!(idle, Compacted::default(), "compaction comes to an end");
    store.close().await;
    let store = open_small(&scratch.disk).await;
    assert_held(&store, &objects, kept).await;
    assert_eq!(store.stats().disk_bytes, after.disk_bytes);
    put_one_by_one(&store, &objects).await;
    assert_held(&store, &objects, |_| true).await;
}

#[tokio::test]
async fn a_deletion_while_its_segment_is_compacted_is_not_undone() {
    let scratch = scratch();
    let objects = blobs(60);
    let store = open_small(&scratch.disk).await;
    put_one_by_one(&store, &objects).await;
    store.delete(&ids(&objects[..30])).await.unwrap();
    store.seal().await.unwrap();
    let late = ids(&objects[30..]);
    let slowly = CompactOptions { bytes_per_second: Some(50_000), ..CompactOptions::default() };
    let (compacted, deleted) =
        futures_util::future::join(store.compact(slowly), store.delete(&late)).await;
    assert!(compacted.unwrap().segments > 0);
    assert_eq!(deleted.unwrap().objects, 30);
    assert_held(&store, &objects, |_| false).await;
    store.close().await;
    assert_held(&*open_small(&scratch.disk).await, &objects, |_| false).await;
}

#[tokio::test]
async fn compaction_counts_what_it_reads_and_what_it_writes_against_its_rate() {
    const RATE: u64 = 200_000;
    let scratch = scratch();
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always)
        .segment_bytes_max(20_000)
        .compression(Compression::None);
    let store = SegmentStore::open(scratch.disk.clone(), options).await.unwrap();
    let objects: Vec<Object> = (0..40).map(|n| blob(&format!("{n:01000}"))).collect();
    put_one_by_one(&store, &objects).await;
    store.seal().await.unwrap();
    let deleted: Vec<Object> = objects.iter().step_by(10).cloned().collect();
    store.delete(&ids(&deleted)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let options = CompactOptions { garbage_share_min: 0.01, bytes_per_second: Some(RATE) };
    let compacted = store.compact(options).await.unwrap();
    assert!(compacted.bytes_after > 30_000, "{compacted:?}");
    // Indexes are not counted, which are a tenth of it at most.
    let moved = (compacted.bytes_before + compacted.bytes_after) * 9 / 10;
    let least = std::time::Duration::from_secs_f64(moved as f64 / RATE as f64);
    assert!(begun.elapsed() >= least, "{compacted:?} within {:?}", begun.elapsed());
}

async fn flip(disk: &Disk, path: &str, place: usize) {
    let (path, bytes) = bytes_of(disk, path.to_owned()).await;
    let mut flipped = bytes.to_vec();
    flipped[place] ^= 1;
    overwrite(disk, &path, flipped.into()).await;
}

#[tokio::test]
async fn a_record_whose_head_is_damaged_does_not_hide_from_scrub() {
    // In the segment that puts are appended to, and in one that is sealed.
    for sealed in [false, true] {
        let scratch = scratch();
        let disk = &scratch.disk;
        let objects = blobs(50);
        let store = if sealed { open_small(disk).await } else { open(disk).await };
        put_one_by_one(&store, &objects).await;
        let before = store.scrub(None).await.unwrap().counts;
        let (path, _) = segment_bytes(disk).await;
        flip(disk, &path, SEGMENT_HEADER_BYTES + 20).await;
        let Scrubbed { counts, damaged, .. } = store.scrub(None).await.unwrap();
        assert_eq!(damaged.len(), 1, "sealed: {sealed}; {damaged:?}");
        assert_eq!((counts.records, counts.bytes), (before.records, before.bytes), "all is read");
        let (id, _) = damaged[0];
        assert!(matches!(store.get(id).await, Err(StoreError::Damaged { .. })));
        assert_eq!(store.stats().damaged_objects, 1);
        let object = objects.iter().find(|object| object.id() == id).unwrap();
        put_all(&store, std::slice::from_ref(object)).await;
        assert!(holds(&store, object).await);
        assert_eq!(store.scrub(None).await.unwrap().damaged, []);
    }
}

#[tokio::test]
async fn scrub_finds_damage_that_stays_known_until_the_object_is_put_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(50);
    let store = open_small(disk).await;
    put_one_by_one(&store, &objects).await;
    let (head, parts) = large();
    put_parts(&store, head, &parts).await.unwrap();
    assert_eq!(store.scrub(None).await.unwrap().damaged, []);
    let (path, bytes) = segment_bytes(disk).await;
    flip(disk, &path, bytes.len() - 5).await;
    flip(disk, &names::large_path(head.id), 1_000_000).await;
    let scrubbed = store.scrub(None).await.unwrap();
    assert_eq!(scrubbed.damaged.len(), 2, "{:?}", scrubbed.damaged);
    assert_eq!(store.stats().damaged_objects, 2);
    let hit = scrubbed.damaged.iter().find(|(id, _)| *id != head.id).unwrap().0;
    assert_eq!(store.has(&[hit, head.id]).await.unwrap(), [false, false]);
    store.close().await;
    let store = open_small(disk).await;
    assert_eq!(store.stats().damaged_objects, 2);
    for id in [hit, head.id] {
        assert!(matches!(store.get(id).await, Err(StoreError::Damaged { .. })));
    }
    let object = objects.iter().find(|object| object.id() == hit).unwrap();
    assert_eq!(store.scrub(None).await.unwrap().damaged.len(), 2);
    assert_eq!(store.scrub_numbers().damaged.len(), 2);
    assert!(!put_parts(&store, head, &parts).await.unwrap().already_present);
    put_all(&store, std::slice::from_ref(object)).await;
    for _ in 0..2 {
        assert_eq!(store.stats().damaged_objects, 0);
        assert_eq!(store.scrub_numbers().damaged, [], "it was put again");
        assert!(holds(&store, object).await);
        assert_eq!(read_parts(&store, head.id).await.unwrap(), parts.concat());
        store.close().await;
        let _again = open_small(disk).await;
        _again.close().await;
    }
}

#[tokio::test]
async fn a_damaged_record_is_not_copied_and_stays_damaged_not_absent() {
    // Found by scrub, or first by the compaction; in its data, or in its head, which hides it.
    for (scrubbed, in_head) in [(true, false), (true, true), (false, false), (false, true)] {
        let scratch = scratch();
        let disk = &scratch.disk;
        let objects = blobs(12);
        let store = open_small(disk).await;
        put_one_by_one(&store, &objects).await;
        store.seal().await.unwrap();
        let (path, _) = segment_bytes(disk).await;
        let hit = objects[0].id();
        let data = SEGMENT_HEADER_BYTES + header_len(hit.algorithm()) + 1;
        flip(disk, &path, if in_head { SEGMENT_HEADER_BYTES + 20 } else { data }).await;
        if scrubbed {
            assert_eq!(store.scrub(None).await.unwrap().damaged[0].0, hit);
        }
        store.delete(&ids(&objects[1..])).await.unwrap();
        store.seal().await.unwrap();
        assert!(store.compact(CompactOptions::default()).await.unwrap().segments > 0);
        assert_eq!(store.stats().garbage_bytes, 0);
        for _ in 0..2 {
            assert!(matches!(store.get(hit).await, Err(StoreError::Damaged { .. })));
            assert_eq!((store.stats().objects, store.stats().damaged_objects), (0, 1));
            store.close().await;
        }
        let store = open_small(disk).await;
        assert!(matches!(store.get(hit).await, Err(StoreError::Damaged { .. })));
        put_all(&store, &objects[..1]).await;
        assert!(holds(&store, &objects[0]).await);
        assert_eq!((store.stats().objects, store.stats().damaged_objects), (1, 0));
    }
}

/// An object that takes about as many bytes as it has on the disk.
fn dense(number: usize, bytes: usize) -> Object {
    let ids = (0..).map(|part| blob(&format!("{number} {part}")).id());
    let data: Vec<u8> = ids.flat_map(|id| id.as_bytes().to_vec()).take(bytes).collect();
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data)).unwrap()
}

#[tokio::test]
async fn what_was_deleted_stays_so_when_its_tombstone_is_damaged_and_compacted() {
    for in_head in [true, false] {
        let scratch = scratch();
        let disk = &scratch.disk;
        let [gone, kept, garbage] = [dense(0, 300), dense(1, 4_000), dense(2, 2_000)];
        let store = open(disk).await;
        put_all(&store, &[gone.clone(), kept.clone()]).await;
        store.seal().await.unwrap();
        store.delete(&[gone.id()]).await.unwrap();
        put_all(&store, std::slice::from_ref(&garbage)).await;
        store.seal().await.unwrap();
        store.delete(&[garbage.id()]).await.unwrap();
        store.seal().await.unwrap();
        let path = names::segment_path(SegmentId::fresh(1));
        let data = header_len(gone.id().algorithm()) + 1;
        flip(disk, &path, SEGMENT_HEADER_BYTES + if in_head { 20 } else { data }).await;
        // The segment with the tombstone, and neither the one before nor the one behind it.
        let compacted = store.compact(CompactOptions::default()).await.unwrap();
        assert_eq!(compacted.segments, 1, "{compacted:?}");
        for _ in 0..2 {
            for deleted in [&gone, &garbage] {
                assert!(matches!(store.get(deleted.id()).await, Ok(Found::Absent)), "{in_head}");
            }
            assert!(holds(&store, &kept).await);
            store.close().await;
        }
        let store = open(disk).await;
        assert!(matches!(store.get(gone.id()).await, Ok(Found::Absent)));
        assert!(holds(&store, &kept).await);
    }
}

#[tokio::test]
async fn an_index_that_is_lost_or_damaged_is_made_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(50);
    let store = open_small(disk).await;
    put_one_by_one(&store, &objects).await;
    store.delete(&ids(&objects[..9])).await.unwrap();
    store.seal().await.unwrap();
    let names = disk.list("segments").await.unwrap();
    let indexes: Vec<_> = names.iter().filter(|name| name.ends_with(".idx")).collect();
    let path = format!("segments/{}", indexes[0]);
    let (_, bytes) = bytes_of(disk, path.clone()).await;
    // Among the entries, so that it is a get that meets it.
    flip(disk, &path, bytes.len() - 3).await;
    assert_held(&store, &objects, |n| n >= 9).await;
    assert_eq!(bytes_of(disk, path.clone()).await.1, bytes);
    store.close().await;
    flip(disk, &path, 60).await;
    disk.remove(&format!("segments/{}", indexes[1])).await.unwrap();
    let store = open_small(disk).await;
    assert_held(&store, &objects, |n| n >= 9).await;
    assert_eq!(bytes_of(disk, path).await.1, bytes);
}

#[tokio::test]
async fn a_snapshot_keeps_what_was_there_whatever_becomes_of_the_store() {
    let scratch = scratch();
    let objects = blobs(60);
    let (head, parts) = large();
    let store = open_small(&scratch.disk).await;
    put_one_by_one(&store, &objects[..50]).await;
    put_parts(&store, head, &parts).await.unwrap();
    let snapshot = store.snapshot("monday").await.unwrap();
    assert!(matches!(store.snapshot("monday").await, Err(StoreError::Snapshot { .. })));
    assert!(matches!(store.snapshot("../up").await, Err(StoreError::Snapshot { .. })));
    put_one_by_one(&store, &objects[50..]).await;
    store.delete(&ids(&objects)).await.unwrap();
    store.delete(&[head.id]).await.unwrap();
    store.seal().await.unwrap();
    store
        .compact(CompactOptions { garbage_share_min: 0.0, ..CompactOptions::default() })
        .await
        .unwrap();
    assert_held(&store, &objects, |_| false).await;
    let segments = scratch.disk.list(&format!("{}/segments", snapshot.path)).await.unwrap();
    assert!(segments.len() > 4, "{segments:?}");
    let complete = format!("{}/complete", snapshot.path);
    assert!(scratch.disk.exists(&complete).await.unwrap());
    // As after a crash on the way, or with a full disk.
    scratch.disk.remove(&complete).await.unwrap();
    let again = store.snapshot("monday").await.unwrap_err().to_string();
    assert!(again.contains("was not completed: remove snapshots/monday"), "{again}");
}
