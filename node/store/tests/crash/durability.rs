//! What is acknowledged, and when it is durable.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Durability, Found};
use gitstratum_host::Disk;
use gitstratum_host::disk::Loss;
use gitstratum_host::simulated::DiskProfile;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{held, machine, ms, object, open, put, slow_disk};

/// Puts objects until the process dies, drawing from few so that many come again.
async fn work(
    disk: Disk,
    objects: Arc<Vec<Object>>,
    acknowledged: Arc<Mutex<BTreeSet<usize>>>,
    seed: u64,
) {
    let store = open(&disk).await;
    let expected = acknowledged.lock().unwrap().clone();
    for n in expected {
        assert!(held(&store, &objects[n]).await, "object {n} was acknowledged and is gone");
    }
    let workers = (0..4).map(|worker| {
        let (store, objects) = (store.clone(), objects.clone());
        let acknowledged = acknowledged.clone();
        tokio::spawn(async move {
            let mut rng = ChaCha12Rng::seed_from_u64(seed * 10 + worker);
            loop {
                let n = rng.random_range(0..objects.len());
                let stored = put(&store, &objects[n]).await.expect("nothing fails but the power");
                assert_eq!(stored.durability, Durability::Synced);
                acknowledged.lock().unwrap().insert(n);
                // What is there already takes no time.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    });
    let ended = futures_util::future::try_join_all(workers).await.map(|_| ());
    panic!("a worker ended before the power went: {ended:?}");
}

#[tokio::test]
async fn acknowledged_objects_survive_any_row_of_crashes_and_power_losses() {
    let objects = Arc::new((0..40).map(object).collect::<Vec<_>>());
    let mut acknowledged_in_all = 0;
    for seed in 0..40 {
        let (network, machine) = machine(slow_disk(), seed);
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        for life in 0..10 {
            let (objects, log) = (objects.clone(), acknowledged.clone());
            machine.start(move |host| work(host.disk, objects, log, seed * 100 + life));
            // Recovery syncs too, so a short life dies in it.
            tokio::time::sleep(Duration::from_millis(rng.random_range(1..100))).await;
            match rng.random_range(0..2) {
                0 => machine.crash(),
                _ => machine.power_off(),
            }
        }
        acknowledged_in_all += acknowledged.lock().unwrap().len();
        network.shut_down();
    }
    assert!(acknowledged_in_all > 500, "only {acknowledged_in_all} objects put anything to test");
}

#[tokio::test]
async fn nothing_is_acknowledged_before_its_sync() {
    let disk =
        Disk::simulated(DiskProfile { sync_latency: ms(50, 50), ..DiskProfile::instant() }, 1);
    disk.set_loss(Loss::Everything);
    let store = open(&disk).await;
    put(&store, &object(0)).await.unwrap();
    let late = object(1);
    let putting = put(&store, &late);
    let early = tokio::time::timeout(Duration::from_millis(40), putting).await;
    assert!(early.is_err(), "acknowledged while its sync was under way");
    assert!(!store.has(&[late.id()]).await.unwrap()[0]);
    disk.power_lost();
    let store = open(&disk).await;
    assert!(held(&store, &object(0)).await);
    assert!(!held(&store, &late).await);
}

#[tokio::test]
async fn with_an_interval_between_syncs_only_what_is_younger_can_be_lost() {
    let interval = Duration::from_millis(100);
    let options = || StoreOptions::new(NodeId::new("m"), Fsync::Every(interval));
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    disk.set_loss(Loss::Everything);
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    let stored = put(&store, &object(0)).await.unwrap();
    assert_eq!(stored.durability, Durability::Periodic);
    tokio::time::sleep(interval + Duration::from_millis(20)).await;
    put(&store, &object(1)).await.unwrap();
    disk.power_lost();
    let store = SegmentStore::open(disk.clone(), options()).await.unwrap();
    assert!(held(&store, &object(0)).await, "it was older than the interval");
    assert!(!held(&store, &object(1)).await, "nothing had synced it");
    // Closing does not wait for the interval.
    put(&store, &object(2)).await.unwrap();
    store.close().await;
    disk.power_lost();
    let store = SegmentStore::open(disk, options()).await.unwrap();
    assert!(held(&store, &object(0)).await && held(&store, &object(2)).await);
}

#[tokio::test]
async fn without_fsync_nothing_is_called_synced() {
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Never);
    let store = SegmentStore::open(disk, options).await.unwrap();
    for _ in 0..2 {
        let stored = put(&store, &object(0)).await.unwrap();
        assert_eq!(stored.durability, Durability::Buffered);
    }
}

#[tokio::test]
async fn a_dropped_store_keeps_its_lock_until_its_last_write_is_done() {
    let disk = Disk::simulated(slow_disk(), 1);
    let store = open(&disk).await;
    let queued = object(0);
    let putting = tokio::spawn({
        let (store, queued) = (store.clone(), queued.clone());
        async move { put(&store, &queued).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    putting.abort();
    drop(store);
    let again = loop {
        let options = StoreOptions::new(NodeId::new("m"), Fsync::Always);
        match SegmentStore::open(disk.clone(), options).await {
            Ok(store) => break store,
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    assert!(held(&again, &queued).await, "opened while the store before still wrote");
    assert!(matches!(again.get(ObjectId::from_bytes(&[1; 20]).unwrap()).await, Ok(Found::Absent)));
}
