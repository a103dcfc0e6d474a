//! Puts by a client whose layout is not that of the replicas, one of which hangs.

mod large;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};
use gitstratum_core::placement::{CurrentLayout, Layout, MemberState, NodeId, Placement};
use gitstratum_core::replica::NodeError;
use gitstratum_testing::{Asked, Request, ScriptedCluster, ScriptedReplica};

use super::*;
use crate::client::ClientOptions;
use crate::quorum::decorate::{Breakers, Meters};
use crate::quorum::{Preference, QuorumReader, QuorumWriter, WriterStats};
use crate::transport::{Connections, Lease, Want};

const TIMEOUT: Duration = Duration::from_secs(3);

fn object() -> Object {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"hello\n")).unwrap()
}

/// Whom a client may ask for a layout: nobody answers.
struct Nobody;

#[async_trait]
impl Connections for Nobody {
    async fn lease(&self, _: &NodeId, _: Want) -> Result<Lease, NodeError> {
        Err(NodeError::ShuttingDown)
    }

    fn ended(&self, _: &NodeId, _: &Lease, _: Result<(), &NodeError>) {}

    fn may_retry(&self, _: &NodeId) -> bool {
        false
    }
}

/// Five members, N = 3, W = 2, and a client with their first layout.
struct World {
    /// In the order of the object's ring.
    order: Vec<ScriptedReplica>,
    first: Layout,
    /// What the client goes by.
    layout: CurrentLayout,
    client: Client,
}

impl World {
    fn new(id: ObjectId) -> Self {
        let cluster = ScriptedCluster::new(5, (3, 2, 2));
        let (order, first) = (cluster.ring_order(&id), cluster.layout());
        let layout = CurrentLayout::new(first.clone());
        let options = ClientOptions { request_timeout: TIMEOUT, ..ClientOptions::default() };
        let (writers, readers, preference) =
            (cluster.writers(), cluster.readers(), Preference::default());
        let reader =
            QuorumReader::repairing(layout.clone(), readers, writers.clone(), TIMEOUT, preference);
        let client = Client {
            layout: layout.clone(),
            connections: Arc::new(Nobody),
            breakers: Breakers::new(options.breaker.clone()),
            meters: Meters::default(),
            writer: QuorumWriter::new(layout.clone(), writers, TIMEOUT),
            reader,
            options,
            catching_up: Arc::default(),
            asked_first: None,
        };
        World { order, first, layout, client }
    }

    /// The replicas go by a layout in which the members at these places of the ring have begun to
    /// drain, one after another. Whoever is no replica by it refuses what is put, and the client
    /// learns the next one that it does not have.
    fn drain(&self, places: &[usize]) {
        let mut layouts = vec![self.first.clone()];
        for place in places {
            let last = layouts.last().expect("it begins with one");
            layouts.push(draining(last, self.order[*place].id()));
        }
        let last = layouts.pop().expect("it begins with one");
        let in_force = Arc::new(Placement::new(last.clone().into()));
        layouts.push(last);
        for replica in &self.order {
            let (in_force, layouts) = (in_force.clone(), layouts.clone());
            let (node_id, client) = (replica.id().clone(), self.layout.clone());
            replica.script(move |Request { asked, ids, .. }| {
                let puts = matches!(asked, Asked::Put | Asked::PutLarge);
                if !puts || in_force.replicas(&ids[0]).contains(&node_id) {
                    return None;
                }
                if let Some(next) = layouts.iter().find(|next| next.version > client.version()) {
                    client.replace(next).unwrap();
                }
                let version = in_force.layout().version;
                Some(NodeError::StaleLayout { version, reason: "no replica".into() })
            });
        }
    }

    /// The places of those that hold the object.
    fn holders(&self, id: ObjectId) -> Vec<usize> {
        (0..self.order.len()).filter(|place| self.order[*place].holds(id)).collect()
    }

    /// The places of replicas.
    fn places(&self, report: &PutReport) -> Vec<usize> {
        let place = |node_id| self.order.iter().position(|replica| replica.id() == node_id);
        let mut places: Vec<_> =
            report.stored.iter().map(|(node_id, _)| place(node_id).unwrap()).collect();
        places.sort_unstable();
        places
    }
}

/// The version after `layout`, in which a member drains.
fn draining(layout: &Layout, node_id: &NodeId) -> Layout {
    let mut next = Layout { version: layout.version + 1, ..layout.clone() };
    let member = next.members.iter_mut().find(|member| member.node_id == *node_id);
    member.unwrap().state = MemberState::Draining;
    next.validated().unwrap()
}

/// Attempted, succeeded, failed and in flight.
fn counted(stats: WriterStats) -> (u64, u64, u64, u64) {
    (stats.attempted, stats.succeeded, stats.failed, stats.in_flight)
}

/// A put by a client with the first layout, when so many of its replicas drained, one after the
/// other, and the third hangs.
async fn put_behind(drained: usize) {
    let world = World::new(object().id());
    world.drain(&[1, 3][..drained]);
    world.order[2].take(TIMEOUT);
    let began = Instant::now();
    let report = world.client.put(object()).await.unwrap();
    assert!(began.elapsed() < TIMEOUT, "it did not wait for the one that hangs");
    let expected = [0, 2 + drained];
    assert_eq!(world.places(&report), expected, "a quorum of the last layout");
    assert_eq!(world.holders(object().id()), expected, "and nobody who is not its replica");
    assert_eq!(world.order[0].count(Asked::Put), 1, "it had it");
    assert_eq!(counted(world.client.stats()), (1, 1, 0, 0), "while earlier attempts go on");
    world.client.drain().await;
    assert_eq!(counted(world.client.stats()), (1, 1, 0, 0), "however these ended");
}

#[tokio::test]
async fn a_put_that_is_refused_as_stale_is_tried_by_the_newer_layout_while_a_replica_hangs() {
    put_behind(1).await;
}

#[tokio::test]
async fn so_is_one_that_meets_two_changes() {
    put_behind(2).await;
}

#[tokio::test]
async fn a_version_that_nobody_shows_does_not_end_an_attempt() {
    let world = World::new(object().id());
    let client = world.layout.clone();
    world.order[1].script(move |_| {
        client.heard_of(9);
        Some(NodeError::StaleLayout { version: 9, reason: "claimed".into() })
    });
    world.order[2].take(limits::HEDGE_AFTER * 3);
    world.client.put(object()).await.unwrap();
    assert_eq!(world.layout.version(), 1);
    let puts: Vec<_> = world.order.iter().map(|replica| replica.count(Asked::Put)).collect();
    assert_eq!(puts, [1, 1, 1, 0, 0], "once to each");
    assert_eq!(world.holders(object().id()), [0, 2]);
}

#[tokio::test]
async fn what_an_earlier_attempt_stores_is_stored_though_a_later_one_failed_before() {
    let world = World::new(object().id());
    world.drain(&[1]);
    world.order[2].take(limits::HEDGE_AFTER * 5);
    // What is put again fails on all but one: they are asked first what they have.
    for replica in [&world.order[2], &world.order[3]] {
        fail_when_asked(replica);
    }
    let report = world.client.put(object()).await.unwrap();
    assert_eq!(world.layout.version(), 2, "there was a later attempt");
    assert_eq!(report.stored.len(), 2);
    assert_eq!(counted(world.client.stats()), (1, 1, 0, 0));
}

/// Fails when it is asked what it has, and does everything else.
fn fail_when_asked(replica: &ScriptedReplica) {
    let fails = |request: &Request| request.asked == Asked::Has;
    replica.script(move |request| fails(request).then_some(NodeError::ShuttingDown));
}
