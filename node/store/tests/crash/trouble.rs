//! Disks that are full, and flushes that fail.

use std::io::ErrorKind;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::StoreError;
use gitstratum_host::Disk;
use gitstratum_host::disk::{Fault, Operation};
use gitstratum_host::simulated::DiskProfile;
use gitstratum_store::{CompactOptions, Fsync, SegmentStore, Store, StoreOptions};

use super::{held, object, open, put};

#[tokio::test]
async fn a_full_disk_refuses_puts_and_takes_them_again_when_there_is_room() {
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).zeros_ahead_bytes(0);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    put(&store, &object(0)).await.unwrap();
    let room = store.stats().disk_bytes + 100;
    disk.set_capacity_bytes(Some(room));
    for n in [3, 4, 8] {
        let refused = put(&store, &object(n)).await;
        assert!(matches!(refused, Err(StoreError::DiskFull)), "{refused:?}");
    }
    assert!(put(&store, &object(0)).await.unwrap().already_present);
    disk.set_capacity_bytes(None);
    for n in [3, 4, 8] {
        assert!(!put(&store, &object(n)).await.unwrap().already_present);
    }
    disk.power_lost();
    let store = open(&disk).await;
    for n in [0, 3, 4, 8] {
        assert!(held(&store, &object(n)).await);
    }
}

#[tokio::test]
async fn what_was_written_ahead_is_room_on_a_full_disk_and_only_that() {
    let small = |n: u32| {
        let data = Bytes::from(format!("object {n:03}"));
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
    };
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).zeros_ahead_bytes(1_000);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    put(&store, &small(0)).await.unwrap();
    disk.set_capacity_bytes(Some(disk.content_bytes()));
    let mut stored = 1;
    let refused = loop {
        match put(&store, &small(stored)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::DiskFull), "{refused:?}");
    assert!((5..20).contains(&stored), "{stored} objects in a thousand bytes");
    disk.set_capacity_bytes(Some(disk.content_bytes() + 200));
    // Too little for zeros, enough for an object.
    put(&store, &small(stored)).await.unwrap();
    disk.power_lost();
    let store = open(&disk).await;
    for n in 0..=stored {
        assert!(held(&store, &small(n)).await, "object {n}");
    }
}

