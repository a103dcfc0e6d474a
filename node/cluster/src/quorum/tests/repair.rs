//! What replicas missed is told to others, and a read gives the object to replicas that it
//! found lacking.

use gitstratum_core::limits;

use super::*;

/// The third replica alone has the object.
fn last_has_it(behaviours: [Behaviour; 3]) -> Trio {
    let trio = trio(behaviours);
    trio.nodes[2].insert(object());
    trio
}

/// The first replica alone lacks it.
fn first_lacks_it(behaviour: Behaviour) -> Trio {
    let trio = last_has_it([behaviour, Behaviour::Well, Behaviour::Well]);
    trio.nodes[1].insert(object());
    trio
}

fn holders(trio: &Trio) -> usize {
    trio.nodes.iter().filter(|node| node.holds(object().id())).count()
}

#[tokio::test]
async fn replicas_that_a_read_found_absent_or_damaged_are_given_the_object() {
    let trio = last_has_it([Behaviour::Well, Behaviour::Damaged, Behaviour::Well]);
    trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    trio.reader.drain().await;
    assert_eq!(holders(&trio), 3);
    let expected = ReadRepairStats { attempted: 2, repaired: 2, ..ReadRepairStats::default() };
    assert_eq!(trio.reader.repairs(), expected);
    trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    trio.reader.drain().await;
    assert_eq!(trio.reader.repairs(), expected, "whole, it is left alone");
}

#[tokio::test]
async fn a_large_object_is_given_too() {
    let trio = last_has_it([Behaviour::Well, Behaviour::Damaged, Behaviour::Well]);
    trio.reader.get_large(object().id()).await.unwrap();
    trio.reader.drain().await;
    assert_eq!(holders(&trio), 3);
    assert_eq!(trio.nodes[0].object(object().id()), Some(object()));
    assert_eq!(trio.reader.repairs().repaired, 2);
}

#[tokio::test]
async fn a_replica_that_could_not_be_read_or_has_too_few_beside_it_is_given_nothing() {
    let trio = last_has_it([dead(), Behaviour::Lies, Behaviour::Well]);
    trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    trio.reader.drain().await;
    assert_eq!(trio.reader.repairs().attempted, 1, "only who said that it is absent");
    let nowhere = super::trio([const { Behaviour::Well }; 3]);
    nowhere.reader.get(&[object().id()]).await.pop().unwrap().unwrap_err();
    assert_eq!(nowhere.reader.repairs(), ReadRepairStats::default());
}

#[tokio::test]
async fn a_repair_that_is_refused_is_counted_and_fails_no_read() {
    let trio = first_lacks_it(Behaviour::DiskFull);
    trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    trio.reader.drain().await;
    let expected = ReadRepairStats { attempted: 1, failed: 1, ..ReadRepairStats::default() };
    assert_eq!(trio.reader.repairs(), expected);
}

#[tokio::test]
async fn repairs_under_way_are_bounded_and_what_is_left_alone_is_counted() {
    let trio = first_lacks_it(Behaviour::DiskFull);
    let most = limits::READ_REPAIR_BYTES_IN_FLIGHT_MAX / limits::READ_REPAIR_BYTES_EACH_MIN;
    let ids = [object().id()];
    // In one moment: nothing that is spawned gets its turn before all have read.
    let reads = (0..most + 50).map(|_| trio.reader.get(&ids));
    futures_util::future::join_all(reads).await;
    trio.reader.drain().await;
    let ReadRepairStats { attempted, repaired, failed, skipped } = trio.reader.repairs();
    assert_eq!(attempted, repaired + failed);
    assert!(skipped > 0 && attempted <= most as u64, "{:?}", trio.reader.repairs());
}

#[tokio::test]
async fn an_object_missed_again_is_not_counted_as_another_record() {
    let trio = trio([Behaviour::Well, Behaviour::Well, dead()]);
    for _ in 0..2 {
        put(&trio).await.unwrap();
        trio.writer.drain().await;
    }
    let stats = trio.writer.stats();
    let missed = (stats.missed_recorded, stats.missed_already_recorded, stats.missed_lost);
    assert_eq!((stats.replica_failures, missed), (2, (1, 1, 0)));
}
