//! A replica behind its circuit breaker.
//!
//! Requests that a quorum can do without are refused while the circuit is open; whoever
//! cannot do without them says so through `insistent`. Large objects and records of missed
//! writes pass in any case: the first cannot be sent again, the second are how a replica's
//! trouble is remembered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::breaker::{Admitted, Breaker, Breakers};
use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;
use crate::quorum::{Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded};
use crate::store::{Found, LargeReader, StoreError, Stored};

/// A replica behind its circuit breaker.
#[derive(Clone)]
pub struct Guarded<N> {
    inner: N,
    breaker: Arc<Breaker>,
    insists: bool,
}

impl<N: NodeWriter> Guarded<N> {
    /// `inner` behind the circuit that `breakers` has for it.
    pub fn new(inner: N, breakers: &Breakers) -> Self {
        let breaker = breakers.of(inner.node_id());
        Guarded { inner, breaker, insists: false }
    }
}

impl<N> Guarded<N> {
    async fn admit(&self, timeout: Duration) -> Result<Admitted, NodeError> {
        if self.insists {
            return Ok(self.breaker.admit_anyway());
        }
        let late = |_| NodeError::TimedOut { stage: "waiting for a trial", after: timeout };
        tokio::time::timeout(timeout, self.breaker.admit()).await.map_err(late)?
    }
}

#[async_trait]
impl<N: NodeWriter + Clone + 'static> NodeWriter for Guarded<N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let admitted = self.admit(timeout).await?;
        let answer = self.inner.put(objects, timeout).await;
        admitted.end(&answer, true);
        answer
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        let admitted = self.breaker.admit_anyway();
        let answer = self.inner.put_large(head, parts).await;
        admitted.end(&answer, false);
        answer
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        let admitted = self.admit(timeout).await?;
        let answer = self.inner.has(ids, timeout).await;
        admitted.end(&answer, true);
        answer
    }

    async fn record_missed(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let admitted = self.breaker.admit_anyway();
        let answer = self.inner.record_missed(missed, timeout).await;
        admitted.end(&answer, true);
        answer
    }

    fn insistent(&self) -> Option<Arc<dyn NodeWriter>> {
        Some(Arc::new(Guarded { insists: true, ..self.clone() }))
    }
}

#[async_trait]
impl<N: NodeReader + Clone + 'static> NodeReader for Guarded<N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        let admitted = self.admit(timeout).await?;
        let answer = self.inner.get(ids, timeout).await;
        admitted.end(&answer, true);
        answer
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        let admitted = self.breaker.admit_anyway();
        let answer = self.inner.get_large(id).await;
        admitted.end(&answer, false);
        answer
    }

    fn insistent(&self) -> Option<Arc<dyn NodeReader>> {
        Some(Arc::new(Guarded { insists: true, ..self.clone() }))
    }
}