#[tokio::test]
async fn on_a_full_disk_compaction_begins_with_what_has_room() {
    let objects: Vec<Object> = (0..36)
        .map(|n| {
            let data = Bytes::from(format!("{n:01000}"));
            Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
        })
        .collect();
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).segment_bytes_max(20_000);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    for object in &objects {
        put(&store, object).await.unwrap();
    }
    store.seal().await.unwrap();
    // Of the first of two segments half stays, of the second hardly anything.
    let kept = |n: usize| !(8..34).contains(&n);
    let gone = objects.iter().enumerate().filter(|(n, _)| !kept(*n)).map(|(_, object)| object.id());
    store.delete(&gone.collect::<Vec<_>>()).await.unwrap();

    disk.set_capacity_bytes(Some(disk.content_bytes() + 5_000));
    let before = store.stats().disk_bytes;
    let first = store.compact(CompactOptions::default()).await;
    assert!(matches!(first, Err(StoreError::DiskFull)), "{first:?}");
    let freed = before - store.stats().disk_bytes;
    assert!((10_000..20_000).contains(&freed), "{freed} bytes of one segment");
    let second = store.compact(CompactOptions::default()).await.unwrap();
    assert_eq!(second.segments, 1, "{second:?}");
    for (n, object) in objects.iter().enumerate() {
        assert_eq!(held(&store, object).await, kept(n), "object {n}");
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_until_reopened() {
    for broken in [Operation::Sync, Operation::Write] {
        let disk = Disk::simulated(DiskProfile::instant(), 1);
        let store = open(&disk).await;
        put(&store, &object(0)).await.unwrap();
        disk.set_fault(broken, Some(ErrorKind::Other));
        let first = put(&store, &object(1)).await;
        assert!(matches!(first, Err(StoreError::Failed { .. })), "{first:?}");
        disk.set_fault(broken, None);
        let second = put(&store, &object(2)).await;
        assert!(matches!(second, Err(StoreError::Failed { .. })), "{second:?}");
        assert!(store.condition().failed.is_some());
        assert!(held(&store, &object(0)).await);
        store.close().await;
        let store = open(&disk).await;
        put(&store, &object(2)).await.unwrap();
        disk.power_lost();
        let store = open(&disk).await;
        assert!(held(&store, &object(0)).await && held(&store, &object(2)).await);
    }
}

/// What every write that opens a file says while the process has no descriptor left.
#[track_caller]
fn assert_overloaded<T: std::fmt::Debug>(refused: Result<T, StoreError>) {
    assert!(matches!(refused, Err(StoreError::Overloaded { .. })), "{refused:?}");
}

#[tokio::test]
async fn descriptors_that_are_wanting_are_overload_wherever_a_file_is_opened_and_then_over() {
    let large = |n: u8| {
        let data = Bytes::from(vec![n; 2_000_000]);
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
    };
    let put_large = async |store: &SegmentStore, object: &Object| {
        let mut writer = store.put_large(object.head()).await?;
        writer.write(object.data().clone()).await?;
        writer.finish().await
    };
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).segment_bytes_max(64 << 10);
    let store = SegmentStore::open(disk.clone(), options.clone()).await.unwrap();
    let mut acknowledged = vec![large(0)];
    put_large(&store, &acknowledged[0]).await.unwrap();
    for n in 0..20 {
        put(&store, &object(n)).await.unwrap();
        acknowledged.push(object(n));
    }
    // Each place in turn: what it opens is wanting for a while, and then is not.
    for round in 0..6 {
        disk.inject(Fault::exhausted());
        assert_overloaded(put_large(&store, &large(1)).await);
        assert_overloaded(store.snapshot("now").await);
        assert_overloaded(store.delete(&[large(0).id()]).await);
        // What is open goes on: only a new segment is refused.
        let mut refused = 0;
        for n in 0..40 {
            let object = object(1000 + round * 40 + n);
            match put(&store, &object).await {
                Ok(_) => acknowledged.push(object),
                Err(StoreError::Overloaded { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused > 0, "a new segment was needed");
        assert_eq!(store.condition().failed, None);
        disk.clear_faults();
        let object = object(2000 + round);
        put(&store, &object).await.unwrap();
        acknowledged.push(object);
    }
    // The directory alone, when the file of the object is written: it gets no name then.
    disk.inject(Fault::exhausted().after(1));
    assert_overloaded(put_large(&store, &large(2)).await);
    disk.clear_faults();
    put_large(&store, &large(2)).await.unwrap();
    acknowledged.push(large(2));
    // And where compaction makes files.
    let victims: Vec<_> = (0..15).map(|n| object(n).id()).collect();
    store.delete(&victims).await.unwrap();
    acknowledged.retain(|object| !victims.contains(&object.id()));
    store.seal().await.unwrap();
    let all = CompactOptions { garbage_share_min: 0.01, bytes_per_second: None };
    for spared in 0..4 {
        disk.inject(Fault::exhausted().after(spared));
        assert_overloaded(store.compact(all).await);
        disk.clear_faults();
    }
    assert!(store.compact(all).await.unwrap().segments > 0);
    store.snapshot("now").await.unwrap();
    assert_eq!(store.condition().failed, None);
    drop(store);
    disk.power_lost();
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    for object in &acknowledged {
        assert_eq!(store.has(&[object.id()]).await.unwrap(), [true], "{}", object.id());
    }
}

#[tokio::test]
async fn a_large_put_given_up_on_a_full_disk_gives_its_room_back_at_once() {
    let data = Bytes::from(vec![7; 8 << 20]);
    let large = Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap();
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let reserve = 1 << 20;
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always)
        .zeros_ahead_bytes(0)
        .reserve_bytes(reserve);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    put(&store, &object(0)).await.unwrap();
    let content = disk.content_bytes();
    let room = |bytes: u64| disk.set_capacity_bytes(Some(disk.content_bytes() + reserve + bytes));
    // What is claimed has no room: nothing is begun.
    room(4 << 20);
    let refused = store.put_large(large.head()).await.map(drop);
    assert!(matches!(refused, Err(StoreError::DiskFull)), "{refused:?}");
    assert_eq!(disk.content_bytes(), content);
    // Others take the room while it comes.
    room(16 << 20);
    let mut writer = store.put_large(large.head()).await.unwrap();
    writer.write(large.data().slice(..6 << 20)).await.unwrap();
    room(1 << 10);
    let refused = writer.write(large.data().slice(6 << 20..)).await;
    assert!(matches!(refused, Err(StoreError::DiskFull)), "{refused:?}");
    assert!(disk.content_bytes() > content + (5 << 20));
    drop(writer);
    while disk.content_bytes() > content {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    put(&store, &object(8)).await.unwrap();
}
