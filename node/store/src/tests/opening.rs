//! What an opening looks at.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::files::names::{index_path, superseded};
use crate::format::segment::SegmentId;

#[test]
fn a_segment_is_superseded_by_any_that_was_made_of_it() {
    let mut ids = Vec::new();
    for (first, last) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)] {
        ids.extend((0..3).map(|generation| SegmentId { last, first, generation }));
    }
    let (mut all, mut replaced) = (0, 0);
    // All sets of up to four: an id that is drawn again adds nothing.
    for numbers in 0..ids.len().pow(4) {
        let drawn = (0..4).map(|place| ids[numbers / ids.len().pow(place) % ids.len()]);
        let segments: BTreeSet<_> = drawn.collect();
        let mut found = superseded(&segments);
        found.sort();
        let is_replaced = |id: &&SegmentId| segments.iter().any(|other| other.supersedes(id));
        let expected: Vec<_> = segments.iter().filter(is_replaced).copied().collect();
        assert_eq!(found, expected, "of {segments:?}");
        (all, replaced) = (all + 1, replaced + expected.len());
    }
    assert_eq!(all, 104_976);
    assert!(replaced > all / 2, "{replaced} replaced");
}

#[tokio::test]
async fn a_store_of_more_segments_than_a_thread_looks_at_is_opened_whole_or_not_at_all() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(2 * limits::SEGMENTS_OPENED_BY_THREAD + 3);
    let store = open(disk).await;
    for object in &objects {
        put_all(&store, std::slice::from_ref(object)).await;
        store.seal().await.unwrap();
    }
    store.close().await;

    let store = open(disk).await;
    let ids: Vec<_> = store.shared.view().sealed.iter().map(|sealed| sealed.id().last).collect();
    let newest_first: Vec<_> = (0..objects.len() as u32).rev().collect();
    assert_eq!(ids, newest_first);
    for object in &objects {
        assert!(holds(&store, object).await);
    }
    store.close().await;

    // A later program made the index of one that another thread than the first looks at.
    let segment = SegmentId::fresh(limits::SEGMENTS_OPENED_BY_THREAD as u32 + 7);
    let (path, bytes) = bytes_of(disk, index_path(segment)).await;
    let mut later = bytes.to_vec();
    later[8] += 1;
    overwrite(disk, &path, later.into()).await;
    let before = disk.list("segments").await.unwrap();
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
    match SegmentStore::open(disk.clone(), options).await {
        Err(OpenError::Newer(newer)) => assert_eq!(newer.what, path),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
    assert_eq!(disk.list("segments").await.unwrap(), before);
    overwrite(disk, &path, bytes).await;
    open(disk).await.close().await;
}

#[tokio::test]
async fn an_opening_that_nobody_waits_for_leaves_the_store_to_the_next() {
    let scratch = scratch();
    assert!(open(&scratch.disk).now_or_never().is_none(), "it goes on in a thread of its own");
    let store = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
            match SegmentStore::open(scratch.disk.clone(), options).await {
                Ok(store) => break store,
                Err(OpenError::InUse) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    });
    store.await.expect("the other opening ends by itself").close().await;
}
