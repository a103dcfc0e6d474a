//! Decorators around a scripted replica, alone and under a quorum.

mod batching;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_core::metrics::{Sample, Samples};
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId};
use gitstratum_core::replica::{NodeError, NodeReader, NodeWriter, StoreError};
use gitstratum_testing::{Behaviour, ScriptedReplica};
use tokio::time::sleep;

use super::{
    Adaptive, AdaptiveOptions, BreakerOptions, BreakerState, Breakers, Guarded, Latencies, Metered,
    Meters, Retried, Traced,
};
use crate::quorum::{QuorumReader, QuorumWriter};

const OPEN: Duration = Duration::from_millis(60);

fn replica(name: &str) -> ScriptedReplica {
    ScriptedReplica::new(NodeId::new(name))
}

fn failing(name: &str) -> ScriptedReplica {
    let replica = replica(name);
    replica.behave(Behaviour::Fails(NodeError::ShuttingDown));
    replica
}

fn calls(replica: &ScriptedReplica) -> usize {
    replica.requests().len()
}

fn object() -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"hello\n")).unwrap()
}

fn breakers() -> Breakers {
    Breakers::new(BreakerOptions {
        window: 8,
        requests_min: 4,
        slow_after: Duration::from_millis(40),
        open_min: OPEN,
        open_max: 4 * OPEN,
        ..BreakerOptions::default()
    })
}

async fn put(node: &impl NodeWriter) -> Result<(), NodeError> {
    node.put([object()].into(), Duration::from_secs(5)).await.map(drop)
}

/// Puts until the circuit is open.
async fn open_circuit(node: &Guarded<ScriptedReplica>) {
    for _ in 0..100 {
        if matches!(put(node).await, Err(NodeError::CircuitOpen { .. })) {
            return;
        }
    }
    panic!("a hundred bad requests did not open the circuit");
}

#[tokio::test]
async fn a_circuit_opens_on_failures_and_lets_one_trial_through() {
    let (replica, breakers) = (failing("n1"), breakers());
    open_circuit(&Guarded::new(replica.clone(), &breakers)).await;
    assert_eq!(calls(&replica), 4, "who is refused does not get through");
    assert_eq!(breakers.list()[0].state, BreakerState::Open);

    // Many ask at once when the time has come: one is on trial, the others wait for it.
    sleep(OPEN).await;
    replica.take(Duration::from_millis(20));
    let node = Guarded::new(replica.clone(), &breakers);
    let answers = join_all((0..50).map(|_| put(&node))).await;
    assert_eq!(calls(&replica), 5);
    let refused = |answer: &&Result<(), _>| matches!(answer, Err(NodeError::CircuitOpen { .. }));
    assert_eq!(answers.iter().filter(refused).count(), 49);

    // It stays open for longer now, and closes when a trial does well.
    sleep(OPEN).await;
    assert!(matches!(put(&node).await, Err(NodeError::CircuitOpen { .. })));
    replica.behave(Behaviour::Well);
    sleep(OPEN).await;
    let answers = join_all((0..50).map(|_| put(&node))).await;
    assert!(answers.iter().all(Result::is_ok), "those who waited for a good trial go on");
    let numbers = &breakers.list()[0];
    assert_eq!((numbers.opened, numbers.half_opened, numbers.closed), (2, 2, 1));
}

#[tokio::test]
async fn slowness_opens_a_circuit_too_and_a_trial_that_is_given_up_blocks_nobody() {
    let breakers = breakers();
    let replica = replica("n1");
    replica.take(Duration::from_millis(50));
    let node = Guarded::new(replica.clone(), &breakers);
    open_circuit(&node).await;
    sleep(OPEN).await;
    let given_up = tokio::time::timeout(Duration::from_millis(5), put(&node)).await;
    assert!(given_up.is_err());
    put(&node).await.expect("the next is on trial, and answered late but well");
}

#[tokio::test]
async fn what_the_caller_did_wrong_opens_no_circuit() {
    let (replica, breakers) = (replica("n1"), breakers());
    let node = Guarded::new(replica, &breakers);
    for _ in 0..100 {
        let admitted = breakers.of(NodeWriter::node_id(&node)).admit().await.unwrap();
        admitted.end::<()>(&Err(NodeError::Invalid { reason: "no".into() }), true);
    }
    assert_eq!(breakers.list()[0].state, BreakerState::Closed);
}

