//! Groups whose flush goes on while others are written behind them.

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::metrics::Samples;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Durability;
use gitstratum_host::Disk;
use gitstratum_host::disk::Loss;
use gitstratum_host::simulated::DiskProfile;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};
use tokio::time::Instant;

use super::{held, ms, object, open, put};

#[tokio::test]
async fn what_is_written_while_another_group_is_flushed_waits_for_a_flush_of_its_own() {
    let disk =
        Disk::simulated(DiskProfile { sync_latency: ms(50, 50), ..DiskProfile::instant() }, 1);
    disk.set_loss(Loss::Everything);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).flight_bytes_min(0);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    put(&store, &object(0)).await.unwrap();
    let begun = Instant::now();
    let putting = |n: u64| {
        let store = store.clone();
        let object = object(n);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(10 * (n - 1))).await;
            put(&store, &object).await.unwrap();
            begun.elapsed()
        })
    };
    let (first, second) = (putting(1), putting(2));
    let first = first.await.unwrap();
    assert!(first >= Duration::from_millis(50) && first < Duration::from_millis(60), "{first:?}");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!second.is_finished(), "acknowledged by the flush of another group");
    let left = disk.after_power_loss(0);
    let second = second.await.unwrap();
    assert!(second >= Duration::from_millis(100) && second < Duration::from_millis(110));
    let store = open(&left).await;
    assert!(held(&store, &object(1)).await && !held(&store, &object(2)).await);
    let store = open(&disk.after_power_loss(0)).await;
    assert!(held(&store, &object(1)).await && held(&store, &object(2)).await);
}

#[tokio::test]
async fn a_small_group_behind_a_flight_is_flushed_on_the_spot_and_the_next_over_zeros() {
    let disk =
        Disk::simulated(DiskProfile { sync_latency: ms(50, 50), ..DiskProfile::instant() }, 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).flight_bytes_min(100_000);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    let big = Bytes::from(vec![7; 200_000]);
    let big = Object::hash(HashAlgorithm::Sha1, Kind::Blob, big).unwrap();
    // It is packed: what decides is the length of its record.
    let many: Vec<Object> = (0..2_000).map(|n| object(5 * n)).chain([big]).collect();
    let written = |store: &SegmentStore| {
        let counted = Samples::registered_by(|registry| store.register(registry));
        counted.count("gitstratum_store_written_bytes_total")
    };
    let flying = {
        let store = store.clone();
        tokio::spawn(async move { store.put(many).await })
    };
    tokio::time::sleep(Duration::from_millis(10)).await;
    let behind = put(&store, &object(1)).await.unwrap();
    assert_eq!(behind.durability, Durability::Synced);
    assert!(flying.is_finished(), "its flush was begun before");
    let before = written(&store);
    put(&store, &object(2)).await.unwrap();
    let zeros = written(&store) - before;
    assert!(zeros >= limits::ZEROS_AHEAD_BYTES, "{zeros} bytes: nothing was written ahead");
    disk.power_lost();
    let store = open(&disk).await;
    for n in [1, 2, 5, 9_995] {
        assert!(held(&store, &object(n)).await, "object {n}");
    }
}

#[tokio::test]
async fn what_the_power_took_of_a_flight_and_of_what_was_behind_it_is_absent_and_not_damaged() {
    let disk =
        Disk::simulated(DiskProfile { sync_latency: ms(50, 50), ..DiskProfile::instant() }, 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always).flight_bytes_min(0);
    let store = SegmentStore::open(disk.clone(), options).await.unwrap();
    put(&store, &object(0)).await.unwrap();
    let groups = [[1, 2, 3], [5, 6, 7], [8, 10, 11]];
    for group in groups {
        let (store, objects) = (store.clone(), group.map(object).to_vec());
        tokio::spawn(async move { store.put(objects).await });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // All of this moment: opening takes time.
    let left: Vec<Disk> = (0..400).map(|outcome| disk.after_power_loss(outcome)).collect();
    let mut later_only = 0;
    for (outcome, left) in left.iter().enumerate() {
        let store = open(left).await;
        assert_eq!(store.stats().damaged_objects, 0, "outcome {outcome}");
        assert!(held(&store, &object(0)).await, "outcome {outcome}: it was acknowledged");
        let mut whole = groups.map(|_| 0);
        for (group, whole) in groups.iter().zip(&mut whole) {
            for n in group {
                *whole += u32::from(held(&store, &object(*n)).await);
            }
        }
        later_only += u32::from(whole[0] < 3 && whole[1..] != [0, 0]);
    }
    assert!(later_only > 50, "{later_only} of 400 put anything to test");
}
