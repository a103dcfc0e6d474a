//! Local replica.
//!
//! A replica in the same process: the engine takes part like any other node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Found, LargeReader, Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded, StoreError,
    Stored, while_progressing,
};
use gitstratum_store::Store;

use crate::repair::HintLog;

/// The store of this process as a replica.
#[derive(Clone)]
pub struct LocalNode {
    node_id: NodeId,
    store: Arc<dyn Store>,
    hints: Arc<HintLog>,
}

impl LocalNode {
    /// The replica of `node_id`, which is this process.
    pub fn new(node_id: NodeId, store: Arc<dyn Store>, hints: Arc<HintLog>) -> Self {
        LocalNode { node_id, store, hints }
    }
}

async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = T> + Send,
) -> Result<T, NodeError> {
    let late = |_| NodeError::TimedOut { stage: "waiting for the store", after: timeout };
    tokio::time::timeout(timeout, answer).await.map_err(late)
}

#[async_trait]
impl NodeWriter for LocalNode {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        within(timeout, self.store.put(objects.to_vec())).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        let put = async |mut parts: Parts| {
            let mut writer = self.store.put_large(head).await?;
            while let Some(part) = parts.recv().await {
                writer.write(part).await?;
            }
            Ok(writer.finish().await?)
        };
        while_progressing(limits::LARGE_ANSWER_TIMEOUT, parts, put).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        Ok(within(timeout, self.store.has(&ids)).await??)
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let recorded = within(timeout, self.hints.record(missed, 0)).await?;
        recorded
            .map_err(|error| NodeError::Rejected(StoreError::Failed { reason: error.to_string() }))
    }
}

#[async_trait]
impl NodeReader for LocalNode {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        within(timeout, async {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids.iter() {
                found.push(self.store.get(*id).await);
            }
            found
        })
        .await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        Ok(self.store.get_large(id).await?)
    }
}
