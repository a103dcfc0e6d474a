//! The shape of a scenario file. A field that is not listed here is an error.
//!
//! Values that can be wrong in themselves are `Spanned`, so that `check` can name their
//! line.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::units::Span;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    pub(super) description: Spanned<String>,
    pub(super) cluster: Cluster,
    pub(super) network: Network,
    pub(super) firewall: Option<Firewall>,
    pub(super) disk: Disk,
    pub(super) store: Option<Store>,
    pub(super) repair: Option<Repair>,
    pub(super) workload: Workload,
    #[serde(default)]
    pub(super) step: Vec<Spanned<Step>>,
    pub(super) expect: Expect,
    pub(super) controls: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) nodes: Spanned<usize>,
    pub(super) replicas: Spanned<usize>,
    pub(super) write_quorum: Spanned<usize>,
    pub(super) read_quorum: Spanned<usize>,
    pub(super) zones: Spanned<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) latency_ms: Spanned<[f64; 2]>,
    pub(super) loss: Spanned<f64>,
    pub(super) dns_ttl: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Firewall {
    pub(super) nodes: Option<Spanned<Vec<String>>>,
    pub(super) forgets_after: Spanned<Span>,
    pub(super) strays: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub(super) read_ms: Spanned<[f64; 2]>,
    pub(super) write_ms: Spanned<[f64; 2]>,
    pub(super) sync_ms: Spanned<[f64; 2]>,
    pub(super) power_loss: Option<Spanned<String>>,
    pub(super) spike_share: Option<Spanned<f64>>,
    pub(super) spike_ms: Option<Spanned<[f64; 2]>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) segment_bytes: Option<Spanned<u64>>,
    pub(super) maintenance_bytes_per_second: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repair {
    pub(super) hint_bytes: Option<Spanned<u64>>,
    pub(super) compares: Option<Spanned<bool>>,
    pub(super) compare_interval: Option<Spanned<String>>,
    pub(super) hint_age: Option<Spanned<String>>,
    pub(super) scrub_interval_days: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) clients: Spanned<usize>,
    pub(super) workers: Spanned<usize>,
    pub(super) duration: Spanned<String>,
    pub(super) pace_ms: Spanned<[f64; 2]>,
    pub(super) put_share: Spanned<f64>,
    pub(super) batch_share: Spanned<f64>,
    pub(super) batch_objects_max: Spanned<usize>,
    pub(super) large_share: Spanned<f64>,
    pub(super) request_timeout: Spanned<String>,
    pub(super) pool_connections_max: Option<Spanned<usize>>,
    pub(super) settled_puts: usize,
    pub(super) zone: Option<Spanned<String>>,
    pub(super) reads_back: Option<u32>,
}

/// One `[[step]]`: which of the fields belong together depends on `action`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) at: Option<Span>,
    pub(super) after: Option<Span>,
    pub(super) action: String,
    pub(super) nodes: Option<Vec<String>>,
    pub(super) node: Option<String>,
    pub(super) from: Option<Vec<String>>,
    pub(super) direction: Option<String>,
    pub(super) down_for: Option<Span>,
    pub(super) dns_after: Option<Span>,
    pub(super) takes_address_of: Option<String>,
    pub(super) resolves: Option<bool>,
    pub(super) dir: Option<String>,
    pub(super) bits: Option<u32>,
    pub(super) file: Option<String>,
    pub(super) factor: Option<u32>,
    pub(super) operations: Option<String>,
    pub(super) room_bytes: Option<u64>,
    pub(super) leaves_behind: Option<String>,
    pub(super) times: Option<u32>,
    pub(super) up_for: Option<Span>,
    pub(super) latency_ms: Option<[f64; 2]>,
    pub(super) loss: Option<f64>,
    pub(super) delay: Option<String>,
    pub(super) lasts: Option<Span>,
    pub(super) clients: Option<Vec<String>>,
    pub(super) callers: Option<u32>,
    pub(super) drain: Option<Vec<String>>,
    pub(super) remove: Option<Vec<String>>,
    pub(super) activate: Option<Vec<String>>,
    pub(super) weights: Option<BTreeMap<String, u32>>,
    pub(super) zones: Option<BTreeMap<String, String>>,
    pub(super) replicas: Option<usize>,
    pub(super) write_quorum: Option<usize>,
    pub(super) read_quorum: Option<usize>,
    pub(super) settle: Option<bool>,
    pub(super) tell: Option<Vec<String>>,
    pub(super) ahead: Option<String>,
    pub(super) share: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) recover_within: Spanned<String>,
    pub(super) put_share_min: Spanned<f64>,
    pub(super) puts_acked_min: u64,
    pub(super) stuck_after: Spanned<String>,
    pub(super) failed_in_reach_max: Option<u64>,
    pub(super) dials_per_10s_max: Option<u64>,
    pub(super) connections_max: Option<usize>,
    pub(super) converge_within: Option<Spanned<String>>,
    pub(super) compactions_min: Option<u64>,
    pub(super) deletions_min: Option<u64>,
}
