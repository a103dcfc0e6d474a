//! Records that cannot be read, and what is known of them.

use std::io::ErrorKind;
use std::sync::Arc;

use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::replica::{Found, StoreError};
use gitstratum_host::Disk;
use gitstratum_host::disk::{Fault, Operation};
use gitstratum_host::simulated::DiskProfile;
use gitstratum_store::{CompactOptions, SegmentStore, Store};

use super::{held, object, open, put};

/// Those of the first objects that are not large.
fn small(of: u64) -> Vec<Object> {
    (0..of).filter(|n| n % 5 != 4).map(object).collect()
}

/// A store that has these in sealed segments.
async fn filled(disk: &Disk, objects: &[Object]) -> Arc<SegmentStore> {
    let store = open(disk).await;
    for object in objects {
        put(&store, object).await.unwrap();
    }
    store.seal().await.unwrap();
    store
}

/// The first file whose name ends so, and its length in bytes.
fn first(disk: &Disk, ending: &str) -> (String, u64) {
    disk.files().into_iter().find(|(path, _)| path.ends_with(ending)).expect("there are some")
}

/// Flips a bit in the head of the first segment's second record, which nobody can read from
/// then on; the segment's path.
async fn damage_a_head(disk: &Disk) -> String {
    let (segment, _) = first(disk, ".seg");
    let bytes = disk.read_whole(&segment).await.unwrap();
    let mut heads = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"GSR1"));
    let head = heads.nth(1).expect("it has several");
    disk.flip_bit(&segment, head as u64 * 8).unwrap();
    segment
}

#[tokio::test]
async fn a_bad_sector_costs_what_is_in_it_and_keeps_scrub_and_compaction_from_nothing_else() {
    for scrubbed in [true, false] {
        let disk = Disk::simulated(DiskProfile::instant(), 1);
        let objects = small(400);
        let store = filled(&disk, &objects).await;
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
    let objects = Arc::new(small(40));
    filled(&whole, &objects).await.close().await;
    damage_a_head(&whole).await;
    let (index, index_len) = first(&whole, ".idx");

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
    let objects = small(40);
    let store = filled(&disk, &objects).await;
    let lost = objects[1].id();
    let segment = damage_a_head(&disk).await;
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
