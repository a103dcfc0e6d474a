//! The storage engine on a simulated machine: crashes, power losses, failing disks.
//!
//! Here and not beside the engine, because only the simulated disk can lose its power.
#![cfg(madsim)]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gitstratum::limits;
use gitstratum::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum::placement::NodeId;
use gitstratum::store::{
    CompactOptions, Durability, Found, Fsync, SegmentStore, Store, StoreError, StoreOptions, Stored,
};
use gitstratum_host::Disk;
use gitstratum_host::disk::{Fault, Loss, Operation};
use gitstratum_host::simulated::{DiskProfile, Link, Machine, Network};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use tokio::time::Instant;

fn ms(from: u64, to: u64) -> std::ops::RangeInclusive<Duration> {
    Duration::from_millis(from)..=Duration::from_millis(to)
}

fn slow_disk() -> DiskProfile {
    DiskProfile { write_latency: ms(1, 2), sync_latency: ms(1, 6), ..DiskProfile::instant() }
}

fn machine(disk: DiskProfile, seed: u64) -> (Network, Machine) {
    let network = Network::new(seed, Link { latency: ms(1, 1), loss: 0.0 });
    let machine = Machine::new(&network, "m", Ipv4Addr::new(10, 0, 0, 1), disk, seed);
    (network, machine)
}

/// The `n`-th object; every fifth is a large one.
fn object(n: u64) -> Object {
    let text = format!("object {n}");
    let data = match n % 5 {
        4 => Bytes::from(text.repeat(limits::OBJECT_BYTES_WHOLE_MAX / text.len() + 1)),
        _ => Bytes::from(text.repeat(1 + n as usize * 37 % 60)),
    };
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap()
}

async fn open(disk: &Disk) -> Arc<SegmentStore> {
    // From start to start the next group is written behind a flush, or after it.
    let flight_bytes_min = [limits::FLIGHT_BYTES_MIN, 0][disk.operations() as usize % 2];
    let options = StoreOptions::new(NodeId::new("m"), Fsync::Always)
        .segment_bytes_max(3_000)
        .flight_bytes_min(flight_bytes_min);
    SegmentStore::open(disk.clone(), options).await.expect("a crash leaves a store that opens")
}

async fn put(store: &SegmentStore, object: &Object) -> Result<Stored, StoreError> {
    if object.size_bytes() <= limits::OBJECT_BYTES_WHOLE_MAX as u64 {
        return store.put(vec![object.clone()]).await.remove(0);
    }
    let mut writer = store.put_large(object.head()).await?;
    for part in object.data().chunks(limits::PART_BYTES_MAX) {
        writer.write(Bytes::copy_from_slice(part)).await?;
    }
    writer.finish().await
}

/// Whether the store has the object; its bytes are compared.
async fn held(store: &SegmentStore, object: &Object) -> bool {
    let Some(mut reader) = store.get_large(object.id()).await.expect("nothing is damaged") else {
        return false;
    };
    let mut data = Vec::new();
    while let Some(part) = reader.next().await.expect("nothing is damaged") {
        data.extend_from_slice(&part);
    }
    assert!(data == object.data()[..], "{} came back as other bytes", object.id());
    true
}

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
            tokio::time::sleep(Duration::from_millis(rng.random_range(1..60))).await;
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
    let written = |store: &SegmentStore| store.stats().bytes_written;
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
    disk.set_capacity_bytes(Some(store.stats().disk_bytes));
    let mut stored = 1;
    let refused = loop {
        match put(&store, &small(stored)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::DiskFull), "{refused:?}");
    assert!((5..20).contains(&stored), "{stored} objects in a thousand bytes");
    disk.set_capacity_bytes(Some(store.stats().disk_bytes + 200));
    // Too little for zeros, enough for an object.
    put(&store, &small(stored)).await.unwrap();
    disk.power_lost();
    let store = open(&disk).await;
    for n in 0..=stored {
        assert!(held(&store, &small(n)).await, "object {n}");
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
        assert!(store.stats().failed.is_some());
        assert!(held(&store, &object(0)).await);
        store.close().await;
        let store = open(&disk).await;
        put(&store, &object(2)).await.unwrap();
        disk.power_lost();
        let store = open(&disk).await;
        assert!(held(&store, &object(0)).await && held(&store, &object(2)).await);
    }
}

