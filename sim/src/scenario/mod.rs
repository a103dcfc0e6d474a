//! A scenario file, read and checked into a plan.
//!
//! Invariant: a [`Plan`] is runnable as it stands. Every name in it exists, every range
//! is the right way round, every step makes sense where it is; whatever is wrong is
//! refused here with the file's line and the field's name. What the ranges of a plan
//! become in a run is decided by the run's seed, not here.

mod action;
mod check;
mod control;
mod file;
mod layouts;
mod steps;
mod units;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use action::{Action, Direction, Speech, StoreFile, Stray};
pub use control::{Control, Weakens};
pub use layouts::{LayoutChange, first_layout};

/// What a scenario asks for, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file's stem; names the scenario on the command line and in the verdict.
    pub name: String,
    /// The file it came from, as given; part of the replay command.
    pub path: PathBuf,
    /// One line for `list`.
    pub description: String,
    /// Nodes and quorums.
    pub cluster: ClusterPlan,
    /// Every link at the start.
    pub network: NetworkPlan,
    /// What stands between machines, if anything does.
    pub firewall: Option<FirewallPlan>,
    /// Every node's disk.
    pub disk: DiskPlan,
    /// How nodes store.
    pub store: StorePlan,
    /// How nodes repair one another.
    pub repair: RepairPlan,
    /// Who asks for what.
    pub workload: WorkloadPlan,
    /// Faults and repairs, in the file's order.
    pub steps: Vec<Step>,
    /// What must hold besides the invariants.
    pub expect: Expectations,
    /// Broken pools that must fail this scenario, by name.
    pub controls: Vec<Control>,
}

/// Nodes `n1`, `n2`, … and how they replicate.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    /// How many nodes.
    pub nodes: usize,
    /// Replication factor N.
    pub replicas: usize,
    /// Write quorum W.
    pub write_quorum: usize,
    /// Read quorum R.
    pub read_quorum: usize,
    /// Failure domains `z1`, `z2`, …, dealt out to the nodes in turn: `n1` is in `z1`.
    pub zones: usize,
}

/// What links do to packets.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    /// One way, drawn for each packet.
    pub latency: RangeInclusive<Duration>,
    /// Share of packets lost, 0.0 to 1.0.
    pub loss: f64,
    /// How long resolvers remember an answer; not at all when zero.
    pub dns_ttl: Duration,
}

/// A firewall between machines.
#[derive(Clone, Debug)]
pub struct FirewallPlan {
    /// The nodes that it stands before; all of them when empty.
    pub nodes: Vec<String>,
    /// When it forgets an idle connection; drawn once for the run.
    pub forgets_after: RangeInclusive<Duration>,
    /// What it does with packets of connections that it does not know.
    pub strays: Stray,
}

/// How nodes store; as they do by themselves where nothing is given.
#[derive(Clone, Debug, Default)]
pub struct StorePlan {
    /// Where a segment ends.
    pub segment_bytes: Option<u64>,
    /// What compaction and scrub read in a second.
    pub maintenance_bytes_per_second: Option<u64>,
}

/// How nodes repair one another.
#[derive(Clone, Debug)]
pub struct RepairPlan {
    /// What hints may take on a node's disk, in bytes; the node's own bound if not given.
    pub hint_bytes: Option<u64>,
    /// Whether nodes compare what they hold.
    pub compares: bool,
    /// Between two comparisons of a pair, about; the node's own interval if not given.
    pub compare_interval: Option<Duration>,
    /// A hint that is older becomes a dirty range; the node's own age if not given.
    pub hint_age: Option<Duration>,
    /// Days between two scrubs of a store; the node's own number if not given. Only then is
    /// what rotted held against the nodes.
    pub scrub_interval_days: Option<u32>,
}

/// How long disks take.
#[derive(Clone, Debug)]
pub struct DiskPlan {
    /// A read that is served.
    pub read: RangeInclusive<Duration>,
    /// A write into the cache.
    pub write: RangeInclusive<Duration>,
    /// `fdatasync`.
    pub sync: RangeInclusive<Duration>,
    /// What a power loss may take.
    pub power_loss: PowerLoss,
    /// Share of operations that take longer, 0.0 to 1.0.
    pub spike_share: f64,
    /// By how much.
    pub spike: RangeInclusive<Duration>,
}

/// Which changes that were not synced a power loss may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PowerLoss {
    /// All of them, always.
    Everything,
    /// Any subset, whole writes only.
    Subset,
    /// Any subset, and parts of writes.
    #[default]
    Torn,
}

/// Operations of a disk that stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperations {
    /// Reads.
    Reads,
    /// Writes.
    Writes,
    /// Syncs, of files and directories.
    Syncs,
}

