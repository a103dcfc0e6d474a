//! Message conversion.
//!
//! Messages of the contract ↔ the node's own types.
//!
//! What comes from the wire is checked here and nowhere else; past this module an id has
//! a valid length and a kind is one of Git's four.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use gitstratum_core::limits::LAYOUTS_UNSETTLED_MAX;
use gitstratum_core::object::{Kind, Object, ObjectHead, ObjectId};
use gitstratum_core::placement::{ClusterId, Layout, LayoutError, Member, MemberState, NodeId};
use gitstratum_core::replica::{
    Durability, Found, Missed, ReasonClass, Recorded, StoreError, Stored,
};
use gitstratum_proto::v1;

use crate::wire::status::{failure_of, store_error_of};

/// A message that says what the contract does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl From<gitstratum_core::object::IdError> for Malformed {
    fn from(error: gitstratum_core::object::IdError) -> Self {
        Malformed(error.to_string())
    }
}

pub fn id_to_wire(id: ObjectId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

pub fn id_from_wire(raw: &Bytes) -> Result<ObjectId, Malformed> {
    Ok(ObjectId::from_bytes(raw)?)
}

pub fn ids_to_wire(ids: &[ObjectId]) -> Vec<Bytes> {
    ids.iter().copied().map(id_to_wire).collect()
}

pub fn ids_from_wire(ids: &[Bytes]) -> Result<Vec<ObjectId>, Malformed> {
    ids.iter().map(id_from_wire).collect()
}

fn kind_to_wire(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Blob => v1::Kind::Blob,
        Kind::Tree => v1::Kind::Tree,
        Kind::Commit => v1::Kind::Commit,
        Kind::Tag => v1::Kind::Tag,
        Kind::Chunk => v1::Kind::Chunk,
    }
}

fn kind_from_wire(kind: i32) -> Result<Kind, Malformed> {
    match v1::Kind::try_from(kind) {
        Ok(v1::Kind::Blob) => Ok(Kind::Blob),
        Ok(v1::Kind::Tree) => Ok(Kind::Tree),
        Ok(v1::Kind::Commit) => Ok(Kind::Commit),
        Ok(v1::Kind::Tag) => Ok(Kind::Tag),
        Ok(v1::Kind::Chunk) => Ok(Kind::Chunk),
        Ok(v1::Kind::Unspecified) | Err(_) => Err(Malformed(format!("unknown object kind {kind}"))),
    }
}

pub fn object_to_wire(object: &Object) -> v1::Object {
    v1::Object {
        id: id_to_wire(object.id()),
        kind: kind_to_wire(object.kind()).into(),
        data: object.data().clone(),
    }
}

pub fn object_from_wire(object: v1::Object) -> Result<Object, Malformed> {
    Ok(Object::claimed(id_from_wire(&object.id)?, kind_from_wire(object.kind)?, object.data))
}

pub fn head_to_wire(head: ObjectHead) -> v1::LargeObject {
    v1::LargeObject {
        id: id_to_wire(head.id),
        kind: kind_to_wire(head.kind).into(),
        size_bytes: head.size_bytes,
    }
}

pub fn head_from_wire(head: &v1::LargeObject) -> Result<ObjectHead, Malformed> {
    Ok(ObjectHead {
        id: id_from_wire(&head.id)?,
        kind: kind_from_wire(head.kind)?,
        size_bytes: head.size_bytes,
    })
}

pub fn stored_to_wire(stored: Stored) -> v1::Stored {
    let durability = match stored.durability {
        Durability::Synced => v1::Durability::Synced,
        Durability::Periodic => v1::Durability::Periodic,
        Durability::Buffered => v1::Durability::Buffered,
    };
    v1::Stored {
        bytes: stored.bytes,
        durability: durability.into(),
        already_present: stored.already_present,
    }
}

pub fn stored_from_wire(stored: v1::Stored) -> Result<Stored, Malformed> {
    let durability = match v1::Durability::try_from(stored.durability) {
        Ok(v1::Durability::Synced) => Durability::Synced,
        Ok(v1::Durability::Periodic) => Durability::Periodic,
        Ok(v1::Durability::Buffered) => Durability::Buffered,
        Ok(v1::Durability::Unspecified) | Err(_) => {
            return Err(Malformed(format!("unknown durability {}", stored.durability)));
        }
    };
    Ok(Stored { bytes: stored.bytes, durability, already_present: stored.already_present })
}

