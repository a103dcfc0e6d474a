//! Write client.
//!
//! A peer that is written to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Missed, NodeError, NodeWriter, Parts, Recorded, StoreError, Stored, while_progressing,
};
use gitstratum_proto::v1;
use tokio::time::Instant;

use super::{RemoteNode, collect, failed, rpc, same_number, with_timeout};
use crate::wire::codec::{self, Malformed};

#[async_trait]
impl NodeWriter for RemoteNode {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        match &objects[..] {
            [] => Ok(Vec::new()),
            [object] => Ok(vec![self.put_one(object, timeout).await?]),
            objects => self.put_many(objects, timeout).await,
        }
    }

    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        // Bounds the wait for a connection: parts come as fast as their sender has them.
        let timeout = limits::REQUEST_TIMEOUT;
        let deadline = Instant::now() + timeout;
        let lease = self.lease(0, deadline, timeout).await?;
        let put = async |mut parts: Parts| {
            let first = v1::put_large_request::Part::Head(codec::head_to_wire(head));
            let rest = stream::poll_fn(move |cx| parts.poll_recv(cx));
            let messages = stream::iter([first])
                .chain(rest.map(v1::put_large_request::Part::Data))
                .map(|part| v1::PutLargeRequest { part: Some(part) });
            let answer = rpc(&lease, &self.layout, self.background).put_large(messages).await;
            let answer = answer.map_err(|status| failed(&lease, &status, timeout))?;
            let stored = answer.into_inner().stored;
            let stored = stored.ok_or_else(|| Malformed("a put without an answer".into()))?;
            Ok(codec::stored_from_wire(stored)?)
        };
        let answer = while_progressing(limits::LARGE_ANSWER_TIMEOUT, parts, put).await;
        self.connections.ended(&self.node_id, &lease, answer.as_ref().map(drop));
        answer
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.presence_once(&ids, timeout).await.map(|presence| presence.present)
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let mut recorded = Recorded::default();
        for missed in missed.chunks(limits::BATCH_OBJECTS_MAX) {
            let response = self
                .once(timeout, 0, |mut rpc, timeout| {
                    let missed = missed.iter().map(codec::missed_to_wire).collect();
                    let message = v1::StoreHintsRequest { missed };
                    async move { rpc.store_hints(with_timeout(message, timeout)).await }
                })
                .await?;
            recorded += codec::recorded_from_wire(response.into_inner(), missed.len())?;
        }
        Ok(recorded)
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeWriter>> {
        Some(Arc::new(self.second(first_began)?))
    }
}

impl RemoteNode {
    async fn put_one(
        &self,
        object: &Object,
        timeout: Duration,
    ) -> Result<Result<Stored, StoreError>, NodeError> {
        let answer = self
            .once(timeout, object.data().len(), |mut rpc, timeout| {
                let message = v1::PutRequest { object: Some(codec::object_to_wire(object)) };
                async move { rpc.put(with_timeout(message, timeout)).await }
            })
            .await;
        match answer {
            Ok(response) => {
                let stored = response.into_inner().stored;
                let stored = stored.ok_or_else(|| Malformed("a put without an answer".into()))?;
                Ok(Ok(codec::stored_from_wire(stored)?))
            }
            Err(NodeError::Rejected(error)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    async fn put_many(
        &self,
        objects: &[Object],
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let bytes = objects.iter().map(|object| object.data().len()).sum();
        let outcomes = self
            .once(timeout, bytes, |mut rpc, timeout| {
                let messages = batches(objects);
                async move {
                    let request = with_timeout(stream::iter(messages), timeout);
                    collect(rpc.put_batch(request).await?.into_inner(), |m| m.outcomes).await
                }
            })
            .await?;
        same_number(outcomes.len(), objects.len())?;
        let pairs = outcomes.into_iter().zip(objects);
        pairs
            .map(|(outcome, object)| Ok(codec::put_outcome_from_wire(outcome, object.id())?))
            .collect()
    }
}

/// Splits objects into messages within the batch bounds.
fn batches(objects: &[Object]) -> Vec<v1::PutBatchRequest> {
    let mut messages = vec![v1::PutBatchRequest::default()];
    let mut bytes = 0;
    for object in objects {
        let current = messages.last().expect("it begins with one");
        let full = bytes + object.data().len() > limits::BATCH_BYTES_MAX
            || current.objects.len() == limits::BATCH_OBJECTS_MAX;
        if full && !current.objects.is_empty() {
            messages.push(v1::PutBatchRequest::default());
            bytes = 0;
        }
        bytes += object.data().len();
        let current = messages.last_mut().expect("it begins with one");
        current.objects.push(codec::object_to_wire(object));
    }
    messages
}
