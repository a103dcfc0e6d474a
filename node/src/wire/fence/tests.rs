//! Who stores what for whom.

use bytes::Bytes;

use super::*;
use crate::object::{HashAlgorithm, Kind, Object};
use crate::placement::{Layout, Member};
use crate::quorum::NodeError;
use crate::wire::status::node_error_of;

fn object() -> ObjectId {
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"x")).unwrap().id()
}

/// Four members, N = 3, the last replica of the object in `state`, version 5.
fn layout(state: MemberState) -> (CurrentLayout, NodeId) {
    let member = |id: &str| Member::active(NodeId::new(id), format!("{id}:1"), "z".to_owned(), 1);
    let members = ["n1", "n2", "n3", "n4"].map(member);
    let mut layout =
        Layout { version: 5, ..Layout::first((3, 2, 2), members.into()) }.validated().unwrap();
    let last = CurrentLayout::new(layout.clone()).placement().replicas(&object())[2].clone();
    let member = layout.members.iter_mut().find(|member| member.node_id == last);
    member.unwrap().state = state;
    (CurrentLayout::new(layout.validated().unwrap()), last)
}

#[test]
fn a_replica_stores_for_everyone() {
    let (layout, node) = layout(MemberState::Active);
    for caller in [None, Some(4), Some(5), Some(6)] {
        admit(&layout, &node, caller, [object()]).unwrap();
    }
}

#[test]
fn a_node_that_is_no_replica_any_more_stores_only_for_who_knows_better() {
    for state in [MemberState::Draining, MemberState::Removed] {
        let (layout, node) = layout(state);
        for caller in [None, Some(4), Some(5)] {
            let refused = admit(&layout, &node, caller, [object()]).unwrap_err();
            let error = node_error_of(&refused, "n:1", std::time::Duration::ZERO);
            assert!(matches!(error, NodeError::StaleLayout { version: 5, .. }), "{error}");
        }
        admit(&layout, &node, Some(6), [object()]).unwrap();
    }
}

#[test]
fn a_stranger_to_the_layout_stores_nothing() {
    let (layout, _) = layout(MemberState::Active);
    let refused = admit(&layout, &NodeId::new("n9"), Some(5), [object()]).unwrap_err();
    assert_eq!(refused.message(), "node n9 was removed in layout 5");
}

#[test]
fn one_foreign_object_refuses_its_batch() {
    let (layout, _) = layout(MemberState::Active);
    let node = NodeId::new("n1");
    let ids: Vec<_> = (0..=255).map(|byte| ObjectId::from_bytes(&[byte; 20]).unwrap()).collect();
    let ours: Vec<_> =
        ids.iter().filter(|id| layout.placement().replicas(id).contains(&node)).copied().collect();
    assert!((1..ids.len()).contains(&ours.len()));
    admit(&layout, &node, Some(5), ours).unwrap();
    admit(&layout, &node, Some(5), ids).unwrap_err();
}
