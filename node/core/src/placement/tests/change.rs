//! The next version of a layout, for each change of its members.

use std::sync::Arc;

use crate::placement::{Layout, Member, MemberState, NodeId, succession};

fn node(n: u64) -> NodeId {
    NodeId::new(format!("n{n}"))
}

fn member(n: u64) -> Member {
    Member::active(node(n), format!("n{n}:7400"), "z".to_owned(), 1)
}

fn numbers(layout: &Layout) -> (u64, usize, usize, usize) {
    (layout.version, layout.replicas, layout.write_quorum, layout.read_quorum)
}

fn grown(to: u64) -> Layout {
    let first = Layout::first((1, 1, 1), vec![member(1)]).validated().unwrap();
    (2..=to).fold(first, |layout, n| {
        let next = layout.with_member(member(n), None).unwrap();
        succession(&Arc::new(layout), &next).unwrap().unwrap()
    })
}

#[test]
fn copies_grow_with_the_members_up_to_three() {
    assert_eq!(numbers(&grown(2)), (2, 2, 2, 1));
    assert_eq!(numbers(&grown(3)), (3, 3, 2, 2));
    assert_eq!(numbers(&grown(5)), (5, 3, 2, 2));
    let five = grown(4).with_member(member(5), Some(5)).unwrap();
    assert_eq!(numbers(&five), (5, 5, 3, 3));
    let error = grown(2).with_member(member(3), Some(4)).unwrap_err();
    assert_eq!(error.field, "cluster.replicas");
    let error = grown(2).with_member(member(2), None).unwrap_err();
    assert_eq!(error.to_string(), "node: n2 is in the layout already");
}

#[test]
fn a_member_drains_leaves_and_is_replaced_one_version_at_a_time() {
    let four = grown(4);
    let draining = four.with_state(&node(4), MemberState::Draining, None).unwrap();
    assert_eq!((draining.version, draining.is_read_from(&node(4))), (5, true));
    let removed = four.with_state(&node(4), MemberState::Removed, None).unwrap();
    assert!(!removed.is_read_from(&node(4)));
    // Three copies of each object need three members that take them.
    let three = grown(3);
    let error = three.with_state(&node(1), MemberState::Draining, None).unwrap_err();
    assert_eq!(error.field, "cluster.replicas");
    let two = three.with_state(&node(1), MemberState::Draining, Some(2)).unwrap();
    assert_eq!(numbers(&two), (4, 2, 2, 1));
    let replaced = three.with_replaced(&node(2), Some(member(9))).unwrap();
    assert!(replaced.is_read_from(&node(9)) && !replaced.is_read_from(&node(2)));
    assert_eq!(numbers(&replaced), (4, 3, 2, 2));
    assert!(three.with_replaced(&node(7), None).is_err());
    // One that left may come again, as the layout is concerned.
    assert!(removed.with_member(member(4), None).unwrap().is_read_from(&node(4)));
}

#[test]
fn settling_drops_the_versions_before_the_one_in_force() {
    let three = grown(3);
    assert_eq!(three.previous.len(), 2);
    let settled = three.with_all_settled().unwrap();
    let settled = succession(&Arc::new(three), &settled).unwrap().unwrap();
    assert_eq!((settled.version, settled.settled), (4, 3));
    assert_eq!(settled.previous.iter().map(|p| p.version).collect::<Vec<_>>(), [3]);
    assert!(settled.with_all_settled().is_none(), "there is nothing left to be said");
    assert!(grown(1).with_all_settled().is_none());
}
