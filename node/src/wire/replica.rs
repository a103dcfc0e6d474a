//! A replica on another machine: the traits of `quorum` over gRPC.
//!
//! A request whose connection turned out to be dead, or could not be had, is repeated once
//! on a fresh one; that is safe because objects are immutable. A broken connection is
//! evicted so that the next caller dials.

mod comparing;
mod operator;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gitstratum_proto::v1;
use tokio::time::Instant;
use tonic::{Request, Streaming};

use crate::limits;
use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::{CurrentLayout, NodeId};
use crate::pool::{Connections, Lease, Want};
use crate::quorum::{Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded};
use crate::store::{Found, LargeReader, StoreError, Stored};
use crate::wire::codec::{self, Malformed};
use crate::wire::stamp::{self, Rpc};
use crate::wire::status::{chain, node_error_of, store_error_of};

/// So long, at least, a new member's connection is waited for.
const POOL_FOLLOWS_WITHIN_MS: u32 = 20;

/// A peer, reached over connections on lease.
#[derive(Clone)]
pub struct RemoteNode {
    node_id: NodeId,
    connections: Arc<dyn Connections>,
    /// What the caller goes by: stated with every request.
    layout: CurrentLayout,
    /// Nobody waits for its requests.
    background: bool,
}

/// What a peer has of some objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence {
    /// One each, in order.
    pub(crate) present: Vec<bool>,
    /// What is not present may have been: see [`crate::repair::CatchingUp`].
    pub(crate) catching_up: bool,
}

impl From<Malformed> for NodeError {
    fn from(error: Malformed) -> Self {
        NodeError::Protocol { reason: error.0 }
    }
}

impl RemoteNode {
    /// The peer `node_id`, for a caller that goes by `layout`.
    pub fn new(node_id: NodeId, connections: Arc<dyn Connections>, layout: CurrentLayout) -> Self {
        RemoteNode { node_id, connections, layout, background: false }
    }

    /// The same for repair: the peer does not count its requests among those that clients
    /// wait for.
    pub fn in_background(self) -> Self {
        RemoteNode { background: true, ..self }
    }