#[tokio::test]
async fn a_bad_sector_costs_what_is_in_it_and_keeps_scrub_and_compaction_from_nothing_else() {
    for scrubbed in [true, false] {
        let disk = Disk::simulated(DiskProfile::instant(), 1);
        let store = open(&disk).await;
        let objects: Vec<_> = (0..400).filter(|n| n % 5 != 4).map(object).collect();
        for object in &objects {
            put(&store, object).await.unwrap();
        }
        store.seal().await.unwrap();
        let sound = store.scrub(None).await.unwrap().counts;
        let segments = |disk: &Disk| -> Vec<_> {
            let files = disk.files().into_iter().map(|(path, _)| path);
            files.filter(|path| path.ends_with(".seg")).collect()
        };
        let bad = segments(&disk)[0].clone();
        disk.inject(Fault::error(Operation::Read, ErrorKind::Other).on(&bad).at(1_000..1_300));
        let mut lost = Vec::new();
        if scrubbed {
            for _ in 0..2 {
                let found = store.scrub(None).await.unwrap();
                lost = found.damaged.iter().map(|(id, _)| *id).collect();
                assert!(found.whole && !lost.is_empty(), "{found:?}");
                assert_eq!(found.counts.records, sound.records, "it met every record");
            }
        }
        for object in &objects {
            match store.get(object.id()).await {
                Ok(Found::Object(_)) => assert!(!lost.contains(&object.id())),
                Err(StoreError::Damaged { id, .. }) if scrubbed => assert!(lost.contains(&id)),
                // Nobody has looked before.
                Err(StoreError::Damaged { id, .. }) => lost.push(id),
                other => panic!("{other:?}"),
            }
        }
        assert!((1..8).contains(&lost.len()), "{} lost", lost.len());

        // Of each segment most is deleted; what was in the bad sector is not.
        let mut kept = Vec::new();
        for (n, object) in objects.iter().enumerate() {
            match n % 5 == 0 || lost.contains(&object.id()) {
                true => kept.push(object.clone()),
                false => assert_eq!(store.delete(&[object.id()]).await.unwrap().objects, 1),
            }
        }
        store.seal().await.unwrap();
        let before = segments(&disk).len();
        if !scrubbed {
            // As after another opening, which forgets what the disk would not read.
            store.close().await;
        }
        let store = if scrubbed { store } else { open(&disk).await };
        match store.compact(CompactOptions::default()).await {
            Ok(_) => assert!(scrubbed),
            Err(error) => assert!(!scrubbed && matches!(error, StoreError::Io { .. }), "{error:?}"),
        }
        let after = segments(&disk);
        assert!(after.len() < before, "{after:?}");
        assert!(after.contains(&bad), "the disk may read it another time");

        disk.clear_faults();
        assert_eq!(store.scrub(None).await.unwrap().damaged, []);
        assert!(store.compact(CompactOptions::default()).await.unwrap().segments > 0);
        assert!(!segments(&disk).contains(&bad));
        for object in &kept {
            assert!(held(&store, object).await);
        }
        assert_eq!(store.stats().objects, kept.len() as u64);
    }
}

/// Opens a store and gets everything; what the gets say. Indexes that do not hold are made
/// again by that.
async fn get_all(disk: Disk, objects: Arc<Vec<Object>>) -> Vec<Result<Found, StoreError>> {
    let store = open(&disk).await;
    let mut found = Vec::new();
    for object in objects.iter() {
        found.push(store.get(object.id()).await);
    }
    store.close().await;
    found
}

/// Deletes these objects, and rewrites the segments that they were in.
async fn delete_and_compact(disk: Disk, objects: Vec<ObjectId>) {
    let store = open(&disk).await;
    store.delete(&objects).await.unwrap();
    store.seal().await.unwrap();
    let worth = CompactOptions { garbage_share_min: 0.1, bytes_per_second: None };
    assert!(store.compact(worth).await.unwrap().segments > 0);
    store.close().await;
}