/// Who asks for what, and how fast.
#[derive(Clone, Debug)]
pub struct WorkloadPlan {
    /// Client machines `c1`, `c2`, …
    pub clients: usize,
    /// Operations that a client has under way at once.
    pub workers: usize,
    /// How long the load goes on.
    pub duration: Duration,
    /// Pause of a worker between two operations.
    pub pace: RangeInclusive<Duration>,
    /// Share of operations that put, 0.0 to 1.0; the others get.
    pub put_share: f64,
    /// Share of puts and gets that go through the batch calls.
    pub batch_share: f64,
    /// Most objects of one batch.
    pub batch_objects_max: usize,
    /// Share of puts whose object is too large for one message.
    pub large_share: f64,
    /// Deadline of a client's request.
    pub request_timeout: Duration,
    /// Connections that a client's pool may hold; the node's own bound if not given.
    pub pool_connections_max: Option<usize>,
    /// Puts of each worker after the last fault, when nothing is wrong any more.
    pub settled_puts: usize,
    /// Where the clients are: they read from replicas of this zone first.
    pub zone: Option<String>,
    /// How often every acknowledged object is read after the last fault.
    pub reads_back: u32,
}

/// One step and when it is taken.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its line in the file.
    pub line: usize,
    /// When, drawn from the range.
    pub when: When,
    /// What.
    pub action: Action,
}

/// When a step is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the load began.
    At(RangeInclusive<Duration>),
    /// So long after the step before it.
    After(RangeInclusive<Duration>),
}

/// What must hold besides the invariants.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// A node that is back takes part in every write and read after this.
    pub recover_within: Duration,
    /// Least share of single puts that succeed, over the whole run.
    pub put_share_min: f64,
    /// Least number of puts acknowledged, so that a run that did nothing does not pass.
    pub puts_acked_min: u64,
    /// A run that has not ended by then is stuck.
    pub stuck_after: Duration,
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
    pub converge_within: Option<Duration>,
}

/// Why a scenario file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, where one can be named.
    pub line: Option<usize>,
    /// The field and what is wrong with it.
    pub problem: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.problem)
    }
}

impl std::error::Error for ScenarioError {}

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
    /// Reads and checks one file.
    ///
    /// # Errors
    /// [`ScenarioError`] naming line and field.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError {
            path: path.to_owned(),
            line: None,
            problem: format!("cannot be read: {error}"),
        })?;
        Self::parse(path, &text)
    }

    /// Checks the text of a file; `path` names the scenario and appears in errors.
    ///
    /// # Errors
    /// [`ScenarioError`] naming line and field.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ScenarioError> {
        check::plan(path, text)
    }

    /// Whether what rotted is found in time to be repaired: by scrub, or by reads.
    pub fn finds_rot(&self) -> bool {
        self.repair.scrub_interval_days.is_some() || self.workload.reads_back > 0
    }

    /// Whether a step deletes.
    pub fn deletes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Delete { .. }))
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

/// Loads scenario files; of a directory every `.toml` in it and in those in it, in the order
/// of paths.
///
/// # Errors
/// [`ScenarioError`] of the first bad file, or when a directory has none at all, or when two
/// have one name.
pub fn load_all(paths: &[PathBuf]) -> Result<Vec<Plan>, ScenarioError> {
    let mut plans: Vec<Plan> = Vec::new();
    for path in paths {
        for file in files_at(path)? {
            let plan = Plan::load(&file)?;
            if let Some(other) = plans.iter().find(|other| other.name == plan.name) {
                let problem = format!("name: {} has it already", other.path.display());
                return Err(ScenarioError { path: file, line: None, problem });
            }
            plans.push(plan);
        }
    }
    Ok(plans)
}

/// Loads the scenario of this name from a directory and those in it.
///
/// # Errors
/// [`ScenarioError`] when there is none, or it is bad.
pub fn load_named(dir: &Path, name: &str) -> Result<Plan, ScenarioError> {
    let mut files = files_at(dir)?.into_iter();
    let named = files.find(|file| file.file_stem().is_some_and(|stem| stem == name));
    match named {
        Some(file) => Plan::load(&file),
        None => {
            let problem = format!("there is no scenario {name:?} here");
            Err(ScenarioError { path: dir.to_owned(), line: None, problem })
        }
    }
}

/// The file itself, or all of a directory; at least one.
fn files_at(path: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let refuse = |problem: String| ScenarioError { path: path.to_owned(), line: None, problem };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files =
        files_under(path).map_err(|error| refuse(format!("cannot be listed: {error}")))?;
    files.sort();
    if files.is_empty() {
        return Err(refuse("no scenario (*.toml) here".to_owned()));
    }
    Ok(files)
}

/// Scenario files of a directory and of those in it, in any order.
fn files_under(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_under(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(files)
}