    /// Which of these objects are held durably, and whether absence proves anything.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) async fn presence(
        &self,
        ids: &[ObjectId],
        timeout: Duration,
    ) -> Result<Presence, NodeError> {
        let mut presence = Presence::default();
        for ids in ids.chunks(limits::BATCH_OBJECTS_MAX) {
            let response = self
                .call(timeout, 0, |mut rpc, timeout| {
                    let message = v1::HasRequest { ids: codec::ids_to_wire(ids) };
                    async move { rpc.has(with_timeout(message, timeout)).await }
                })
                .await?
                .into_inner();
            same_number(response.present.len(), ids.len())?;
            presence.present.extend(response.present);
            presence.catching_up |= response.catching_up;
        }
        Ok(presence)
    }

    /// Runs one request, once more on a fresh connection if its own broke or could not be
    /// opened, all within `timeout`. `bytes` of object data go with it.
    pub(crate) async fn call<T, F, Fut>(
        &self,
        timeout: Duration,
        bytes: usize,
        request: F,
    ) -> Result<T, NodeError>
    where
        F: Fn(Rpc, Duration) -> Fut,
        Fut: Future<Output = Result<T, tonic::Status>>,
    {
        let began = Instant::now();
        let want = Want { bytes, ..Want::default() };
        let first = self.attempt(want, began, timeout, &request).await;
        match first {
            Err(NodeError::ConnectionLost { .. } | NodeError::Dial(_))
                if began.elapsed() < timeout && self.connections.may_repeat(&self.node_id) =>
            {
                let want = Want { bytes, opened_after: Some(began), patient: true };
                self.attempt(want, began, timeout, &request).await
            }
            answer => answer,
        }
    }

    async fn attempt<T, F, Fut>(
        &self,
        want: Want,
        began: Instant,
        timeout: Duration,
        request: &F,
    ) -> Result<T, NodeError>
    where
        F: Fn(Rpc, Duration) -> Fut,
        Fut: Future<Output = Result<T, tonic::Status>>,
    {
        let deadline = began + timeout;
        let lease = self.lease(want, deadline, timeout).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = match tokio::time::timeout(
            left,
            request(stamp::rpc(&lease, &self.layout, self.background), left),
        )
        .await
        {
            Ok(answer) => answer.map_err(|status| failed(&lease, &status, timeout)),
            Err(_) => Err(late("waiting for the answer", timeout)),
        };
        self.connections.ended(&self.node_id, &lease, answer.as_ref().map(drop));
        answer
    }

    async fn lease(
        &self,
        want: Want,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Lease, NodeError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let leased = tokio::time::timeout(left, self.lease_of_member(want)).await;
        let lease = leased.map_err(|_| late("waiting for a connection", timeout))??;
        self.layout.learn(&lease.connection().identity().layout);
        Ok(lease)
    }

    /// A lease of a node that the layout has. The pool follows the layout in a task of its
    /// own, so a member that is new may have to wait for that, a moment.
    async fn lease_of_member(&self, want: Want) -> Result<Lease, NodeError> {
        for _ in 0..POOL_FOLLOWS_WITHIN_MS {
            match self.connections.lease(&self.node_id, want).await {
                Err(NodeError::NotMember(_)) if self.layout.get().is_read_from(&self.node_id) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                leased => return leased,
            }
        }
        self.connections.lease(&self.node_id, want).await
    }

    async fn put_one(
        &self,
        object: &Object,
        timeout: Duration,
    ) -> Result<Result<Stored, StoreError>, NodeError> {
        let answer = self
            .call(timeout, object.data().len(), |mut rpc, timeout| {
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
            .call(timeout, bytes, |mut rpc, timeout| {
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

fn late(stage: &'static str, after: Duration) -> NodeError {
    NodeError::TimedOut { stage, after }
}

fn failed(lease: &Lease, status: &tonic::Status, timeout: Duration) -> NodeError {
    node_error_of(status, lease.connection().address(), timeout)
}

fn with_timeout<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

fn same_number(answered: usize, asked: usize) -> Result<(), Malformed> {
    if answered == asked {
        Ok(())
    } else {
        Err(Malformed(format!("{asked} objects asked for, {answered} answered")))
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

async fn collect<M, T>(
    mut messages: Streaming<M>,
    outcomes: impl Fn(M) -> Vec<T>,
) -> Result<Vec<T>, tonic::Status> {
    let mut all = Vec::new();
    while let Some(message) = messages.message().await? {
        all.extend(outcomes(message));
    }
    Ok(all)
}

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

    async fn put_large(&self, head: ObjectHead, mut parts: Parts) -> Result<Stored, NodeError> {
        // Parts are gone once sent, so this call cannot be repeated here.
        let timeout = limits::REQUEST_TIMEOUT;
        let deadline = Instant::now() + timeout;
        let lease = self.lease(Want::default(), deadline, timeout).await?;
        let first = v1::put_large_request::Part::Head(codec::head_to_wire(head));
        let rest = stream::poll_fn(move |cx| parts.poll_recv(cx));
        let messages = stream::iter([first])
            .chain(rest.map(v1::put_large_request::Part::Data))
            .map(|part| v1::PutLargeRequest { part: Some(part) });
        let answer = stamp::rpc(&lease, &self.layout, self.background).put_large(messages).await;
        let answer = answer.map_err(|status| failed(&lease, &status, timeout));
        self.connections.ended(&self.node_id, &lease, answer.as_ref().map(drop));
        let stored = answer?.into_inner().stored;
        let stored = stored.ok_or_else(|| Malformed("a put without an answer".into()))?;
        Ok(codec::stored_from_wire(stored)?)
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.presence(&ids, timeout).await.map(|presence| presence.present)
    }

    async fn record_missed(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let mut recorded = Recorded::default();
        for missed in missed.chunks(limits::BATCH_OBJECTS_MAX) {
            let response = self
                .call(timeout, 0, |mut rpc, timeout| {
                    let missed = missed.iter().map(codec::missed_to_wire).collect();
                    let message = v1::RecordMissedRequest { missed };
                    async move { rpc.record_missed(with_timeout(message, timeout)).await }
                })
                .await?;
            recorded += codec::recorded_from_wire(response.into_inner(), missed.len())?;
        }
        Ok(recorded)
    }
}

#[async_trait]
impl NodeReader for RemoteNode {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        let outcomes = if let [id] = ids[..] {
            let response = self
                .call(timeout, 0, |mut rpc, timeout| {
                    let message = v1::GetRequest { id: codec::id_to_wire(id) };
                    async move { rpc.get(with_timeout(message, timeout)).await }
                })
                .await?;
            response.into_inner().outcome.into_iter().collect()
        } else {
            self.call(timeout, 0, |mut rpc, timeout| {
                let messages: Vec<_> = ids
                    .chunks(limits::BATCH_OBJECTS_MAX)
                    .map(|ids| v1::GetBatchRequest { ids: codec::ids_to_wire(ids) })
                    .collect();
                async move {
                    let request = with_timeout(stream::iter(messages), timeout);
                    collect(rpc.get_batch(request).await?.into_inner(), |m| m.outcomes).await
                }
            })
            .await?
        };
        same_number(outcomes.len(), ids.len())?;
        let pairs = outcomes.into_iter().zip(ids.iter());
        pairs.map(|(outcome, id)| Ok(codec::get_outcome_from_wire(outcome, *id)?)).collect()
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        let timeout = limits::REQUEST_TIMEOUT;
        let opening = self.call(timeout, 0, |mut rpc, _| async move {
            let message = v1::GetRequest { id: codec::id_to_wire(id) };
            let mut messages = rpc.get_large(message).await?.into_inner();
            let first = messages.message().await?;
            Ok((first, messages))
        });
        let (first, messages) = opening.await?;
        match first.and_then(|message| message.part) {
            Some(v1::get_large_response::Part::Absent(_)) => Ok(None),
            Some(v1::get_large_response::Part::Head(head)) => {
                let head = codec::head_from_wire(&head)?;
                Ok(Some(Box::new(RemoteReader { head, messages })))
            }
            _ => Err(Malformed("a large object did not begin with its head".into()).into()),
        }
    }
}

/// The parts of a large object as they come over the wire.
struct RemoteReader {
    head: ObjectHead,
    messages: Streaming<v1::GetLargeResponse>,
}

#[async_trait]
impl LargeReader for RemoteReader {
    fn head(&self) -> ObjectHead {
        self.head
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let next = tokio::time::timeout(limits::REQUEST_TIMEOUT, self.messages.message()).await;
        let message = match next {
            Ok(Ok(message)) => message,
            Ok(Err(status)) => return Err(self.broken(&status)),
            Err(_) => {
                return Err(StoreError::Remote { reason: "the next part did not come".into() });
            }
        };
        match message.map(|message| message.part) {
            None => Ok(None),
            Some(Some(v1::get_large_response::Part::Data(part))) => Ok(Some(part)),
            Some(_) => Err(StoreError::Remote { reason: "a part that is no data".into() }),
        }
    }
}

impl RemoteReader {
    fn broken(&self, status: &tonic::Status) -> StoreError {
        use prost::Message;
        match v1::Failure::decode(status.details()) {
            Ok(failure) if !status.details().is_empty() => store_error_of(failure, self.head.id),
            _ => StoreError::Remote { reason: chain(status) },
        }
    }
}