#[tokio::test]
async fn what_was_damaged_stays_known_whenever_its_index_is_made_again_or_its_segment_rewritten() {
    let whole = Disk::simulated(DiskProfile::instant(), 1);
    let objects: Arc<Vec<_>> = Arc::new((0..40).filter(|n| n % 5 != 4).map(object).collect());
    let store = open(&whole).await;
    for object in objects.iter() {
        put(&store, object).await.unwrap();
    }
    store.seal().await.unwrap();
    store.close().await;
    let first = |ending: &str| {
        let mut files = whole.files().into_iter();
        files.find(|(path, _)| path.ends_with(ending)).expect("there are some")
    };
    let ((segment, _), (index, index_len)) = (first(".seg"), first(".idx"));
    // The head of its second record, which nobody can read from then on.
    let bytes = whole.read_whole(&segment).await.unwrap();
    let mut heads = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"GSR1"));
    let head = heads.nth(1).expect("it has several");
    whole.flip_bit(&segment, head as u64 * 8).unwrap();

    let without = whole.copy();
    without.remove(&index).await.unwrap();
    let flipped = whole.copy();
    for bit in (0..index_len * 8).rev().take(400).step_by(8) {
        flipped.flip_bit(&index, bit).unwrap();
    }
    let cases = [
        ("no index", &without, false),
        ("a damaged index", &flipped, false),
        ("compaction", &whole, true),
        ("no index, and compaction", &without, true),
    ];
    for (what, disk, compacts) in cases {
        let found = get_all(disk.copy(), objects.clone()).await;
        let lost: Vec<_> = (0..objects.len()).filter(|n| found[*n].is_err()).collect();
        assert_eq!(lost.len(), 1, "{what}: {lost:?}");
        let kept = |n: &usize| !compacts || lost.contains(n) || n.is_multiple_of(4);
        let dropped: Vec<_> = (0..objects.len()).filter(|n| !kept(n)).collect();
        let dropped_ids: Vec<_> = dropped.iter().map(|n| objects[*n].id()).collect();
        let mut point = 0;
        loop {
            let disk = disk.copy();
            disk.stop_after(point);
            let (process, objects) = (disk.of_process(), objects.clone());
            let dropped_ids = dropped_ids.clone();
            let running = tokio::spawn({
                let objects = objects.clone();
                async move {
                    match compacts {
                        true => delete_and_compact(process, dropped_ids).await,
                        false => drop(get_all(process, objects).await),
                    }
                }
            });
            let ended = tokio::select! {
                biased;
                () = disk.stopped() => false,
                ended = running => ended.map(|()| true).unwrap(),
            };
            for (how, left) in
                [("the power went", disk.after_power_loss(point)), ("it died", disk.copy())]
            {
                left.process_gone();
                let found = get_all(left, objects.clone()).await;
                for (n, found) in found.into_iter().enumerate() {
                    match found {
                        Ok(Found::Object(_)) if !lost.contains(&n) => {}
                        Ok(Found::Absent) if dropped.contains(&n) => {}
                        Err(StoreError::Damaged { .. }) if lost.contains(&n) => {}
                        other => panic!("{what}, {how} at {point}, object {n}: {other:?}"),
                    }
                }
            }
            if ended {
                break;
            }
            point += 1;
        }
        assert!(point > 10, "{what}: {point} operations");
    }
}

#[tokio::test]
async fn while_the_list_of_damage_cannot_be_written_nothing_is_done_that_it_would_have_to_tell() {
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    let objects: Vec<_> = (0..40).filter(|n| n % 5 != 4).map(object).collect();
    let store = open(&disk).await;
    for object in &objects {
        put(&store, object).await.unwrap();
    }
    store.seal().await.unwrap();
    let lost = objects[1].id();
    let files = disk.files().into_iter().map(|(path, _)| path);
    let segment = files.filter(|path| path.ends_with(".seg")).min().unwrap();
    let bytes = disk.read_whole(&segment).await.unwrap();
    let mut heads = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"GSR1"));
    disk.flip_bit(&segment, heads.nth(1).expect("it has several") as u64 * 8).unwrap();
    let others: Vec<_> = objects.iter().map(Object::id).filter(|id| *id != lost).collect();
    store.delete(&others).await.unwrap();
    store.seal().await.unwrap();

    let list_fails =
        || Fault::error(Operation::Write, ErrorKind::Other).on_names_ending("quarantine.tmp");
    let is_lost = async |store: &SegmentStore| {
        matches!(store.get(lost).await, Err(StoreError::Damaged { .. }))
    };
    disk.inject(list_fails());
    store.compact(CompactOptions::default()).await.unwrap_err();
    assert!(disk.files().iter().any(|(path, _)| *path == segment), "it still tells of the object");
    disk.power_lost();
    disk.clear_faults();
    let store = open(&disk).await;
    assert!(is_lost(&store).await, "after a compaction that could not note it");
    assert!(store.compact(CompactOptions::default()).await.unwrap().segments > 0);
    assert!(!disk.files().iter().any(|(path, _)| *path == segment));
    assert!(is_lost(&store).await, "after compaction");

    // Nothing is left of it but the note.
    disk.inject(list_fails());
    for _ in 0..2 {
        store.delete(&[lost]).await.unwrap_err();
        assert!(is_lost(&store).await, "after a deletion that failed");
    }
    disk.clear_faults();
    store.delete(&[lost]).await.unwrap();
    disk.power_lost();
    drop(store);
    assert!(matches!(open(&disk).await.get(lost).await, Ok(Found::Absent)));
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
