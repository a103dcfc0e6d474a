//! Scenario plan.
//!
//! What a scenario asks for: the parts of a plan, each a table of the file.
//!
//! Reading and writing is what serde derives; a default here is the value of a field that a
//! file leaves out.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Action, CatalogPlan, Control, GitPlan, MillisRange, Step, Stray, Time, TimeRange, is_default,
};

/// Voters of the catalog's group, at most.
const VOTERS_MAX: usize = 7;

/// What a scenario asks for, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names the scenario on the command line and in the verdict.
    pub name: String,
    /// Where it is, as the command line takes it: its file, or `FILE:NAME` if it is one of
    /// several there. Part of the replay command.
    #[serde(skip)]
    pub path: PathBuf,
    /// One line for `list`.
    pub description: String,
    /// Broken pools that must fail this scenario, by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub controls: Vec<Control>,
    /// Nodes and quorums.
    pub cluster: ClusterPlan,
    /// Every link at the start.
    #[serde(default)]
    pub network: NetworkPlan,
    /// What stands between machines, if anything does.
    pub firewall: Option<FirewallPlan>,
    /// Every node's disk.
    #[serde(default)]
    pub disk: DiskPlan,
    /// How nodes store.
    #[serde(default, skip_serializing_if = "is_default")]
    pub store: StorePlan,
    /// How nodes repair one another.
    #[serde(default)]
    pub repair: RepairPlan,
    /// How nodes agree on names, and who asks them to.
    #[serde(default)]
    pub catalog: CatalogPlan,
    /// Who pushes and clones; nodes do not serve Git if not given.
    pub git: Option<GitPlan>,
    /// Who asks for what.
    pub workload: WorkloadPlan,
    /// What must hold besides the invariants.
    pub expect: Expectations,
    /// Faults and repairs, in the file's order.
    #[serde(rename = "step", default, skip_serializing_if = "is_default")]
    pub steps: Vec<Step>,
}

/// Nodes `n1`, `n2`, … and how they replicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPlan {
    /// How many nodes.
    pub nodes: usize,
    /// So many of them, the first, are active in the first layout; the others drain, so they hold
    /// no objects and do not vote. All are active if not given.
    pub active: Option<usize>,
    /// Replication factor N.
    pub replicas: usize,
    /// Write quorum W.
    pub write_quorum: usize,
    /// Read quorum R.
    pub read_quorum: usize,
    /// Failure domains `z1`, `z2`, …, dealt out to the nodes in turn: `n1` is in `z1`.
    #[serde(default = "one_zone")]
    pub zones: usize,
}

impl ClusterPlan {
    /// Nodes that are active in the first layout.
    pub fn active_nodes(&self) -> usize {
        self.active.unwrap_or(self.nodes)
    }

    /// Nodes that vote by the first layout: an odd number.
    pub fn voters(&self) -> usize {
        let most = self.active_nodes().min(VOTERS_MAX);
        most - usize::from(most.is_multiple_of(2))
    }

    /// Disks that may be lost within the budget of the promises: fewer than W, and no majority of
    /// those who vote.
    pub fn disks_lost_max(&self) -> usize {
        (self.voters() / 2).min(self.write_quorum.saturating_sub(1))
    }
}

/// What links do to packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkPlan {
    /// One way, drawn for each packet.
    #[serde(rename = "latency_ms")]
    pub latency: MillisRange,
    /// Share of packets lost, 0.0 to 1.0.
    pub loss: f64,
    /// How long resolvers remember an answer; not at all when zero.
    pub dns_ttl: Time,
}

/// A firewall between machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallPlan {
    /// The nodes that it stands before; all of them when empty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nodes: Vec<String>,
    /// When it forgets an idle connection; drawn once for the run.
    pub forgets_after: TimeRange,
    /// What it does with packets of connections that it does not know.
    pub strays: Stray,
}

/// How nodes store; as they do by themselves where nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorePlan {
    /// Where a segment ends.
    pub segment_bytes: Option<u64>,
    /// What compaction and scrub read in a second.
    pub maintenance_bytes_per_second: Option<u64>,
}

/// How nodes repair one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepairPlan {
    /// What hints may take on a node's disk, in bytes; the node's own bound if not given.
    pub hint_bytes: Option<u64>,
    /// Whether nodes compare what they hold.
    pub compares: bool,
    /// Between two comparisons of a pair, about; the node's own interval if not given.
    pub compare_interval: Option<Time>,
    /// A hint that is older becomes a dirty range; the node's own age if not given.
    pub hint_age: Option<Time>,
    /// Days between two scrubs of a store; the node's own number if not given. Only then is
    /// what rotted held against the nodes.
    pub scrub_interval_days: Option<u32>,
}

/// How long disks take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskPlan {
    /// A read that is served.
    #[serde(rename = "read_ms")]
    pub read: MillisRange,
    /// A write into the cache.
    #[serde(rename = "write_ms")]
    pub write: MillisRange,
    /// `fdatasync`.
    #[serde(rename = "sync_ms")]
    pub sync: MillisRange,
    /// What a power loss may take.
    pub power_loss: PowerLoss,
    /// Share of operations that take longer, 0.0 to 1.0.
    pub spike_share: f64,
    /// By how much.
    #[serde(rename = "spike_ms")]
    pub spike: MillisRange,
}