pub fn put_outcome_to_wire(outcome: Result<Stored, StoreError>) -> v1::PutOutcome {
    let outcome = match outcome {
        Ok(stored) => v1::put_outcome::Outcome::Stored(stored_to_wire(stored)),
        Err(error) => v1::put_outcome::Outcome::Failure(failure_of(&error)),
    };
    v1::PutOutcome { outcome: Some(outcome) }
}

pub fn put_outcome_from_wire(
    outcome: v1::PutOutcome,
    id: ObjectId,
) -> Result<Result<Stored, StoreError>, Malformed> {
    match outcome.outcome {
        Some(v1::put_outcome::Outcome::Stored(stored)) => Ok(Ok(stored_from_wire(stored)?)),
        Some(v1::put_outcome::Outcome::Failure(failure)) => Ok(Err(store_error_of(failure, id))),
        None => Err(Malformed("a put was answered with nothing".into())),
    }
}

pub fn get_outcome_to_wire(outcome: Result<Found, StoreError>) -> v1::GetOutcome {
    let outcome = match outcome {
        Ok(Found::Object(object)) => v1::get_outcome::Outcome::Object(object_to_wire(&object)),
        Ok(Found::Large(head)) => v1::get_outcome::Outcome::Large(head_to_wire(head)),
        Ok(Found::Absent) => v1::get_outcome::Outcome::Absent(v1::Absent {}),
        Err(error) => v1::get_outcome::Outcome::Failure(failure_of(&error)),
    };
    v1::GetOutcome { outcome: Some(outcome) }
}

pub fn get_outcome_from_wire(
    outcome: v1::GetOutcome,
    id: ObjectId,
) -> Result<Result<Found, StoreError>, Malformed> {
    let answered = |other: ObjectId| {
        if other == id {
            Ok(())
        } else {
            Err(Malformed(format!("asked for {id}, answered with {other}")))
        }
    };
    Ok(match outcome.outcome {
        Some(v1::get_outcome::Outcome::Object(object)) => {
            let object = object_from_wire(object)?;
            answered(object.id())?;
            Ok(Found::Object(object))
        }
        Some(v1::get_outcome::Outcome::Large(head)) => {
            let head = head_from_wire(&head)?;
            answered(head.id)?;
            Ok(Found::Large(head))
        }
        Some(v1::get_outcome::Outcome::Absent(_)) => Ok(Found::Absent),
        Some(v1::get_outcome::Outcome::Failure(failure)) => Err(store_error_of(failure, id)),
        None => return Err(Malformed("a get was answered with nothing".into())),
    })
}