/// Three replicas behind breakers, W = R = 2.
fn guarded_trio(
    replicas: &[ScriptedReplica; 3],
    breakers: &Breakers,
) -> (QuorumWriter, QuorumReader) {
    let member = |replica: &ScriptedReplica| {
        let name = replica.id().clone();
        let address = format!("{name}:7000");
        Member::active(name, address, "z".into(), 1)
    };
    let layout = Layout::first((3, 2, 2), replicas.iter().map(member).collect());
    let layout = CurrentLayout::new(layout.validated().unwrap());
    replicas.iter().for_each(|replica| replica.insert(object()));
    let guarded = {
        let (replicas, breakers) = (replicas.clone(), breakers.clone());
        move |member: &Member| {
            let replica = replicas.iter().find(|replica| *replica.id() == member.node_id);
            Guarded::new(replica.unwrap().clone(), &breakers)
        }
    };
    let (for_writes, for_reads) = (guarded.clone(), guarded);
    let timeout = Duration::from_secs(5);
    let writers = Arc::new(move |member: &Member| Arc::new(for_writes(member)) as _);
    let readers = Arc::new(move |member: &Member| Arc::new(for_reads(member)) as _);
    (
        QuorumWriter::new(layout.clone(), writers, timeout),
        QuorumReader::new(layout, readers, timeout),
    )
}

#[tokio::test]
async fn an_open_circuit_never_fails_a_quorum_that_its_replica_could_make() {
    // The open circuit belongs to a replica that is well again; another one is dead.
    let breakers = breakers();
    let replicas = [failing("n1"), replica("n2"), failing("n3")];
    open_circuit(&Guarded::new(replicas[0].clone(), &breakers)).await;
    replicas[0].behave(Behaviour::Well);
    let (writer, reader) = guarded_trio(&replicas, &breakers);
    let put = writer.put(vec![object()], false).await.pop().unwrap();
    assert_eq!(put.expect("n1 was needed after all").stored.len(), 2);

    // And all at once, when none of the three circuits lets anything through.
    for replica in &replicas {
        replica.behave(Behaviour::Fails(NodeError::ShuttingDown));
        open_circuit(&Guarded::new(replica.clone(), &breakers)).await;
        replica.behave(Behaviour::Well);
    }
    reader.get(&[object().id()]).await.pop().unwrap().expect("somebody was asked");
    for replica in &replicas {
        replica.behave(Behaviour::Fails(NodeError::ShuttingDown));
        open_circuit(&Guarded::new(replica.clone(), &breakers)).await;
        replica.behave(Behaviour::Well);
    }
    writer.put(vec![object()], false).await.pop().unwrap().expect("they were asked");
    writer.drain().await;
}

#[tokio::test]
async fn a_replica_that_a_quorum_can_do_without_is_left_alone() {
    let breakers = breakers();
    let replicas = [failing("n1"), replica("n2"), replica("n3")];
    open_circuit(&Guarded::new(replicas[0].clone(), &breakers)).await;
    let before = calls(&replicas[0]);
    let (writer, _) = guarded_trio(&replicas, &breakers);
    writer.put(vec![object()], false).await.pop().unwrap().unwrap();
    writer.drain().await;
    assert_eq!(calls(&replicas[0]), before);
    assert_eq!(writer.missed()[0].node_id, *replicas[0].id(), "what it missed is recorded");
}

#[tokio::test]
async fn deadlines_follow_latencies_within_bounds_and_the_callers_own_goes_first() {
    let latencies = Latencies::new(AdaptiveOptions {
        deadline_min: Duration::from_millis(30),
        deadline_max: Duration::from_secs(2),
        requests_min: 20,
        ..AdaptiveOptions::default()
    });
    let replica = replica("n1");
    let node = Adaptive::new(replica.clone(), &latencies);
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(7));
    assert_eq!(node.layer().within(long), Duration::from_secs(2), "nothing is known yet");
    assert_eq!(node.layer().within(short), short);
    for _ in 0..20 {
        put(&node).await.unwrap();
    }
    let quick = node.layer().within(long);
    assert!(quick < Duration::from_millis(300), "it answers at once: {quick:?}");
    assert_eq!(node.layer().within(short), short);

    // It becomes slow: the first is late, and by and by it gets the time that it needs.
    replica.take(quick + Duration::from_millis(50));
    assert!(matches!(put(&node).await, Err(NodeError::TimedOut { after, .. }) if after == quick));
    put(&node).await.expect("what it takes is known now");
}

