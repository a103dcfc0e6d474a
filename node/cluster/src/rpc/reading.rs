//! Read client.
//!
//! A peer that is read from, and asked what it holds.
//!
//! Each part of a large object comes within the timeout of a request, or its reading ends with
//! an error. Whether the parts are those of the object is for who reads them to verify.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use gitstratum_core::limits;
use gitstratum_core::object::{ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Found, LargeReader, NodeError, NodeReader, StoreError};
use gitstratum_proto::v1;
use tokio::time::Instant;
use tonic::Streaming;

use super::{RemoteNode, collect, same_number, with_timeout};
use crate::quorum::decorate::repeated;
use crate::wire::codec::{self, Malformed};
use crate::wire::status::{chain, store_error_of};

/// What a peer has of some objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence {
    /// One each, in order.
    pub(crate) present: Vec<bool>,
    /// What is not present may have been: see [`crate::repair::CatchingUp`].
    pub(crate) catching_up: bool,
}

impl RemoteNode {
    /// Which of these objects are held durably, and whether absence proves anything.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) async fn presence(
        &self,
        ids: &[ObjectId],
        timeout: Duration,
    ) -> Result<Presence, NodeError> {
        let again = |first_began, left| {
            let node = self.second(first_began)?;
            Some(async move { node.presence_once(ids, left).await })
        };
        repeated(timeout, self.presence_once(ids, timeout), again).await
    }

    pub(super) async fn presence_once(
        &self,
        ids: &[ObjectId],
        timeout: Duration,
    ) -> Result<Presence, NodeError> {
        let mut presence = Presence::default();
        for ids in ids.chunks(limits::BATCH_OBJECTS_MAX) {
            let response = self
                .once(timeout, 0, |mut rpc, timeout| {
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
                .once(timeout, 0, |mut rpc, timeout| {
                    let message = v1::GetRequest { id: codec::id_to_wire(id) };
                    async move { rpc.get(with_timeout(message, timeout)).await }
                })
                .await?;
            response.into_inner().outcome.into_iter().collect()
        } else {
            self.once(timeout, 0, |mut rpc, timeout| {
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
        // Of both attempts together.
        let began = self.first_began.unwrap_or_else(Instant::now);
        let timeout = limits::REQUEST_TIMEOUT.saturating_sub(began.elapsed());
        let opening = self.once(timeout, 0, |mut rpc, _| async move {
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

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeReader>> {
        Some(Arc::new(self.second(first_began)?))
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