pub fn layout_to_wire(layout: &Layout) -> v1::Layout {
    // Validation bounds all three far below u32::MAX.
    let count = |n: usize| u32::try_from(n).expect("a validated layout has small counts");
    v1::Layout {
        version: layout.version,
        replicas: count(layout.replicas),
        write_quorum: count(layout.write_quorum),
        read_quorum: count(layout.read_quorum),
        members: layout
            .members
            .iter()
            .map(|member| v1::Member {
                node_id: member.node_id.to_string(),
                address: member.address.clone(),
                zone: member.zone.clone(),
                weight: member.weight,
                state: state_to_wire(member.state).into(),
            })
            .collect(),
        settled: layout.settled,
        previous: layout.previous.iter().map(|previous| layout_to_wire(previous)).collect(),
        cluster_id: layout.cluster.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn state_to_wire(state: MemberState) -> v1::MemberState {
    match state {
        MemberState::Active => v1::MemberState::Active,
        MemberState::Draining => v1::MemberState::Draining,
        MemberState::Removed => v1::MemberState::Removed,
    }
}

fn state_from_wire(state: i32, index: usize) -> Result<MemberState, LayoutError> {
    match v1::MemberState::try_from(state) {
        Ok(v1::MemberState::Active | v1::MemberState::Unspecified) => Ok(MemberState::Active),
        Ok(v1::MemberState::Draining) => Ok(MemberState::Draining),
        Ok(v1::MemberState::Removed) => Ok(MemberState::Removed),
        Err(_) => {
            let field = format!("node[{index}].state");
            Err(LayoutError { field, problem: format!("unknown state {state}") })
        }
    }
}

/// The layout that a peer holds, which says of which cluster.
pub fn held_layout_from_wire(layout: v1::Layout) -> Result<Layout, LayoutError> {
    let layout = layout_from_wire(layout)?;
    if layout.cluster.is_none() {
        let problem = "missing; programs from before cluster ids state none".to_owned();
        return Err(LayoutError { field: "cluster.id".to_owned(), problem });
    }
    Ok(layout)
}

pub fn layout_from_wire(mut layout: v1::Layout) -> Result<Layout, LayoutError> {
    let mut previous = Vec::with_capacity(layout.previous.len().min(LAYOUTS_UNSETTLED_MAX));
    for earlier in std::mem::take(&mut layout.previous) {
        // One level only, so that no message makes this recurse further.
        if !earlier.previous.is_empty() {
            let field = "previous".to_owned();
            let problem = "an earlier layout has a history of its own".to_owned();
            return Err(LayoutError { field, problem });
        }
        previous.push(Arc::new(layout_from_wire(earlier)?));
    }
    let members = layout.members.into_iter().enumerate().map(|(index, member)| {
        let state = state_from_wire(member.state, index)?;
        let v1::Member { node_id, address, zone, weight, .. } = member;
        Ok(Member { node_id: NodeId::new(node_id), address, zone, weight, state })
    });
    let cluster = match layout.cluster_id.as_str() {
        "" => None,
        text => Some(ClusterId::parse(text).map_err(|problem| {
            let field = "cluster.id".to_owned();
            LayoutError { field, problem }
        })?),
    };
    Layout {
        cluster,
        version: layout.version,
        replicas: layout.replicas as usize,
        write_quorum: layout.write_quorum as usize,
        read_quorum: layout.read_quorum as usize,
        settled: layout.settled,
        members: members.collect::<Result<_, _>>()?,
        previous,
    }
    .validated()
}

pub fn recorded_to_wire(recorded: Recorded) -> v1::StoreHintsResponse {
    let Recorded { new, already, moved_to_ranges } = recorded;
    v1::StoreHintsResponse { recorded: new, already_recorded: already, moved_to_ranges }
}

/// What became of a report of `reported` pairs; none may be unaccounted for.
pub fn recorded_from_wire(
    response: v1::StoreHintsResponse,
    reported: usize,
) -> Result<Recorded, Malformed> {
    let v1::StoreHintsResponse { recorded, already_recorded, moved_to_ranges } = response;
    let accounted =
        recorded.checked_add(already_recorded).and_then(|sum| sum.checked_add(moved_to_ranges));
    if accounted != Some(reported as u64) {
        return Err(Malformed(format!(
            "{reported} missed writes reported: {recorded} recorded, {already_recorded} \
             already recorded and {moved_to_ranges} in ranges"
        )));
    }
    Ok(Recorded { new: recorded, already: already_recorded, moved_to_ranges })
}

pub fn missed_to_wire(missed: &Missed) -> v1::Missed {
    v1::Missed {
        node_id: missed.node_id.to_string(),
        id: id_to_wire(missed.id),
        reason: missed.reason.clone(),
        class: reason_to_wire(missed.class).into(),
    }
}

pub fn missed_from_wire(missed: v1::Missed) -> Result<Missed, Malformed> {
    let class = reason_from_wire(missed.class());
    let node_id = NodeId::checked(&missed.node_id);
    let node_id = node_id.map_err(|problem| Malformed(format!("a node id: {problem}")))?;
    Ok(Missed { class, node_id, id: id_from_wire(&missed.id)?, reason: missed.reason })
}

pub fn reason_to_wire(class: ReasonClass) -> v1::ReasonClass {
    match class {
        ReasonClass::Other => v1::ReasonClass::Unspecified,
        ReasonClass::Unreachable => v1::ReasonClass::Unreachable,
        ReasonClass::TimedOut => v1::ReasonClass::TimedOut,
        ReasonClass::CircuitOpen => v1::ReasonClass::CircuitOpen,
        ReasonClass::Overloaded => v1::ReasonClass::Overloaded,
        ReasonClass::DiskFull => v1::ReasonClass::DiskFull,
        ReasonClass::Store => v1::ReasonClass::Store,
        ReasonClass::Layout => v1::ReasonClass::Layout,
        ReasonClass::ShuttingDown => v1::ReasonClass::ShuttingDown,
    }
}

/// One that is not known here is [`ReasonClass::Other`].
pub fn reason_from_wire(class: v1::ReasonClass) -> ReasonClass {
    ReasonClass::ALL.into_iter().find(|known| reason_to_wire(*known) == class).unwrap_or_default()
}
