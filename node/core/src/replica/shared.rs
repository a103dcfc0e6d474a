//! Replica trait objects.
//!
//! A replica that is shared, so that a decorator can stand around one whose type it does not
//! know.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;
use crate::replica::{
    Found, LargeReader, Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded, StoreError,
    Stored,
};

#[async_trait]
impl NodeWriter for Arc<dyn NodeWriter> {
    fn node_id(&self) -> &NodeId {
        (**self).node_id()
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        (**self).put(objects, timeout).await
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        (**self).put_large(head, parts).await
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        (**self).has(ids, timeout).await
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        (**self).store_hints(missed, timeout).await
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeWriter>> {
        (**self).bypassing_breaker()
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeWriter>> {
        (**self).on_new_connection(first_began)
    }
}

#[async_trait]
impl NodeReader for Arc<dyn NodeReader> {
    fn node_id(&self) -> &NodeId {
        (**self).node_id()
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        (**self).get(ids, timeout).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        (**self).get_large(id).await
    }

    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeReader>> {
        (**self).bypassing_breaker()
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeReader>> {
        (**self).on_new_connection(first_began)
    }
}
