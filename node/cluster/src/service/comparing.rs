//! Anti-entropy service.
//!
//! Answering a peer that compares what it holds with what we do.
//!
//! Invariant: both sides go by the same layouts, those that are not settled included, and so
//! compute alike what they compare ([`gitstratum_core::placement::Sharing`]).

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::compare::Reply;
use gitstratum_proto::v1;
use gitstratum_store::SegmentStore;
use tokio::sync::Semaphore;
use tonic::Status;

use super::NodeService;
use crate::repair::reconcile::{Shared, answer};
use crate::service::fence;
use crate::wire::codec::Malformed;
use crate::wire::compare;
use crate::wire::status::status_of;

/// A node's store as its peers compare it with theirs.
pub struct Compared {
    pub(super) store: Arc<SegmentStore>,
    /// A comparison takes memory and time: the others wait.
    answers: Semaphore,
}

impl Compared {
    /// Lets peers compare this store.
    pub fn new(store: Arc<SegmentStore>) -> Self {
        Compared { store, answers: Semaphore::new(limits::RECONCILE_ANSWERS_MAX) }
    }
}

impl NodeService {
    /// Compares what the caller states.
    ///
    /// # Errors
    /// A status: another layout, a malformed question, or a store that cannot be read.
    pub(super) async fn compare_with(
        &self,
        request: v1::CompareRequest,
    ) -> Result<v1::CompareResponse, Status> {
        let caller = NodeId::checked(&request.caller);
        let caller = caller.map_err(|problem| Malformed(format!("a caller: {problem}")))?;
        let versions = compare::versions_from_wire(&request);
        let placement = fence::admit_same(self.layout.current(), &versions)?;
        let question = compare::question_from_wire(request)?;
        let (Some(first), Some(last)) = (question.items.first(), question.items.last()) else {
            return Ok(compare::reply_to_wire(Reply::default(), versions));
        };
        let arcs = placement.sharing(&self.node_id, &caller).compared;
        let answers = &self.compared.answers;
        let _answer = answers.acquire().await.expect("the semaphore is never closed");
        let last = question.count_to.map_or(last.span.last, |to| to.max(last.span.last));
        let inventory = self.compared.store.inventory(first.span.first, last).await;
        let reply = answer(&Shared::new(inventory, arcs), &question).await;
        Ok(compare::reply_to_wire(reply.map_err(|error| status_of(&error))?, versions))
    }
}
