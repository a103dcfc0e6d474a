//! Which writes a node refuses because of the layout.
//!
//! Invariant (I8): a node stores nothing for a caller whose layout is not newer than its
//! own unless, by its own layout, it is among the object's replicas. So a node that left
//! the layout, and knows it, stores nothing for anyone who does not know better; and a
//! caller with an older layout is told, and can catch up. For a caller with a newer layout
//! the caller's word counts, because the node is the one that is behind.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gitstratum_proto::v1::{Failure, FailureKind};
use prost::Message;
use tonic::{Code, Status};

use crate::object::ObjectId;
use crate::placement::{CurrentLayout, MemberState, NodeId, Placement};

/// Whether `ourselves` may store these objects for a caller with layout `caller`; one that
/// does not say which layout it goes by is held to ours.
///
/// # Errors
/// A status with a `STALE_LAYOUT` failure that says which version this node holds.
pub fn admit(
    layout: &CurrentLayout,
    ourselves: &NodeId,
    caller: Option<u64>,
    ids: impl IntoIterator<Item = ObjectId>,
) -> Result<(), Status> {
    let placement = layout.placement();
    let version = placement.layout().version;
    if caller.is_some_and(|caller| caller > version) {
        return Ok(());
    }
    let foreign = |id: &ObjectId| !placement.replicas(id).contains(ourselves);
    let Some(id) = ids.into_iter().find(foreign) else { return Ok(()) };
    let state = placement.layout().member(ourselves).map(|member| member.state);
    let part = match state {
        Some(MemberState::Active) => format!("is no replica of {id}"),
        Some(MemberState::Draining) => "is draining".to_owned(),
        Some(MemberState::Removed) | None => "was removed".to_owned(),
    };
    Err(stale(version, format!("node {ourselves} {part} in layout {version}")))
}

/// Whether `caller` goes by the same layout as we. What two nodes share is computed on both
/// sides, so they compare by one layout or not at all.
///
/// # Errors
/// A status with a `STALE_LAYOUT` failure that says which version this node holds.
pub fn admit_same(layout: &CurrentLayout, caller: u64) -> Result<Arc<Placement>, Status> {
    let placement = layout.placement();
    let version = placement.layout().version;
    match caller == version {
        true => Ok(placement),
        false => Err(stale(version, format!("comparing by layout {caller}; {version} is ours"))),
    }
}

fn stale(version: u64, message: String) -> Status {
    let kind = FailureKind::StaleLayout.into();
    let failure = Failure { kind, message: message.clone(), layout_version: version };
    Status::with_details(Code::FailedPrecondition, message, failure.encode_to_vec().into())
}