/// Which changes that were not synced a power loss may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerLoss {
    /// All of them, always.
    Everything,
    /// Any subset, whole writes only.
    Subset,
    /// Any subset, and parts of writes.
    #[default]
    Torn,
}

/// Who asks for what, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadPlan {
    /// Client machines `c1`, `c2`, …
    #[serde(default = "two_clients")]
    pub clients: usize,
    /// Operations that a client has under way at once.
    pub workers: usize,
    /// How long the load goes on.
    pub duration: Time,
    /// Pause of a worker between two operations.
    #[serde(rename = "pace_ms")]
    pub pace: MillisRange,
    /// Share of operations that put, 0.0 to 1.0; the others get.
    pub put_share: f64,
    /// Share of puts and gets that go through the batch calls.
    pub batch_share: f64,
    /// Most objects of one batch.
    pub batch_objects_max: usize,
    /// Share of puts whose object is too large for one message.
    pub large_share: f64,
    /// Deadline of a client's request.
    #[serde(default = "default_timeout")]
    pub request_timeout: Time,
    /// Connections that a client's pool may hold; the node's own bound if not given.
    pub pool_connections_max: Option<usize>,
    /// Puts of each worker after the last fault, when nothing is wrong any more.
    pub settled_puts: usize,
    /// Where the clients are: they read from replicas of this zone first.
    pub zone: Option<String>,
    /// How often every acknowledged object is read after the last fault.
    #[serde(default)]
    pub reads_back: u32,
}

/// What must hold besides the invariants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// A node that is back takes part in every write and read after this.
    pub recover_within: Time,
    /// Least share of single puts that succeed, over the whole run.
    pub put_share_min: f64,
    /// Least number of puts acknowledged, so that a run that did nothing does not pass.
    pub puts_acked_min: u64,
    /// A run that has not ended by then is stuck.
    pub stuck_after: Time,
    /// Most operations that fail with a quorum of their replicas in reach all the time,
    /// those included that fall into the time for recovery.
    pub failed_in_reach_max: Option<u64>,
    /// Most dials of one machine to one address within any ten seconds under load.
    pub dials_per_10s_max: Option<u64>,
    /// Most connections that a client has open at a time under load.
    pub connections_max: Option<usize>,
    /// Least number of segments, over all nodes, that compaction has replaced when the load
    /// is over.
    pub compactions_min: Option<u64>,
    /// Least number of objects that nodes deleted.
    pub deletions_min: Option<u64>,
    /// When the faults are over for so long, every acknowledged object is on all its
    /// replicas, and no hint is left; not looked at if not given.
    pub converge_within: Option<Time>,
}

fn one_zone() -> usize {
    1
}

fn two_clients() -> usize {
    2
}

fn default_timeout() -> Time {
    Time(Duration::from_secs(3))
}

impl Default for NetworkPlan {
    /// Machines of one site, and no resolver that remembers.
    fn default() -> Self {
        NetworkPlan {
            latency: MillisRange::micros(300, 2_000),
            loss: 0.0,
            dns_ttl: Time::default(),
        }
    }
}

impl Default for DiskPlan {
    /// A solid-state disk that tears what was not synced.
    fn default() -> Self {
        DiskPlan {
            read: MillisRange::micros(100, 500),
            write: MillisRange::micros(0, 100),
            sync: MillisRange::micros(500, 4_000),
            power_loss: PowerLoss::default(),
            spike_share: 0.0,
            spike: MillisRange::micros(0, 0),
        }
    }
}

impl Default for RepairPlan {
    /// As nodes do it when nobody says otherwise.
    fn default() -> Self {
        RepairPlan {
            hint_bytes: None,
            compares: true,
            compare_interval: None,
            hint_age: None,
            scrub_interval_days: None,
        }
    }
}

impl Plan {
    /// The plan as a scenario file, which `Plan::parse` reads to an equal plan.
    ///
    /// # Panics
    /// When a time in it is no whole number of milliseconds, or a number too large for TOML;
    /// no plan that was read has one.
    pub fn to_toml(&self) -> String {
        self.written().expect("whatever was read can be written")
    }

    pub(super) fn written(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Whether what rotted is found in time to be repaired: by scrub, or by reads.
    pub fn finds_rot(&self) -> bool {
        self.repair.scrub_interval_days.is_some() || self.workload.reads_back > 0
    }

    /// How long after the last fault the stores are looked into for chunks that nobody owns, if they
    /// are.
    pub fn swept_within(&self) -> Option<Time> {
        self.git.as_ref()?.swept_within
    }

    /// Whether a step deletes.
    pub fn deletes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Delete { .. }))
    }

    /// Refs of the repository that nobody updates, if a step makes it.
    pub fn bulk_refs(&self) -> Option<u32> {
        self.steps.iter().find_map(|step| match step.action {
            Action::Bulk { refs } => Some(refs),
            _ => None,
        })
    }

    /// Names of the nodes.
    pub fn node_names(&self) -> Vec<String> {
        (1..=self.cluster.nodes).map(|number| format!("n{number}")).collect()
    }

    /// Names of the client machines.
    pub fn client_names(&self) -> Vec<String> {
        (1..=self.workload.clients).map(|number| format!("c{number}")).collect()
    }
}
