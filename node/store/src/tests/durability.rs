//! What was put is there, and whose directory it is.

use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_core::replica::{StoreError, Stored};

use super::*;

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
async fn concurrent_puts_share_their_syncs() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects = blobs(65);
    // A segment is begun for the first.
    put_all(&store, &objects[..1]).await;
    let before = counted(&store, "gitstratum_store_syncs_total");
    let puts = objects[1..].iter().map(|object| store.put(vec![object.clone()]));
    for stored in join_all(puts).await {
        assert!(stored[0].is_ok());
    }
    let syncs = counted(&store, "gitstratum_store_syncs_total") - before;
    assert!(syncs <= 4, "{syncs} syncs for 64 puts");
}

#[tokio::test]
async fn large_puts_wait_for_their_turn_and_small_ones_do_not() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let turns = &store.shared.codecs.preparing;
    let all = u32::try_from(turns.available_permits()).unwrap();
    assert!(all > 0);
    let taken = turns.acquire_many(all).await.unwrap();
    let half = "x".repeat(limits::PREPARED_BYTES_BEFORE_YIELD / 2);
    let large = [blob(&format!("1 {half}")), blob(&format!("2 {half}"))];
    let mut waiting = Box::pin(put_all(&store, &large));
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(waited.is_err(), "it took no turn");
    put_all(&store, &large[..1]).await;
    assert_eq!(store.stats().objects, 1);
    drop(taken);
    waiting.await;
    assert_eq!(store.stats().objects, 2);
    assert_eq!(turns.available_permits(), all as usize);
}

#[tokio::test]
async fn objects_of_every_kind_are_found_again_after_reopening() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let data = |n: usize| Bytes::from(vec![n as u8; n * 1500]);
    let kinds = [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag];
    let hashed = |kind| (1..4).map(move |n| Object::hash(HashAlgorithm::Sha1, kind, data(n)));
    let mut objects: Vec<Object> = kinds.into_iter().flat_map(hashed).map(Result::unwrap).collect();
    // Short ones are stored as they are, long ones packed.
    objects.extend((1..4).map(|n| Object::chunk(7, *b"pack", data(n))));
    put_all(&store, &objects).await;
    for sealed in [false, true] {
        if sealed {
            store.seal().await.unwrap();
        }
        for object in &objects {
            assert!(holds(&store, object).await, "sealed: {sealed}");
        }
    }
    store.close().await;
    drop(store);
    let store = open(&scratch.disk).await;
    for object in &objects {
        assert!(holds(&store, object).await);
    }
}

#[tokio::test]
async fn a_second_put_of_an_object_writes_nothing() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let twice = vec![blob("same"), blob("same")];
    let stored: Vec<_> = store.put(twice).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(stored.iter().filter(|stored| stored.already_present).count(), 1);
    let written = counted(&store, "gitstratum_store_written_bytes_total");
    assert!(store.put(vec![blob("same")]).await[0].as_ref().unwrap().already_present);
    assert_eq!(counted(&store, "gitstratum_store_written_bytes_total"), written);
    assert_eq!(store.stats().objects, 1);
}

#[tokio::test]
async fn a_segment_that_is_sealed_between_a_put_s_check_and_its_write_is_asked_again() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let object = blob("same");
    let put = || store.put(vec![object.clone()]);
    // Both puts find nothing; the second is written when the first one's segment is sealed.
    let (first, sealed, second) = tokio::join!(put(), store.seal(), put());
    sealed.unwrap();
    let present = |stored: &Vec<Result<Stored, StoreError>>| stored[0].clone().unwrap();
    assert!(!present(&first).already_present && present(&second).already_present);
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
    let options = |name| StoreOptions::new(NodeId::new(name), Fsync::Always);
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

#[tokio::test]
async fn segments_roll_at_their_size_and_all_are_read_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let options = || StoreOptions::new(NodeId::new("n1"), Fsync::Always).segment_bytes_max(2_000);
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
async fn a_long_segment_is_indexed_when_the_store_is_closed_and_a_short_one_is_gone_on_with() {
    let scratch = scratch();
    let indexes = async |scratch: &gitstratum_host::disk::Scratch| {
        let names = scratch.disk.list("segments").await.unwrap();
        names.iter().filter(|name| name.ends_with(".idx")).count()
    };
    let objects: Vec<_> =
        (0..limits::SEALED_AT_CLOSE_RECORDS_MIN + 9).map(|n| blob(&n.to_string())).collect();
    let (short, long) = objects.split_at(9);
    for (put, indexed, segments) in [(short, 0, 1), (long, 1, 1)] {
        let store = open(&scratch.disk).await;
        put_all(&store, put).await;
        store.close().await;
        assert_eq!(indexes(&scratch).await, indexed);
        assert_eq!(store.stats().segments, segments);
    }
    let store = open(&scratch.disk).await;
    assert_eq!(store.stats().objects, objects.len() as u64);
    assert!(holds(&store, &objects[0]).await && holds(&store, &objects[9]).await);
}
