//! Large objects: their parts come once, and are sent again or read back.

use gitstratum_core::replica::Parts;
use gitstratum_testing::Behaviour;
use tokio::sync::mpsc;

use super::*;

/// An object of so many bytes.
fn sized(bytes: usize) -> Object {
    let data: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into()).unwrap()
}

/// Its parts, as a caller sends them.
fn parts(object: &Object) -> Parts {
    let (sink, parts) = mpsc::channel(1);
    let data = object.data().clone();
    tokio::spawn(async move {
        for at in (0..data.len()).step_by(limits::PART_BYTES_MAX) {
            let end = data.len().min(at + limits::PART_BYTES_MAX);
            if sink.send(data.slice(at..end)).await.is_err() {
                return;
            }
        }
    });
    parts
}

async fn put(world: &World, object: &Object) -> Outcome {
    world.client.put_large(object.head(), parts(object)).await
}

/// More than is kept.
fn larger() -> Object {
    sized(limits::LARGE_BYTES_KEPT_MAX + 1)
}

#[tokio::test]
async fn a_large_put_that_is_refused_as_stale_is_tried_by_the_newer_layout() {
    for object in [sized(2 * limits::PART_BYTES_MAX + 1), larger()] {
        for drained in [1, 2] {
            let world = World::new(object.id());
            world.drain(&[1, 3][..drained]);
            world.order[2].behave(Behaviour::Fails(NodeError::ShuttingDown));
            let report = put(&world, &object).await.unwrap();
            let expected = [0, 2 + drained];
            assert_eq!(world.places(&report), expected, "a quorum of the last layout");
            assert_eq!(world.holders(object.id()), expected, "and nobody who is not its replica");
            // Once, unless the next attempt began before it had it.
            assert!((1..=drained + 1).contains(&world.order[0].count(Asked::PutLarge)));
            assert_eq!(counted(world.client.stats()), (1, 1, 0, 0));
        }
    }
}

#[tokio::test]
async fn it_does_not_wait_for_a_replica_that_hangs() {
    let object = sized(2 * limits::PART_BYTES_MAX + 1);
    let world = World::new(object.id());
    world.drain(&[1]);
    world.order[2].behave(Behaviour::Waits);
    let report = put(&world, &object).await.unwrap();
    assert_eq!(world.places(&report), [0, 3]);
    assert_eq!(counted(world.client.stats()), (1, 1, 0, 0), "while the first attempt goes on");
    // The first attempt waits there, and the second for what it has.
    world.order[2].behave(Behaviour::Well);
    world.order[2].release();
    world.order[2].release();
    world.client.drain().await;
    assert_eq!(counted(world.client.stats()), (1, 1, 0, 0), "however it ended");
}

#[tokio::test]
async fn parts_that_nobody_took_are_sent_again() {
    for object in [sized(limits::PART_BYTES_MAX), larger()] {
        let world = World::new(object.id());
        world.drain(&[1, 2]);
        world.order[0].fail_next([NodeError::ShuttingDown]);
        let report = put(&world, &object).await.unwrap();
        world.client.drain().await;
        assert!(report.stored.len() >= 2, "{report:?}");
        let holders = world.holders(object.id());
        // Two replicas of the second layout may have it before the third one says that there is yet
        // another; then somebody was told that that one missed it.
        let missed = world.order.iter().any(|replica| !replica.missed().is_empty());
        assert!(holders == [0, 3, 4] || (holders == [0, 3] && missed), "{holders:?}");
    }
}

#[tokio::test]
async fn without_another_layout_a_large_put_is_made_once() {
    let object = sized(limits::PART_BYTES_MAX);
    let world = World::new(object.id());
    for replica in &world.order[1..3] {
        replica.behave(Behaviour::Fails(NodeError::ShuttingDown));
    }
    let error = put(&world, &object).await.unwrap_err();
    // The third may have answered by then, or not yet.
    assert_eq!(error.failed.len(), 2);
    world.client.drain().await;
    let asked: usize = world.order.iter().map(|replica| replica.count(Asked::PutLarge)).sum();
    assert_eq!(asked, 3, "once to each of three");
}
