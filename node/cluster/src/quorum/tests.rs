//! Writer and reader against scripted replicas.

mod repair;

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::CurrentLayout;
use gitstratum_core::replica::{DialError, DialProblem, Stage, StoreError};
use gitstratum_testing::{Behaviour, ScriptedCluster, ScriptedReplica};

use super::*;

/// Three replicas that behave so, W = R = 2, in the order that `object()` is placed.
struct Trio {
    nodes: Vec<ScriptedReplica>,
    writer: QuorumWriter,
    reader: QuorumReader,
}

fn object() -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"hello\n")).unwrap()
}

/// Refuses every connection.
fn dead() -> Behaviour {
    let problem = DialProblem::Refused;
    Behaviour::Fails(DialError::new(Stage::Connect, "nowhere:1", problem).into())
}

fn trio(behaviours: [Behaviour; 3]) -> Trio {
    let cluster = ScriptedCluster::new(3, (3, 2, 2));
    let nodes = cluster.ring_order(&object().id());
    for (node, behaviour) in nodes.iter().zip(behaviours) {
        node.behave(behaviour);
    }
    let (layout, timeout) = (CurrentLayout::new(cluster.layout()), Duration::from_secs(5));
    let writer = QuorumWriter::new(layout.clone(), cluster.writers(), timeout);
    let (readers, preference) = (cluster.readers(), Preference::default());
    let reader = QuorumReader::repairing(layout, readers, cluster.writers(), timeout, preference);
    Trio { nodes, writer, reader }
}

/// How often the replicas were asked for anything.
fn requests(trio: &Trio) -> usize {
    trio.nodes.iter().map(|node| node.requests().len()).sum()
}

async fn put(trio: &Trio) -> Result<PutReport, PutError> {
    trio.writer.put(vec![object()], false).await.pop().unwrap()
}

#[tokio::test]
async fn one_dead_replica_of_three_does_not_fail_a_put() {
    for place in 0..3 {
        let mut behaviours = [const { Behaviour::Well }; 3];
        behaviours[place] = dead();
        let trio = trio(behaviours);
        put(&trio).await.unwrap();
        trio.writer.drain().await;
        let witnesses: usize = trio.nodes.iter().map(|node| node.missed().len()).sum();
        assert_eq!(witnesses, 1, "one replica records what the dead one missed");
        let stats = trio.writer.stats();
        assert_eq!((stats.replica_failures, stats.missed_recorded, stats.missed_lost), (1, 1, 0));
        assert_eq!(trio.writer.missed()[0].node_id, *trio.nodes[place].id());
    }
}

#[tokio::test]
async fn a_put_answers_at_w_and_the_last_replica_still_gets_the_object() {
    let trio = trio([Behaviour::Waits, Behaviour::Well, Behaviour::Well]);
    let report = put(&trio).await.unwrap();
    assert_eq!(report.stored.len(), 2);
    assert!(!trio.nodes[0].holds(object().id()));
    trio.nodes[0].release();
    trio.writer.drain().await;
    assert!(trio.nodes[0].holds(object().id()), "the write was not cancelled at W");
}

