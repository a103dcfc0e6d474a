//! Anti-entropy client.
//!
//! A peer as the other side of a comparison.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::{NodeId, Versions};
use gitstratum_core::replica::compare::{Counterpart, Question, Reply};
use gitstratum_core::replica::{
    Found, LargeReader, NodeError, NodeReader, NodeWriter, Parts, Standing, StoreError, Stored,
};
use gitstratum_proto::v1;

use super::{RemoteNode, same_number, with_timeout};
use crate::quorum::decorate::Retried;
use crate::wire::{codec, compare};

const TIMEOUT: Duration = limits::RECONCILE_TIMEOUT;

#[async_trait]
impl Counterpart for Retried<RemoteNode> {
    fn node_id(&self) -> &NodeId {
        NodeWriter::node_id(self)
    }

    async fn compare(
        &self,
        question: &Question,
        caller: &NodeId,
        versions: &Versions,
    ) -> Result<Reply, NodeError> {
        let answer = self.inner().call(TIMEOUT, 0, |mut rpc, timeout| {
            let request = compare::question_to_wire(question, caller.as_str(), versions);
            async move { rpc.compare(with_timeout(request, timeout)).await }
        });
        Ok(compare::reply_from_wire(answer.await?.into_inner(), versions)?)
    }

    async fn standing(&self, ids: &[ObjectId]) -> Result<Vec<Standing>, NodeError> {
        let answer = self.inner().call(TIMEOUT, 0, |mut rpc, timeout| {
            let request = v1::WantsRequest { ids: codec::ids_to_wire(ids) };
            async move { rpc.wants(with_timeout(request, timeout)).await }
        });
        let wants = answer.await?.into_inner().wants;
        same_number(wants.len(), ids.len())?;
        Ok(wants.into_iter().map(compare::want_from_wire).collect::<Result<_, _>>()?)
    }

    async fn fetch(&self, ids: &[ObjectId]) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        self.get(Arc::from(ids), TIMEOUT).await
    }

    async fn fetch_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        self.get_large(id).await
    }

    async fn send(
        &self,
        objects: Vec<Object>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        self.put(objects.into(), TIMEOUT).await
    }

    async fn send_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError> {
        self.put_large(head, parts).await
    }
}
