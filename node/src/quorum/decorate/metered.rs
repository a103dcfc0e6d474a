//! A replica whose requests are counted: how many, how they ended, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;
use crate::quorum::{Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded};
use crate::store::{Found, LargeReader, StoreError, Stored};

/// Requests of one kind to one replica; `begun = answered + failed` and what is under way or
/// was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests.
    pub begun: u64,
    /// Of those, answered for the batch as a whole.
    pub answered: u64,
    /// Of those, not.
    pub failed: u64,
    /// What those that ended took together.
    pub took: Duration,
}

/// Requests to one replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaCounts {
    /// Puts of batches, and of large objects.
    pub puts: RequestCounts,
    /// Gets of batches, and openings of large objects.
    pub gets: RequestCounts,
    /// Questions which objects are held.
    pub has: RequestCounts,
    /// Records of missed writes.
    pub records: RequestCounts,
}

type Kind = fn(&mut ReplicaCounts) -> &mut RequestCounts;

/// The counts of all replicas. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Meters {
    replicas: Arc<Mutex<BTreeMap<NodeId, Arc<Mutex<ReplicaCounts>>>>>,
}

impl Meters {
    fn of(&self, node_id: &NodeId) -> Arc<Mutex<ReplicaCounts>> {
        let mut replicas = self.replicas.lock().expect("nothing panics while it looks");
        if let Some(counts) = replicas.get(node_id) {
            return counts.clone();
        }
        replicas.entry(node_id.clone()).or_default().clone()
    }

    /// The counts of every replica that was asked for anything.
    pub fn list(&self) -> Vec<(NodeId, ReplicaCounts)> {
        let replicas = self.replicas.lock().expect("nothing panics while it looks");
        let counts =
            |counts: &Mutex<ReplicaCounts>| *counts.lock().expect("nothing panics while it counts");
        replicas.iter().map(|(node_id, replica)| (node_id.clone(), counts(replica))).collect()
    }
}

/// A replica whose requests are counted.
#[derive(Clone)]
pub struct Metered<N> {
    inner: N,
    counts: Arc<Mutex<ReplicaCounts>>,
}

impl<N: NodeWriter> Metered<N> {
    /// `inner`, counted by what `meters` has for it.
    pub fn new(inner: N, meters: &Meters) -> Self {
        let counts = meters.of(inner.node_id());
        Metered { inner, counts }
    }
}

impl<N> Metered<N> {
    /// The same around another.
    fn around<M>(&self, inner: M) -> Metered<M> {
        Metered { inner, counts: self.counts.clone() }
    }

    fn count(&self, change: impl FnOnce(&mut ReplicaCounts)) {
        change(&mut self.counts.lock().expect("nothing panics while it counts"));
    }

    async fn counted<T>(
        &self,
        kind: Kind,
        request: impl Future<Output = Result<T, NodeError>> + Send,
    ) -> Result<T, NodeError> {
        self.count(|counts| kind(counts).begun += 1);
        let began = Instant::now();
        let answer = request.await;
        self.count(|counts| {
            let counts = kind(counts);
            counts.took += began.elapsed();
            *if answer.is_ok() { &mut counts.answered } else { &mut counts.failed } += 1;
        });
        answer
    }
}

#[async_trait]
impl<N: NodeWriter + Clone + 'static> NodeWriter for Metered<N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.counted(|counts| &mut counts.puts, self.inner.put(objects, timeout)).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        self.counted(|counts| &mut counts.puts, self.inner.put_large(head, parts)).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.counted(|counts| &mut counts.has, self.inner.has(ids, timeout)).await
    }

    async fn record_missed(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        self.counted(|counts| &mut counts.records, self.inner.record_missed(missed, timeout)).await
    }

    fn insistent(&self) -> Option<Arc<dyn NodeWriter>> {
        let inner = self.inner.insistent()?;
        Some(Arc::new(self.around(inner)))
    }
}

#[async_trait]
impl<N: NodeReader + Clone + 'static> NodeReader for Metered<N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        self.counted(|counts| &mut counts.gets, self.inner.get(ids, timeout)).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        self.counted(|counts| &mut counts.gets, self.inner.get_large(id)).await
    }

    fn insistent(&self) -> Option<Arc<dyn NodeReader>> {
        let inner = self.inner.insistent()?;
        Some(Arc::new(self.around(inner)))
    }
}
