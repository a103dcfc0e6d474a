//! Replicas that a read found lacking, and that are given nothing.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Missed, NodeError, NodeWriter, Parts, Recorded, StoreError, Stored,
};

use super::writers::pretended;

/// What is around a replica so that no repair comes to it.
pub struct NoReadRepair {
    inner: Arc<dyn NodeWriter>,
}

impl NoReadRepair {
    /// Around this replica.
    pub fn around(inner: Arc<dyn NodeWriter>) -> Arc<dyn NodeWriter> {
        Arc::new(NoReadRepair { inner })
    }
}

#[async_trait::async_trait]
impl NodeWriter for NoReadRepair {
    fn node_id(&self) -> &NodeId {
        self.inner.node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        _timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        Ok(objects.iter().map(|object| Ok(pretended(object.size_bytes()))).collect())
    }

    async fn put_large(&self, head: ObjectHead, mut parts: Parts) -> Result<Stored, NodeError> {
        while parts.recv().await.is_some() {}
        Ok(pretended(head.size_bytes))
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.inner.has(ids, timeout).await
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        self.inner.store_hints(missed, timeout).await
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeWriter>> {
        self.inner.bypassing_breaker().map(NoReadRepair::around)
    }
}