#[tokio::test]
async fn decorators_count_what_they_let_through_in_any_order() {
    let breakers = breakers();
    let (inside, outside) = (Meters::default(), Meters::default());
    let replica = failing("n1");
    // Whether a counter is inside of a breaker decides if refused requests count.
    let guarded = Guarded::new(Metered::new(Traced::new(replica.clone()), &inside), &breakers);
    let node = Traced::new(Metered::new(guarded, &outside));
    for _ in 0..40 {
        let _ = put(&node).await;
    }
    let puts = |meters: &Meters| meters.list()[0].1.puts;
    assert_eq!(puts(&outside).begun, 40);
    assert_eq!(puts(&outside).failed, 40);
    assert!(puts(&inside).begun < 40, "the circuit opened: {:?}", puts(&inside));
    assert_eq!(puts(&inside).begun, calls(&replica) as u64);
    replica.behave(Behaviour::Well);
    let bypassing_breaker = NodeWriter::bypassing_breaker(&node).expect("there is a breaker");
    put(&bypassing_breaker).await.expect("it passes every layer");
    assert_eq!((puts(&inside).answered, puts(&outside).answered), (1, 1), "and is counted");
}

#[tokio::test]
async fn metrics_tell_requests_apart_by_peer_by_kind_and_by_how_they_ended() {
    let (breakers, meters) = (breakers(), Meters::default());
    let replica = failing("n1");
    let node = Guarded::new(Metered::new(replica.clone(), &meters), &breakers);
    replica.behave(Behaviour::Well);
    put(&node).await.unwrap();
    replica.behave(Behaviour::Waits);
    let given_up = tokio::time::timeout(Duration::from_millis(20), put(&node)).await;
    assert!(given_up.is_err(), "nobody answers");
    replica.behave(Behaviour::Fails(NodeError::ShuttingDown));
    while breakers.list()[0].state != BreakerState::Open {
        put(&node).await.unwrap_err();
    }
    put(&node).await.expect_err("the circuit is open");
    let failed = meters.list()[0].1.puts.failed;

    let samples = Samples::registered_by(|registry| {
        meters.register(registry);
        breakers.register(registry);
    });
    let value = |name: &str, labels: &[(&str, &str)]| {
        let same = |sample: &&Sample| {
            let of: Vec<_> = sample.labels.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            sample.name == name && of == labels
        };
        samples.0.iter().find(same).map(|sample| sample.value)
    };
    let ended = |result| {
        let labels = [("peer", "n1"), ("request", "put"), ("result", result)];
        value("gitstratum_replica_requests_total", &labels)
    };
    assert_eq!(ended("succeeded"), Some(1.0));
    assert_eq!(ended("given_up"), Some(1.0));
    assert_eq!(ended("shutting_down"), Some(failed as f64));
    assert_eq!(ended("timed_out"), None, "what never happened has no series");
    let put = [("peer", "n1"), ("request", "put")];
    assert_eq!(value("gitstratum_replica_requests_in_flight", &put), Some(0.0));
    let took = value("gitstratum_replica_request_seconds_count", &put);
    assert_eq!(took, Some(1.0 + failed as f64), "of those that ended");
    for (state, is_so) in [("closed", 0.0), ("open", 1.0), ("half_open", 0.0)] {
        let labels = [("peer", "n1"), ("state", state)];
        assert_eq!(value("gitstratum_breaker_state", &labels), Some(is_so), "{state}");
    }
    assert_eq!(value("gitstratum_breaker_opened_total", &[("peer", "n1")]), Some(1.0));
    assert_eq!(value("gitstratum_breaker_refused_total", &[("peer", "n1")]), Some(1.0));
}
