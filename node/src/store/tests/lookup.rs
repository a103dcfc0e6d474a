//! What a lookup reads.

use super::super::format::segment::SegmentId;
use super::*;

/// Enough for filters to be wrong about some of them.
const SEGMENT_OBJECTS: usize = 40_000;

/// How many segments' filters let the id through, and which of them a lookup reads first.
fn asked(store: &SegmentStore, id: &ObjectId) -> (usize, SegmentId) {
    let sealed = store.shared.view().sealed.clone();
    let passed: Vec<_> = (0..sealed.len()).filter(|at| sealed[*at].may_have(id)).collect();
    let first = passed.iter().find(|at| !sealed[**at].lacks(id, &sealed[*at + 1..]));
    (passed.len(), sealed[*first.expect("it is somewhere")].id())
}

async fn loaded(disk: &Disk) -> Arc<SegmentStore> {
    let store = open(disk).await;
    let sealed = store.shared.view().sealed.clone();
    for segment in sealed.iter() {
        segment.load().await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_present_object_costs_the_read_of_one_index_however_many_filters_let_it_through() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let objects: Vec<_> = (0..3 * SEGMENT_OBJECTS).map(|n| blob(&format!("number {n}"))).collect();
    for part in objects.chunks(SEGMENT_OBJECTS) {
        put_all(&store, part).await;
        store.seal().await.unwrap();
    }
    store.close().await;

    let store = loaded(&scratch.disk).await;
    assert_eq!(store.shared.view().sealed.len(), 3);
    let mut doubted = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        let (passed, first) = asked(&store, &object.id());
        assert_eq!(first.last as usize, number / SEGMENT_OBJECTS, "it passes {passed} filters");
        if passed > 1 {
            doubted.push(object.clone());
        }
    }
    // 29 are to be expected: an id of the first segment and one of the third can each pass
    // two filters that were not made of it.
    assert!((10..60).contains(&doubted.len()), "{} passed several filters", doubted.len());
    assert!(holds(&store, &doubted[0]).await);

    // What was deleted is gone whichever filters pass, and what came back is there.
    let ids: Vec<_> = doubted.iter().map(Object::id).collect();
    store.delete(&ids).await.unwrap();
    store.seal().await.unwrap();
    for object in &doubted {
        assert!(!holds(&store, object).await);
    }
    put_all(&store, &doubted).await;
    store.close().await;
    let store = loaded(&scratch.disk).await;
    for object in objects.iter().step_by(7).chain(&doubted) {
        assert!(holds(&store, object).await);
    }
    store.close().await;
}
