//! Write fencing.
//!
//! Which writes a node refuses because of the layout.
//!
//! Invariant (I8): a node stores nothing unless, by its own layout, it is among the object's
//! replicas. So a node that left the layout, and knows it, stores nothing for anyone; and a
//! caller with an older layout is told, and can catch up. For a caller with a newer layout
//! the node catches up first, because it may be the one that is behind. A version that no
//! member can show is a number that somebody wrote, and changes nothing.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{CurrentLayout, MemberState, NodeId, Placement, Versions};
use gitstratum_proto::v1::{Failure, FailureKind};
use prost::Message;
use tonic::{Code, Status};

/// Whether `ourselves` may store these objects for a caller with layout `caller`, once this
/// node has that layout too, if anyone has it.
///
/// # Errors
/// A status with a `STALE_LAYOUT` failure that says which version this node holds.
pub async fn admit(
    layout: &CurrentLayout,
    ourselves: &NodeId,
    caller: Option<u64>,
    ids: &[ObjectId],
) -> Result<(), Status> {
    let ours = admit_by_ours(layout, ourselves, ids);
    if ours.is_err() && catch_up(layout, caller).await {
        return admit_by_ours(layout, ourselves, ids);
    }
    ours
}

/// Waits until this node has the caller's layout, if it is a newer one and anyone has it; says
/// whether the layout in force is another than before.
pub async fn catch_up(layout: &CurrentLayout, caller: Option<u64>) -> bool {
    let before = layout.version();
    let Some(wanted) = caller.filter(|caller| *caller > before) else { return false };
    // Late, it is known all the same which layout is in force then.
    let _ = tokio::time::timeout(limits::LAYOUT_CATCH_UP_TIMEOUT, layout.is_shown(wanted)).await;
    layout.version() > before
}

/// Whether `ourselves` may store these objects by the layout in force.
fn admit_by_ours(
    layout: &CurrentLayout,
    ourselves: &NodeId,
    ids: &[ObjectId],
) -> Result<(), Status> {
    let placement = layout.placement();
    let version = placement.layout().version;
    let foreign = |id: &&ObjectId| !placement.replicas(id).contains(ourselves);
    let Some(id) = ids.iter().find(foreign) else { return Ok(()) };
    let state = placement.layout().member(ourselves).map(|member| member.state);
    let part = match state {
        Some(MemberState::Active) => format!("is no replica of {id}"),
        Some(MemberState::Draining) => "is draining".to_owned(),
        Some(MemberState::Removed) | None => "was removed".to_owned(),
    };
    Err(stale(version, format!("node {ourselves} {part} in layout {version}")))
}

/// Whether `caller` goes by the same layouts as we. What two nodes compare is computed on both
/// sides, so they go by the same or do not compare at all: one that does not know of a layout
/// before would leave out what that placed on it.
///
/// # Errors
/// A status with a `STALE_LAYOUT` failure that says which version this node holds.
pub fn admit_same(layout: &CurrentLayout, caller: &Versions) -> Result<Arc<Placement>, Status> {
    let placement = layout.placement();
    let Versions { in_force, unsettled } = placement.versions();
    if caller.in_force != in_force {
        let message = format!("comparing by layout {}; {in_force} is ours", caller.in_force);
        return Err(stale(in_force, message));
    }
    if caller.unsettled != unsettled {
        let message = format!(
            "comparing by layout {in_force} after {:?}; ours is after {unsettled:?}",
            caller.unsettled
        );
        return Err(stale(in_force, message));
    }
    Ok(placement)
}

/// A refusal because of the layout: `version` is in force here.
pub fn stale(version: u64, message: String) -> Status {
    let kind = FailureKind::StaleLayout.into();
    let failure = Failure { kind, message: message.clone(), layout_version: version };
    Status::with_details(Code::FailedPrecondition, message, failure.encode_to_vec().into())
}
