//! The `[catalog]` table of a scenario: how nodes agree on names, and who asks them to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{Checked, Problem, not_zero, share, within};
use super::{MillisRange, Time, is_default};

/// Stands, where a step names nodes, for the node that leads the catalog's group in that moment.
pub const LEADER: &str = "leader";
/// Stands there for the first node that does not.
pub const FOLLOWER: &str = "follower";

/// How nodes agree on layouts, repositories and refs, and what clients ask of them: nothing, where
/// there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogPlan {
    /// Client machines `r1`, `r2`, …, each with one call under way at a time.
    pub clients: usize,
    /// Repositories, which the clients make.
    pub repositories: usize,
    /// Refs of each repository.
    pub refs: usize,
    /// Pause of a client between two calls.
    #[serde(rename = "pace_ms")]
    pub pace: MillisRange,
    /// Share of calls that update refs, 0.0 to 1.0; the others read.
    pub update_share: f64,
    /// Share of updates that change two refs, both or none.
    pub atomic_share: f64,
    /// How often a leader says that it is alive; the node's own interval if not given.
    pub heartbeat_ms: Option<u64>,
    /// When a silent leader is replaced; the node's own time if not given.
    pub election_timeout_ms: Option<u64>,
    /// When a snapshot is written; the node's own size if not given.
    pub snapshot_bytes: Option<u64>,
    /// So long after the last fault all nodes have the same state.
    pub agree_within: Time,
    /// Least number of refs that were updated, so that a run that did nothing does not pass.
    pub updates_min: u64,
    /// Least number of times that a node went on from another's snapshot.
    pub snapshots_min: u64,
    /// The longest time under load in which no update is acknowledged; not looked at if not given.
    pub gap_max: Option<Time>,
    /// Who votes when the load begins, and then after each change; not looked at if not given.
    #[serde(skip_serializing_if = "is_default")]
    pub voters: Vec<Vec<String>>,
}

impl Default for CatalogPlan {
    fn default() -> Self {
        CatalogPlan {
            clients: 0,
            repositories: 2,
            refs: 3,
            pace: MillisRange::micros(20_000, 150_000),
            update_share: 0.6,
            atomic_share: 0.2,
            heartbeat_ms: None,
            election_timeout_ms: None,
            snapshot_bytes: None,
            agree_within: Time(Duration::from_secs(10)),
            updates_min: 0,
            snapshots_min: 0,
            gap_max: None,
            voters: Vec::new(),
        }
    }
}

impl CatalogPlan {
    /// Names of the client machines.
    pub fn client_names(&self) -> Vec<String> {
        (1..=self.clients).map(|number| format!("r{number}")).collect()
    }

    /// Names of the repositories.
    pub fn repository_names(&self) -> Vec<String> {
        (1..=self.repositories).map(|number| format!("team/project{number}")).collect()
    }

    /// Names of the refs of each.
    pub fn ref_names(&self) -> Vec<String> {
        (1..=self.refs).map(|number| format!("refs/heads/b{number}")).collect()
    }

    pub(super) fn check(&self, nodes: &[String]) -> Checked {
        within("catalog.clients", self.clients, 0, 100)?;
        within("catalog.repositories", self.repositories, 1, 100)?;
        within("catalog.refs", self.refs, 2, 100)?;
        share("catalog.update_share", self.update_share)?;
        share("catalog.atomic_share", self.atomic_share)?;
        not_zero("catalog.snapshot_bytes", self.snapshot_bytes)?;
        not_zero("catalog.agree_within", Some(self.agree_within))?;
        not_zero("catalog.gap_max", self.gap_max)?;
        if let Some(name) = self.voters.iter().flatten().find(|name| !nodes.contains(name)) {
            return Err(Problem::new("catalog.voters", format!("no node {name:?}")));
        }
        if let Some(heartbeat_ms) = self.heartbeat_ms {
            within("catalog.heartbeat_ms", heartbeat_ms, 10, 3_600_000)?;
        }
        match (self.heartbeat_ms, self.election_timeout_ms) {
            (None, None) => Ok(()),
            (Some(heartbeat), Some(timeout)) if timeout >= 3 * heartbeat => Ok(()),
            (Some(_), Some(_)) => {
                let what = "must be at least three heartbeats";
                Err(Problem::new("catalog.election_timeout_ms", what))
            }
            _ => {
                let what = "heartbeat_ms and election_timeout_ms are given together or not at all";
                Err(Problem::new("catalog", what))
            }
        }
    }
}
