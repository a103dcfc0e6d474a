//! Who stores what for whom.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::{Layout, Member};
use gitstratum_core::replica::NodeError;

use super::*;
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

#[tokio::test]
async fn a_replica_stores_for_everyone() {
    let (layout, node) = layout(MemberState::Active);
    for caller in [None, Some(4), Some(5), Some(6), Some(u64::MAX)] {
        admit(&layout, &node, caller, &[object()]).await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_is_no_replica_any_more_stores_for_nobody_who_cannot_show_a_newer_layout() {
    let began = tokio::time::Instant::now();
    let states = [MemberState::Draining, MemberState::Removed];
    let callers = [None, Some(4), Some(5), Some(6), Some(u64::MAX)];
    let asked = states.into_iter().flat_map(|state| callers.map(|caller| (state, caller)));
    let asked = asked.map(|(state, caller)| async move {
        let (layout, node) = layout(state);
        let refused = admit(&layout, &node, caller, &[object()]).await.unwrap_err();
        let error = node_error_of(&refused, "n:1", std::time::Duration::ZERO);
        assert!(matches!(error, NodeError::StaleLayout { version: 5, .. }), "{error}");
    });
    futures_util::future::join_all(asked).await;
    assert!(began.elapsed() < limits::LAYOUT_CATCH_UP_TIMEOUT * 2, "each waits no longer");
}

#[tokio::test]
async fn a_node_that_is_behind_stores_what_is_its_own_by_the_layout_that_it_catches_up_with() {
    let (layout, node) = layout(MemberState::Draining);
    let follower = layout.clone();
    tokio::spawn(async move {
        let wanted = follower.until_behind().await;
        assert_eq!(wanted, 6);
        let _round = follower.begin_round();
        let mut next = Layout::clone(&follower.get());
        next.version = 6;
        next.members.iter_mut().for_each(|member| member.state = MemberState::Active);
        follower.replace(&next).unwrap();
    });
    let began = tokio::time::Instant::now();
    admit(&layout, &node, Some(6), &[object()]).await.unwrap();
    assert!(began.elapsed() < limits::LAYOUT_CATCH_UP_TIMEOUT, "it waited for no more than that");
}

#[tokio::test]
async fn a_stranger_to_the_layout_stores_nothing() {
    let (layout, _) = layout(MemberState::Active);
    let refused = admit(&layout, &NodeId::new("n9"), Some(5), &[object()]).await.unwrap_err();
    assert_eq!(refused.message(), "node n9 was removed in layout 5");
}

#[tokio::test]
async fn one_foreign_object_refuses_its_batch() {
    let (layout, _) = layout(MemberState::Active);
    let node = NodeId::new("n1");
    let ids: Vec<_> = (0..=255).map(|byte| ObjectId::from_bytes(&[byte; 20]).unwrap()).collect();
    let ours: Vec<_> =
        ids.iter().filter(|id| layout.placement().replicas(id).contains(&node)).copied().collect();
    assert!((1..ids.len()).contains(&ours.len()));
    admit(&layout, &node, Some(5), &ours).await.unwrap();
    admit(&layout, &node, Some(5), &ids).await.unwrap_err();
}

#[test]
fn who_does_not_know_the_layouts_before_is_compared_with_by_none() {
    let (layout, _) = layout(MemberState::Active);
    let mut next = Layout::clone(&layout.get());
    next.version = 6;
    layout.replace(&next).unwrap();
    let versions = |in_force, unsettled: &[u64]| Versions { in_force, unsettled: unsettled.into() };
    admit_same(&layout, &versions(6, &[5])).unwrap();
    for other in [versions(5, &[]), versions(6, &[]), versions(6, &[4]), versions(6, &[4, 5])] {
        let refused = admit_same(&layout, &other).unwrap_err();
        let error = node_error_of(&refused, "n:1", std::time::Duration::ZERO);
        assert!(matches!(error, NodeError::StaleLayout { version: 6, .. }), "{other:?}: {error}");
    }
}
