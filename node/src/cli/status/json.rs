//! What every node says of itself, for programs: the types are the contract.

use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::metrics::Samples;
use gitstratum_proto::v1::{
    FeatureOff, HintStatus, LackingNode, Missed, PoolStatus, StatusResponse, StoreStatus,
};
use serde::Serialize;

use super::numbers::Numbers;
use super::{Answer, reconcile};
use crate::cli::jobs::Common;
use crate::cli::nodes::{AllNodes, HintsFor, id};
use crate::reports::is_overloaded;

/// What one node says.
#[derive(Serialize)]
struct Node<'s> {
    node: &'s str,
    address: &'s str,
    member: &'static str,
    reachable: bool,
    overloaded: bool,
    boot_id: String,
    cluster: &'s str,
    layout_version: u64,
    uptime_ms: u64,
    version: &'s str,
    features_off: Vec<Off<'s>>,
    store: Store<'s>,
    server: Numbers,
    missed: MissedWrites<'s>,
    jobs: Vec<Common<'s>>,
    hints: Hints<'s>,
    peers: Vec<Peer<'s>>,
    pool: Pool<'s>,
    reconcile: reconcile::Reconcile<'s>,
}

/// A feature that is off, as far as the node knows.
#[derive(Serialize)]
struct Off<'s> {
    feature: &'s str,
    nodes: Vec<Lacks<'s>>,
}

/// A node that lacks it.
#[derive(Serialize)]
struct Lacks<'s> {
    node: &'s str,
    version: Option<&'s str>,
}

#[derive(Serialize)]
struct Store<'s> {
    #[serde(flatten)]
    numbers: Numbers,
    failed: &'s str,
    puts_refused: &'s str,
    puts_refused_for_ms: Option<u64>,
    lost: &'s [String],
}

#[derive(Serialize)]
struct MissedWrites<'s> {
    count: u64,
    dropped: u64,
    first: Vec<MissedWrite<'s>>,
}

#[derive(Serialize)]
struct MissedWrite<'s> {
    node: &'s str,
    object: String,
    reason: &'s str,
}

#[derive(Serialize)]
struct Hints<'s> {
    #[serde(flatten)]
    numbers: Numbers,
    dirty: Vec<DirtyRange<'s>>,
    targets: Vec<HintsFor<'s>>,
    targets_total: u64,
}

#[derive(Serialize)]
struct DirtyRange<'s> {
    node: &'s str,
    prefix: String,
}

#[derive(Serialize)]
struct Peer<'s> {
    node: &'s str,
    address: &'s str,
    reachable: bool,
    error: &'s str,
    round_trip_us: u64,
}

#[derive(Serialize)]
struct Pool<'s> {
    #[serde(flatten)]
    numbers: Numbers,
    peers: Vec<PoolPeer<'s>>,
    removed_peers: Numbers,
}

#[derive(Serialize)]
struct PoolPeer<'s> {
    node: &'s str,
    address: &'s str,
    connections: Vec<Connection>,
    backing_off: &'s str,
    #[serde(flatten)]
    numbers: Numbers,
    counts: Numbers,
}

#[derive(Serialize)]
struct Connection {
    boot_id: String,
    age_ms: u64,
    requests_in_flight: u32,
}

/// All of it.
pub(super) fn as_json(answers: &[Answer]) -> impl Serialize {
    // What a message leaves out is as its default.
    AllNodes::of(answers, |member, status| {
        let metrics = metrics_of(status);
        Node {
            node: &status.node_id,
            address: &member.address,
            member: member.state.word(),
            reachable: true,
            overloaded: is_overloaded(&metrics),
            boot_id: format!("{:016x}", status.boot_id),
            cluster: &status.cluster_id,
            layout_version: status.layout_version,
            uptime_ms: status.uptime_ms,
            version: &status.software_version,
            features_off: status.features_off.iter().map(off).collect(),
            store: store(&metrics, status.store.as_ref()),
            server: Numbers::of_node(&metrics, "server"),
            missed: missed(&metrics, status.hints.as_ref()),
            jobs: status.jobs.iter().map(Common::from).collect(),
            hints: hints(&metrics, status.hints.as_ref()),
            peers: peers(status),
            pool: pool(&metrics, status.pool.as_ref()),
            reconcile: reconcile::as_json(&metrics, status.reconcile.as_ref()),
        }
    })
}

fn off(off: &FeatureOff) -> Off<'_> {
    Off { feature: &off.feature, nodes: off.nodes.iter().map(lacks).collect() }
}

fn lacks(node: &LackingNode) -> Lacks<'_> {
    Lacks { node: &node.node_id, version: node.version.as_deref() }
}

fn store<'s>(metrics: &Samples, store: Option<&'s StoreStatus>) -> Store<'s> {
    Store {
        numbers: Numbers::of_node(metrics, "store"),
        failed: store.map_or("", |store| &store.failed),
        puts_refused: store.map_or("", |store| &store.puts_refused),
        puts_refused_for_ms: store.and_then(|store| store.puts_refused_for_ms),
        lost: store.map_or(&[], |store| &store.lost),
    }
}

fn missed<'s>(metrics: &Samples, hints: Option<&'s HintStatus>) -> MissedWrites<'s> {
    let missed = |missed: &'s Missed| MissedWrite {
        node: &missed.node_id,
        object: id(&missed.id),
        reason: &missed.reason,
    };
    MissedWrites {
        count: metrics.count("gitstratum_hints_pending"),
        dropped: metrics.count("gitstratum_hints_moved_to_ranges_total"),
        first: hints.iter().flat_map(|hints| &hints.oldest).map(missed).collect(),
    }
}

fn hints<'s>(metrics: &Samples, hints: Option<&'s HintStatus>) -> Hints<'s> {
    let dirty = hints.iter().flat_map(|hints| &hints.dirty);
    let dirty =
        dirty.map(|range| DirtyRange { node: &range.node_id, prefix: hex::encode(&range.prefix) });
    let targets = hints.iter().flat_map(|hints| &hints.targets);
    Hints {
        numbers: Numbers::of_node(metrics, "hints"),
        dirty: dirty.collect(),
        targets: targets.map(HintsFor::from).collect(),
        targets_total: hints.map_or(0, |hints| hints.targets_total),
    }
}

fn peers(status: &StatusResponse) -> Vec<Peer<'_>> {
    let peers = status.peers.iter().map(|peer| Peer {
        node: &peer.node_id,
        address: &peer.address,
        reachable: peer.reachable,
        error: &peer.error,
        round_trip_us: peer.round_trip_us,
    });
    peers.collect()
}

fn pool<'s>(metrics: &Samples, pool: Option<&'s PoolStatus>) -> Pool<'s> {
    let mut gauges = Numbers::gauges_by_peer(metrics, "pool");
    let mut counts = Numbers::counters_by_peer(metrics, "pool");
    let peers = pool.iter().flat_map(|pool| &pool.peers).map(|peer| {
        let connections = peer.connections.iter().map(|connection| Connection {
            boot_id: format!("{:016x}", connection.boot_id),
            age_ms: connection.age_ms,
            requests_in_flight: connection.requests_in_flight,
        });
        PoolPeer {
            node: &peer.node_id,
            address: &peer.address,
            connections: connections.collect(),
            backing_off: &peer.backing_off,
            numbers: gauges.remove(&peer.node_id).unwrap_or_default(),
            counts: counts.remove(&peer.node_id).unwrap_or_default(),
        }
    });
    Pool {
        numbers: Numbers::of_node(metrics, "pool"),
        peers: peers.collect(),
        removed_peers: counts.remove("").unwrap_or_default(),
    }
}
