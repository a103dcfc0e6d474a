//! Answering a peer that compares what it holds with what we do.
//!
//! Invariant: compared is what both are replicas of by the one layout that both go by.

use gitstratum_proto::v1;
use tonic::Status;

use super::NodeService;
use crate::placement::NodeId;
use crate::repair::reconcile::{Shared, answer};
use crate::wire::status::status_of;
use crate::wire::{compare, fence};

impl NodeService {
    /// Compares what the caller states.
    ///
    /// # Errors
    /// A status: another layout, a malformed question, or a store that cannot be read.
    pub(super) async fn compare_with(
        &self,
        request: v1::CompareRequest,
    ) -> Result<v1::CompareResponse, Status> {
        let caller = NodeId::new(request.caller.as_str());
        let placement = fence::admit_same(self.layout.current(), request.layout_version)?;
        let question = compare::question_from_wire(request)?;
        let (Some(first), Some(last)) = (question.items.first(), question.items.last()) else {
            return Ok(v1::CompareResponse::default());
        };
        let arcs = placement.shared_by(&self.node_id, &caller);
        let inventory = self.compared.inventory(first.span.first, last.span.last).await;
        let reply = answer(&Shared::new(inventory, arcs), &question).await;
        Ok(compare::reply_to_wire(reply.map_err(|error| status_of(&error))?))
    }
}
