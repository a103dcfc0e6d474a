//! A replica that says it keeps hints, and keeps none.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Missed, NodeError, NodeWriter, Parts, Recorded, StoreError, Stored,
};

/// What is around a replica so that no hint comes to it.
pub struct LossyHints {
    inner: Arc<dyn NodeWriter>,
}

impl LossyHints {
    /// Around this replica.
    pub fn around(inner: Arc<dyn NodeWriter>) -> Arc<dyn NodeWriter> {
        Arc::new(LossyHints { inner })
    }
}

#[async_trait::async_trait]
impl NodeWriter for LossyHints {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.inner.put(objects, timeout).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        self.inner.put_large(head, parts).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.inner.has(ids, timeout).await
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        _timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        // As if all of it was known: so the counters agree, and only what is missing tells.
        Ok(Recorded { already: missed.len() as u64, ..Recorded::default() })
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeWriter>> {
        self.inner.bypassing_breaker().map(LossyHints::around)
    }
}