#[tokio::test]
async fn a_panic_in_a_replicas_write_is_that_replicas_failure() {
    let trio = trio([Behaviour::Panics, Behaviour::Well, Behaviour::Well]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let stats = trio.writer.stats();
    assert_eq!((stats.succeeded, stats.missed_recorded, stats.missed_lost), (1, 1, 0));
    let missed = trio.writer.missed().remove(0);
    assert_eq!(missed.node_id, *trio.nodes[0].id());
    assert_eq!(missed.reason, "protocol: the write panicked: scripted");
}

#[tokio::test]
async fn a_put_asks_for_as_many_replicas_as_its_caller_does() {
    let put = async |trio: &Trio, consistency| {
        let writer = trio.writer.consistency(consistency);
        writer.put(vec![object()], false).await.pop().unwrap()
    };
    let one = trio([Behaviour::Well, dead(), dead()]);
    let report = put(&one, Consistency::One).await.unwrap();
    assert_eq!(report.stored[0].0, *one.nodes[0].id());
    assert_eq!(put(&one, Consistency::Quorum).await.unwrap_err().needed, 2);
    let two = trio([Behaviour::Well, Behaviour::Well, dead()]);
    let error = put(&two, Consistency::All).await.unwrap_err();
    assert_eq!((error.needed, error.failed.len()), (3, 1));
    let report = put(&two, Consistency::Quorum).await.unwrap();
    assert_eq!(report.stored.len() + report.failed.len() + report.waiting, 3);
    two.writer.drain().await;
    assert_eq!(two.writer.stats().missed_lost, 0, "whatever was asked for, it is remembered");
}

#[tokio::test]
async fn a_put_fails_as_soon_as_w_is_out_of_reach_and_says_why() {
    let trio = trio([Behaviour::Waits, dead(), dead()]);
    let error = put(&trio).await.unwrap_err();
    assert_eq!(error.failed.len(), 2);
    assert!(error.to_string().contains("refused"), "{error}");
    let stats = trio.writer.stats();
    assert_eq!((stats.attempted, stats.failed, stats.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let trio = trio([const { Behaviour::Waits }; 3]);
    {
        let mut waiting = std::pin::pin!(put(&trio));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(trio.writer.stats().in_flight, 1);
    trio.nodes.iter().for_each(|node| node.release());
    trio.writer.drain().await;
    assert!(trio.nodes.iter().all(|node| node.holds(object().id())));
    assert_eq!(trio.writer.stats().succeeded, 1);
}

#[tokio::test]
async fn replicas_that_have_the_object_are_not_sent_it_again() {
    let trio = trio([const { Behaviour::Well }; 3]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let before = requests(&trio);
    let report = trio.writer.put(vec![object()], true).await.pop().unwrap().unwrap();
    trio.writer.drain().await;
    let after = requests(&trio);
    assert!(report.stored.iter().all(|(_, stored)| stored.already_present));
    assert_eq!(after - before, 3, "each was asked, none was sent to");
}

#[tokio::test]
async fn not_found_needs_r_absent_answers() {
    let absent =
        trio([const { Behaviour::Well }; 3]).reader.get(&[object().id()]).await.pop().unwrap();
    assert!(matches!(absent, Err(GetError::NotFound { absent, .. }) if absent.len() >= 2));
    let unsure = trio([Behaviour::Well, dead(), dead()]);
    let unsure = unsure.reader.get(&[object().id()]).await.pop().unwrap();
    let Err(GetError::Unavailable { absent, failed, .. }) = unsure else {
        panic!("one absent answer of three is no proof: {unsure:?}");
    };
    assert_eq!((absent.len(), failed.len()), (1, 2));
}

#[tokio::test]
async fn other_bytes_than_the_ids_are_never_returned() {
    let trio = trio([Behaviour::Lies, Behaviour::Well, Behaviour::Well]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let got = trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    assert!(matches!(got, Got::Object(got) if got == object()));
}

#[tokio::test]
async fn a_large_read_that_breaks_off_goes_on_at_the_next_replica() {
    for (behaviours, whole) in [
        ([Behaviour::Lies, dead(), Behaviour::Well], true),
        ([Behaviour::Lies, dead(), Behaviour::Lies], false),
    ] {
        let trio = trio(behaviours);
        for node in &trio.nodes {
            node.insert(object());
        }
        let mut reader = trio.reader.get_large(object().id()).await.unwrap();
        let mut data = Vec::new();
        let ended = loop {
            match reader.next().await {
                Ok(Some(part)) => data.extend_from_slice(&part),
                ended => break ended,
            }
        };
        assert_eq!(ended.is_ok(), whole);
        assert_eq!(data, object().data()[..data.len()]);
        assert_eq!(data.len() == object().data().len(), whole);
    }
}

#[tokio::test]
async fn other_bytes_that_were_delivered_are_not_made_good_by_another_replica() {
    let trio = trio([Behaviour::Rotten, Behaviour::Well, Behaviour::Well]);
    put(&trio).await.unwrap();
    trio.writer.drain().await;
    let mut reader = trio.reader.get_large(object().id()).await.unwrap();
    let mut data = Vec::new();
    let end = loop {
        match reader.next().await {
            Ok(Some(part)) => data.extend_from_slice(&part),
            end => break end,
        }
    };
    assert_eq!(data, b"jello\n", "the replica found out when its bytes were delivered");
    assert!(matches!(end, Err(StoreError::Damaged { .. })), "{end:?}");
}

#[tokio::test]
async fn a_replica_that_hangs_is_overtaken_by_the_next() {
    let trio = trio([Behaviour::Waits, Behaviour::Well, Behaviour::Well]);
    trio.nodes[1].insert(object());
    let began = tokio::time::Instant::now();
    trio.reader.get(&[object().id()]).await.pop().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
}
