//! Node configuration.
//!
//! What the nodes of a run are configured with: the node's own defaults, but for what the
//! scenario sets and what a control takes away.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gitstratum::config::{CatalogConfig, HttpConfig, RepairConfig, StoreConfig};
use gitstratum_core::placement::{ClusterId, Layout, Member, NodeId};

use super::cluster::PORT;
use super::{Run, git};
use crate::scenario::{CatalogPlan, Control, Plan, first_layout};

/// Where nodes serve Git.
pub(super) const HTTP_PORT: u16 = 7480;

/// How the nodes of a run repair one another.
pub(super) fn repair(run: &Run) -> RepairConfig {
    let mut repair = RepairConfig::default();
    if let Some(hint_bytes) = run.plan.repair.hint_bytes {
        repair.hint_bytes = hint_bytes;
    }
    let hours = |time: Duration| time.as_secs_f64() / 3600.0;
    if let Some(interval) = run.plan.repair.compare_interval {
        repair.compare_interval_h = hours(*interval);
    }
    if let Some(age) = run.plan.repair.hint_age {
        repair.hint_max_age_h = hours(*age);
    }
    if !run.plan.repair.compares || run.control == Some(Control::NoAntiEntropy) {
        repair.compare_interval_h = 0.0;
    }
    if run.control == Some(Control::NoDelivery) {
        // Less than any run has time for, once the first batch is gone.
        repair.bytes_per_second = 1;
    }
    repair
}

/// How the nodes of a run store.
pub(super) fn store(run: &Run) -> StoreConfig {
    let mut store = StoreConfig { reserve_bytes: 0, ..StoreConfig::default() };
    if let Some(bytes) = run.plan.store.segment_bytes {
        store.segment_bytes = bytes;
    }
    if let Some(bytes) = run.plan.store.maintenance_bytes_per_second {
        store.maintenance_bytes_per_second = bytes;
    }
    if run.control == Some(Control::NoCompaction) {
        // No segment is garbage all over: its header is not.
        store.compact_garbage_share = 1.0;
    }
    if let Some(days) = run.plan.repair.scrub_interval_days {
        store.scrub_interval_days = days;
    }
    if run.control == Some(Control::NoScrub) {
        store.scrub_interval_days = 0;
    }
    store
}

/// How the nodes of a run agree on names.
pub(super) fn catalog(plan: &CatalogPlan) -> CatalogConfig {
    let mut config = CatalogConfig::default();
    config.heartbeat_ms = plan.heartbeat_ms.unwrap_or(config.heartbeat_ms);
    config.election_timeout_ms = plan.election_timeout_ms.unwrap_or(config.election_timeout_ms);
    config.snapshot_bytes = plan.snapshot_bytes.unwrap_or(config.snapshot_bytes);
    config
}

/// How the nodes of a run serve Git: not at all where the plan says nothing of it, or a control has
/// a gateway of its own.
pub(super) fn http(run: &Run) -> HttpConfig {
    let serves = run.plan.git.is_some() && run.control.and_then(git::haste).is_none();
    let listen = serves.then_some(http_address());
    let mut http = HttpConfig { listen, create_on_push: true, ..HttpConfig::default() };
    if run.control == Some(Control::NoSweep) {
        http.sweep_interval_min = 0;
    }
    http
}

/// Where a node serves Git.
pub(super) fn http_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, HTTP_PORT))
}

/// The first layout of a run.
pub(super) fn layout(plan: &Plan) -> Layout {
    first_layout(&plan.cluster, PORT).expect("a checked plan makes a valid layout")
}

/// The cluster that strangers belong to.
pub(super) fn strangers(run: &Run) -> ClusterId {
    match run.control {
        Some(Control::NoClusterId) => ClusterId::derived(&layout(&run.plan)),
        _ => ClusterId::parse("strangers").expect("letters alone"),
    }
}

/// The layout of a node that is a cluster by itself.
pub(super) fn layout_of_one(name: &str, address: Ipv4Addr) -> Layout {
    let address = format!("{address}:{PORT}");
    let member = Member::active(NodeId::new(name), address, "z1".to_owned(), 1);
    Layout::first((1, 1, 1), vec![member]).validated().expect("one member is a layout")
}
