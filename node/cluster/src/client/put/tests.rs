//! Puts by a client whose layout is not that of the replicas, one of which hangs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHead, ObjectId};
use gitstratum_core::placement::{CurrentLayout, Layout, Member, MemberState, NodeId, Placement};
use gitstratum_core::replica::{
    Durability, Missed, NodeError, NodeWriter, Parts, Readers, Recorded, StoreError, Stored,
    Writers,
};

use super::*;
use crate::client::ClientOptions;
use crate::quorum::decorate::{Breakers, Meters};
use crate::quorum::{Preference, QuorumReader, QuorumWriter};
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

/// What the replicas have in common.
struct World {
    /// What the client goes by.
    client: CurrentLayout,
    /// Layouts that came after it, oldest first. Whoever is no replica by the last one refuses,
    /// and the client learns the next one that it does not have.
    later: Vec<Layout>,
    /// Whoever refuses says that he goes by this, and nobody shows it.
    claimed: Option<(NodeId, u64)>,
    hangs: NodeId,
    hangs_for: Duration,
    /// Whether all but one fail when they are asked what they have: what is put again, fails.
    fails_again: Option<NodeId>,
    /// Who stores the object, and whom it was sent to, in order.
    holders: Mutex<BTreeSet<NodeId>>,
    sent_to: Mutex<Vec<NodeId>>,
}

struct Replica {
    node_id: NodeId,
    world: Arc<World>,
}

impl Replica {
    /// Answers at once, or hangs: for good, as far as a request can tell, or for a while.
    async fn answers(&self, timeout: Duration) -> Result<(), NodeError> {
        if self.node_id == self.world.hangs {
            tokio::time::sleep(self.world.hangs_for.min(timeout)).await;
            if self.world.hangs_for >= timeout {
                return Err(NodeError::TimedOut {
                    stage: "waiting for the answer",
                    after: timeout,
                });
            }
        }
        Ok(())
    }

    fn refusal(&self) -> Option<NodeError> {
        let World { client, later, claimed, .. } = &*self.world;
        if let Some((node_id, version)) = claimed
            && *node_id == self.node_id
        {
            client.heard_of(*version);
            return Some(NodeError::StaleLayout { version: *version, reason: "claimed".into() });
        }
        let last = Placement::new(later.last()?.clone().into());
        if last.replicas(&object().id()).contains(&self.node_id) {
            return None;
        }
        if let Some(next) = later.iter().find(|layout| layout.version > client.version()) {
            client.replace(next).unwrap();
        }
        let version = last.layout().version;
        Some(NodeError::StaleLayout { version, reason: "no replica".into() })
    }
}

#[async_trait]
impl NodeWriter for Replica {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.world.sent_to.lock().unwrap().push(self.node_id.clone());
        self.answers(timeout).await?;
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        self.world.holders.lock().unwrap().insert(self.node_id.clone());
        let stored = objects.iter().map(|object| {
            let bytes = object.size_bytes();
            Ok(Stored { bytes, durability: Durability::Synced, already_present: false })
        });
        Ok(stored.collect())
    }

    async fn put_large(&self, _: ObjectHead, _: Parts) -> Result<Stored, NodeError> {
        unreachable!("nothing large is put")
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        if self.world.fails_again.as_ref().is_some_and(|well| *well != self.node_id) {
            return Err(NodeError::ShuttingDown);
        }
        self.answers(timeout).await?;
        let holds = self.world.holders.lock().unwrap().contains(&self.node_id);
        Ok(vec![holds; ids.len()])
    }

    async fn store_hints(&self, _: Vec<Missed>, _: Duration) -> Result<Recorded, NodeError> {
        Ok(Recorded::default())
    }
}

/// Five members, N = 3, W = 2. The order is that of the object's ring.
fn first() -> (Layout, Vec<NodeId>) {
    let member = |id: &str| Member::active(NodeId::new(id), format!("{id}:1"), "z".to_owned(), 1);
    let members = ["n1", "n2", "n3", "n4", "n5"].map(member);
    let layout = Layout::first((3, 2, 2), members.into()).validated().unwrap();
    let all = Layout { replicas: 5, write_quorum: 3, read_quorum: 3, ..layout.clone() };
    let order = Placement::new(all.into()).replicas(&object().id()).to_vec();
    (layout, order)
}

/// The version after `layout`, in which a member drains.
fn draining(layout: &Layout, node_id: &NodeId) -> Layout {
    let mut next = Layout { version: layout.version + 1, ..layout.clone() };
    let member = next.members.iter_mut().find(|member| member.node_id == *node_id);
    member.unwrap().state = MemberState::Draining;
    next.validated().unwrap()
}

