//! Layouts: one version after the other, and never too few replicas.

use std::sync::Arc;

use gitstratum_core::placement::{ClusterId, Layout};

use crate::Outcome;
use crate::command::{ApplyLayout, Operation};
use crate::fixture::*;

const QUORUMS: (usize, usize, usize) = (3, 2, 2);

fn settled(version: u64, nodes: &str, settled: u64) -> Operation {
    apply(Layout { settled, ..layout(version, QUORUMS, nodes) })
}

/// A machine that goes by version 1 of these nodes.
fn with(nodes: &str) -> Machine {
    let mut machine = Machine::new();
    machine.done(apply(layout(1, QUORUMS, nodes)));
    machine
}

#[test]
fn versions_follow_one_another() {
    let mut machine = with("n1 n2 n3");
    let next = |version| apply(layout(version, QUORUMS, "n1 n2 n3 n4"));
    let reason = machine.refused(next(3));
    assert!(
        reason.starts_with("layout version 3 does not follow 1, which is in force"),
        "{reason}"
    );
    assert!(machine.refused(next(0)).starts_with("layout version 0 does not follow 1"));
    let in_force = |changed| Outcome::LayoutInForce { version: 2, changed };
    assert_eq!(machine.done(next(2)), in_force(true));
    assert_eq!(machine.done(next(2)), in_force(false));
    let reason = machine.refused(apply(layout(2, QUORUMS, "n1 n2 n3")));
    assert!(reason.starts_with("layout: cluster.version: 2 is in force with other"), "{reason}");
    assert_eq!(machine.state.layout().unwrap().previous.len(), 1);
    let reason = machine.refused(apply(layout(3, (5, 3, 3), "n1 n2 n3 n4")));
    assert_eq!(reason, "layout: cluster.replicas: 5 exceeds the 4 [[node]]s");
    let wrong = Layout { cluster: None, ..layout(7, QUORUMS, "n1 n2 n3") };
    assert!(Machine::new().refused(apply(wrong)).starts_with("layout: cluster.id: missing"));
}

#[test]
fn a_cluster_from_before_is_taken_over_with_its_history() {
    let mut first = layout(7, QUORUMS, "n1 n2 n3");
    first.previous = vec![Arc::new(layout(5, QUORUMS, "n1 n2 n4"))];
    let mut machine = Machine::new();
    machine.done(apply(first.clone()));
    assert_eq!(machine.state.layout().unwrap().previous.len(), 1);
    // An earlier layout that cannot be would have no ring.
    first.previous = vec![Arc::new(layout(5, (3, 2, 2), "n1"))];
    let reason = Machine::new().refused(apply(first));
    assert!(reason.starts_with("layout: previous[0].cluster.replicas: 3 exceeds"), "{reason}");
}

#[test]
fn a_layout_that_nodes_go_by_already_is_adopted_and_never_an_older_one() {
    let adopt = |version, nodes| Operation::AdoptLayout(Arc::new(layout(version, QUORUMS, nodes)));
    let mut machine = Machine::new();
    machine.done(adopt(3, "n1 n2 n3"));
    // It takes away two of three replicas, and skips versions: it came into force all the same.
    let in_force = |version, changed| Outcome::LayoutInForce { version, changed };
    assert_eq!(machine.done(adopt(7, "n1 n4 n5")), in_force(7, true));
    assert_eq!(machine.done(adopt(7, "n1 n4 n5")), in_force(7, false));
    assert_eq!(machine.done(adopt(3, "n1 n2 n3")), in_force(7, false));
    assert_eq!(machine.state.layout().unwrap().version, 7);
    let reason = machine.refused(adopt(7, "n1 n2 n3"));
    assert!(reason.contains("7 is in force with other contents"), "{reason}");
    let strange = Layout {
        cluster: Some(ClusterId::parse("other").unwrap()),
        ..layout(8, QUORUMS, "n1 n4 n5")
    };
    assert!(machine.refused(Operation::AdoptLayout(Arc::new(strange))).contains("cluster.id"));
    // What is proposed goes on from there.
    assert_eq!(machine.done(apply(layout(8, QUORUMS, "n1 n4 n5 n6"))), in_force(8, true));
}

#[test]
fn no_more_replicas_are_lost_than_a_write_quorum_leaves() {
    let mut machine = with("n1 n2 n3 n4 n5");
    let reason = machine.refused(apply(layout(2, QUORUMS, "n1 n2 n3 n6 n7")));
    assert!(
        reason.starts_with(
            "layout: nobody would read from n4, n5 any more, and of objects placed by version 1 \
             only 1 replicas would be left where 2 acknowledged each: take away at most 1"
        ),
        "{reason}"
    );
    // One at a time, and the next one when the first is settled.
    machine.done(apply(layout(2, QUORUMS, "n1 n2 n3 n4 n6")));
    let reason = machine.refused(apply(layout(3, QUORUMS, "n1 n2 n3 n6 n7")));
    assert!(reason.contains("nobody would read from n4 any more"), "{reason}");
    machine.done(settled(3, "n1 n2 n3 n6 n7", 2));
}

#[test]
fn what_drained_is_taken_away_once_that_is_settled() {
    let mut machine = with("n1 n2 n3 n4 n5");
    machine.done(apply(layout(2, QUORUMS, "n1 n2 n3 / n4 n5")));
    let reason = machine.refused(apply(layout(3, QUORUMS, "n1 n2 n3 / / n4 n5")));
    assert!(reason.contains("objects placed by version 1 only 1 replicas"), "{reason}");
    machine.done(settled(3, "n1 n2 n3 / / n4 n5", 2));
    // That a version is settled in which nobody drained yet says nothing.
    let mut machine = with("n1 n2 n3 n4 n5");
    let reason = machine.refused(settled(2, "n1 n2 n3 / / n4 n5", 2));
    assert!(reason.contains("objects placed by version 1 only 1 replicas"), "{reason}");
}

#[test]
fn a_whole_zone_may_go_where_it_has_one_replica_of_each_object() {
    let zoned = |version, nodes: &str| {
        let mut layout = layout(version, QUORUMS, nodes);
        for member in &mut layout.members {
            member.zone = member.node_id.as_str()[..1].to_owned();
        }
        apply(layout)
    };
    let mut machine = Machine::new();
    machine.done(zoned(1, "a1 a2 b1 b2 c1 c2"));
    assert!(machine.refused(zoned(2, "a1 b1 c1 c2")).contains("a2, b2"));
    machine.done(zoned(2, "a1 a2 b1 b2 / / c1 c2"));
}

#[test]
fn a_loss_that_was_accepted_does_not_stand_in_the_way_later() {
    let mut machine = with("n1 n2 n3");
    let survivors = layout(2, (1, 1, 1), "n1");
    assert!(machine.refused(apply(survivors.clone())).contains("n2, n3"));
    let layout_2 = ApplyLayout { layout: Arc::new(survivors), accept_loss: true };
    machine.done(Operation::ApplyLayout(layout_2));
    machine.done(apply(layout(3, (2, 2, 1), "n1 n4")));
    assert!(machine.refused(apply(layout(4, (1, 1, 1), "n4"))).contains("n1"));
}

#[test]
fn one_node_is_replaced_after_it_drained() {
    let mut machine = Machine::new();
    let one = (1, 1, 1);
    machine.done(apply(layout(1, one, "n1")));
    assert!(machine.refused(apply(layout(2, one, "n2"))).contains("take away at most 0"));
    machine.done(apply(layout(2, one, "n2 / n1")));
    machine.done(apply(Layout { settled: 2, ..layout(3, one, "n2 / / n1") }));
}
