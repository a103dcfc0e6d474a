//! Which layouts are refused, and what the ring gives for a few fixed ones. The
//! general properties of the ring are in the `proptests` package.

mod change;
mod cluster_id;
mod current;
mod document;
mod places;

use std::sync::Arc;

use super::*;
use crate::object::ObjectId;

fn member(id: &str, zone: &str, weight: u32) -> Member {
    let address = format!("{id}.example:7400");
    Member::active(NodeId::new(id), address, zone.to_owned(), weight)
}

fn three() -> Layout {
    let members = vec![member("n3", "c", 1), member("n1", "a", 1), member("n2", "b", 1)];
    Layout::first((3, 2, 2), members)
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Layout), expected: &str) {
    let mut layout = three();
    change(&mut layout);
    assert_eq!(layout.validated().unwrap_err().to_string(), expected);
}

#[test]
fn a_wrong_layout_is_refused_by_the_name_of_the_field() {
    refused(|l| l.replicas = 0, "cluster.replicas: must be at least 1");
    refused(|l| l.replicas = 4, "cluster.replicas: 4 exceeds the 3 [[node]]s");
    refused(|l| l.replicas = 16, "cluster.replicas: 16 is over the limit of 15");
    refused(|l| l.write_quorum = 4, "cluster.write_quorum: 4 exceeds cluster.replicas (3)");
    refused(|l| l.write_quorum = 0, "cluster.write_quorum: must be at least 1");
    refused(|l| l.read_quorum = 4, "cluster.read_quorum: 4 exceeds cluster.replicas (3)");
    refused(
        |l| l.read_quorum = 1,
        "cluster.read_quorum: 1 with cluster.write_quorum 2 does not overlap: together they must \
         exceed cluster.replicas (3)",
    );
    refused(|l| l.members.clear(), "node: at least one [[node]] is needed");
    refused(|l| l.members[1].node_id = NodeId::new(""), "node[1].id: must not be empty");
    refused(
        |l| l.members[1].node_id = NodeId::new("n 1"),
        "node[1].id: ' ' is not allowed; letters, digits, '-', '_' and '.' are",
    );
    refused(
        |l| l.members[2].node_id = NodeId::new("n3"),
        "node[2].id: \"n3\" is already the id of node[0]",
    );
    refused(
        |l| l.members[2].zone = "z".repeat(256),
        "node[2].zone: 256 bytes are over the limit of 255",
    );
    refused(|l| l.members[0].weight = 0, "node[0].weight: 0 is not between 1 and 100");
    refused(|l| l.members[0].weight = 101, "node[0].weight: 101 is not between 1 and 100");
    refused(
        |l| l.members[1].state = MemberState::Draining,
        "cluster.replicas: 3 exceeds the 2 active [[node]]s",
    );
    refused(|l| l.settled = 2, "cluster.settled: 2 is after cluster.version (1)");
    // DNS names do not distinguish case.
    refused(
        |l| l.members[2].address = "N3.example:7400".to_owned(),
        "node[2].address: N3.example:7400 is already the address of node[0]",
    );
}

#[test]
fn only_host_and_port_is_an_address() {
    let with = |address: &str| {
        let mut layout = three();
        layout.members[0].address = address.to_owned();
        layout.validated()
    };
    for right in ["10.0.0.1:1", "node-1.store:65535", "[::1]:7400", "a_b:80"] {
        assert!(with(right).is_ok(), "{right}");
    }
    for wrong in [
        "",
        "host",
        "host:",
        ":7400",
        "host:0",
        "host:65536",
        "::1:7400",
        "[::1:7400",
        "http://host:80",
        "ho st:80",
        "host:7400 ",
    ] {
        assert_eq!(with(wrong).unwrap_err().field, "node[0].address", "{wrong}");
    }
}

#[test]
fn a_validated_layout_is_sorted_by_id() {
    let ids: Vec<_> = three().validated().unwrap().members.into_iter().map(|m| m.node_id).collect();
    assert_eq!(ids, ["n1", "n2", "n3"].map(NodeId::new));
}

fn at(position: u64) -> ObjectId {
    let mut raw = [0; 20];
    raw[..8].copy_from_slice(&position.to_be_bytes());
    ObjectId::from_bytes(&raw).unwrap()
}

#[test]
fn the_circle_closes_past_its_last_point() {
    let ring = Ring::new(Arc::new(three().validated().unwrap()));
    assert_eq!(ring.replicas(&at(0)), ring.replicas(&at(u64::MAX)));
}

/// A new hash or encoding of points would send every object of every running cluster
/// elsewhere; this pins them. The expected order was computed by other means.
#[test]
fn placement_never_changes_between_versions() {
    let ring = Ring::new(Arc::new(three().validated().unwrap()));
    let order: Vec<String> = (0..8)
        .map(|eighth| ring.replicas(&at(eighth << 61)).iter().map(NodeId::as_str).collect())
        .collect();
    assert_eq!(
        order,
        ["n1n2n3", "n2n3n1", "n1n2n3", "n1n3n2", "n1n2n3", "n1n2n3", "n1n2n3", "n1n3n2"]
    );
}

#[test]
fn replicas_open_every_zone_before_one_is_used_twice() {
    let members = vec![
        member("a1", "a", 10),
        member("a2", "a", 10),
        member("a3", "a", 10),
        member("b1", "b", 1),
    ];
    let layout = Layout { replicas: 2, members, ..three() };
    let ring = Ring::new(Arc::new(layout.validated().unwrap()));
    for position in 0..1000 {
        let replicas = ring.replicas(&at(position << 54));
        assert!(replicas.contains(&NodeId::new("b1")), "{replicas:?}");
    }
}