fn client(layout: &CurrentLayout, world: &Arc<World>) -> Client {
    let connections: Arc<dyn Connections> = Arc::new(Nobody);
    let options = ClientOptions { request_timeout: TIMEOUT, ..ClientOptions::default() };
    let world = world.clone();
    let writers: Writers = Arc::new(move |member: &Member| {
        Arc::new(Replica { node_id: member.node_id.clone(), world: world.clone() })
    });
    let readers: Readers = Arc::new(|_: &Member| unreachable!("nothing is read"));
    let preference = Preference::default();
    let reader =
        QuorumReader::repairing(layout.clone(), readers, writers.clone(), TIMEOUT, preference);
    Client {
        layout: layout.clone(),
        connections,
        breakers: Breakers::new(options.breaker.clone()),
        meters: Meters::default(),
        writer: QuorumWriter::new(layout.clone(), writers, TIMEOUT),
        reader,
        options,
        catching_up: Arc::default(),
    }
}

/// A put by a client with the first layout, when so many of its replicas drained, one after the
/// other, and the third hangs.
async fn put_behind(drained: usize) {
    let (first, order) = first();
    let mut later = Vec::new();
    for node_id in [&order[1], &order[3]].into_iter().take(drained) {
        later.push(draining(later.last().unwrap_or(&first), node_id));
    }
    let layout = CurrentLayout::new(first);
    let world = Arc::new(World {
        client: layout.clone(),
        later,
        claimed: None,
        hangs: order[2].clone(),
        hangs_for: TIMEOUT,
        fails_again: None,
        holders: Mutex::default(),
        sent_to: Mutex::default(),
    });
    let client = client(&layout, &world);
    let began = Instant::now();
    let report = client.put(object()).await.unwrap();
    assert!(began.elapsed() < TIMEOUT, "it did not wait for the one that hangs");
    let stored: BTreeSet<_> = report.stored.into_iter().map(|(node_id, _)| node_id).collect();
    let expected = BTreeSet::from([order[0].clone(), order[2 + drained].clone()]);
    assert_eq!(stored, expected, "a quorum of the last layout, and nobody who is not its replica");
    assert_eq!(*world.holders.lock().unwrap(), expected);
    let first = |node_id: &&NodeId| **node_id == order[0];
    assert_eq!(world.sent_to.lock().unwrap().iter().filter(first).count(), 1, "it had it");
    let counted = |stats: crate::quorum::WriterStats| {
        (stats.attempted, stats.succeeded, stats.failed, stats.in_flight)
    };
    assert_eq!(counted(client.stats()), (1, 1, 0, 0), "while earlier attempts go on");
    client.drain().await;
    assert_eq!(counted(client.stats()), (1, 1, 0, 0), "however these ended");
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
    let (first, order) = first();
    let layout = CurrentLayout::new(first);
    let world = Arc::new(World {
        client: layout.clone(),
        later: Vec::new(),
        claimed: Some((order[1].clone(), 9)),
        hangs: order[2].clone(),
        hangs_for: limits::HEDGE_AFTER * 3,
        fails_again: None,
        holders: Mutex::default(),
        sent_to: Mutex::default(),
    });
    let client = client(&layout, &world);
    client.put(object()).await.unwrap();
    assert_eq!(layout.version(), 1);
    let (mut sent_to, mut each) = (world.sent_to.lock().unwrap().clone(), order[..3].to_vec());
    // In whatever order the tasks came to it.
    sent_to.sort();
    each.sort();
    assert_eq!(sent_to, each, "once to each");
    assert_eq!(
        *world.holders.lock().unwrap(),
        BTreeSet::from([order[0].clone(), order[2].clone()])
    );
}

#[tokio::test]
async fn what_an_earlier_attempt_stores_is_stored_though_a_later_one_failed_before() {
    let (first, order) = first();
    let later = vec![draining(&first, &order[1])];
    let layout = CurrentLayout::new(first);
    let world = Arc::new(World {
        client: layout.clone(),
        later,
        claimed: None,
        hangs: order[2].clone(),
        hangs_for: limits::HEDGE_AFTER * 5,
        fails_again: Some(order[0].clone()),
        holders: Mutex::default(),
        sent_to: Mutex::default(),
    });
    let client = client(&layout, &world);
    let report = client.put(object()).await.unwrap();
    assert_eq!(layout.version(), 2, "there was a later attempt");
    assert_eq!(report.stored.len(), 2);
    let stats = client.stats();
    assert_eq!((stats.attempted, stats.succeeded, stats.failed, stats.in_flight), (1, 1, 0, 0));
}
