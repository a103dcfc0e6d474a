//! A replica whose requests are spans of the trace: who was asked for what, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{Instrument, Span, debug_span};

use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;
use crate::quorum::{Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded};
use crate::store::{Found, LargeReader, StoreError, Stored};

/// A replica whose requests are spans, at the level "debug".
#[derive(Clone)]
pub struct Traced<N> {
    inner: N,
}

impl<N> Traced<N> {
    /// The same around another.
    fn around<M>(&self, inner: M) -> Traced<M> {
        Traced { inner }
    }

    /// `inner`, traced.
    pub fn new(inner: N) -> Self {
        Traced { inner }
    }
}

/// Runs a request within its span, and says there why it failed.
async fn within<T>(
    span: Span,
    request: impl Future<Output = Result<T, NodeError>> + Send,
) -> Result<T, NodeError> {
    let said = span.clone();
    let answer = request.instrument(span).await;
    if let Err(error) = &answer {
        said.in_scope(|| tracing::debug!(%error, "failed"));
    }
    answer
}

#[async_trait]
impl<N: NodeWriter + Clone + 'static> NodeWriter for Traced<N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let span = debug_span!("put", node = %self.node_id(), objects = objects.len());
        within(span, self.inner.put(objects, timeout)).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        let span = debug_span!("put_large", node = %self.node_id(), id = %head.id);
        within(span, self.inner.put_large(head, parts)).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        let span = debug_span!("has", node = %self.node_id(), objects = ids.len());
        within(span, self.inner.has(ids, timeout)).await
    }

    async fn record_missed(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let span = debug_span!("record_missed", node = %self.node_id(), objects = missed.len());
        within(span, self.inner.record_missed(missed, timeout)).await
    }

    fn insistent(&self) -> Option<Arc<dyn NodeWriter>> {
        let inner = self.inner.insistent()?;
        Some(Arc::new(self.around(inner)))
    }
}

#[async_trait]
impl<N: NodeReader + Clone + 'static> NodeReader for Traced<N> {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        let node = NodeReader::node_id(self);
        let span = debug_span!("get", %node, objects = ids.len());
        within(span, self.inner.get(ids, timeout)).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        let node = NodeReader::node_id(self);
        let span = debug_span!("get_large", %node, %id);
        within(span, self.inner.get_large(id)).await
    }

    fn insistent(&self) -> Option<Arc<dyn NodeReader>> {
        let inner = self.inner.insistent()?;
        Some(Arc::new(self.around(inner)))
    }
}
