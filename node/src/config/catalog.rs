//! The `[catalog]` part of a configuration.

use std::time::Duration;

use gitstratum_catalog::entity::Program;
use gitstratum_catalog::{Feature, feature};
use gitstratum_consensus::Options;
use serde::{Deserialize, Serialize};

/// How a node takes part in agreeing on names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogConfig {
    /// Whether it does. Without the catalog a node has no repositories, only objects.
    pub enabled: bool,
    /// A leader that has nothing to say says so this often, in milliseconds.
    pub heartbeat_ms: u64,
    /// In milliseconds, how long a leader may be silent: others ask for votes two and a half to three
    /// times as long after they heard of it.
    pub election_timeout_ms: u64,
    /// A snapshot is written when the commands since the last one take so many bytes, or as many as
    /// that one.
    pub snapshot_bytes: u64,
    /// Names of features that this node does not state, though its program has them: they stay off in
    /// the whole cluster.
    pub features_off: Vec<String>,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        let Options { heartbeat, election_timeout, snapshot_bytes, .. } = Options::default();
        CatalogConfig {
            enabled: true,
            heartbeat_ms: heartbeat.as_millis() as u64,
            election_timeout_ms: election_timeout.as_millis() as u64,
            snapshot_bytes,
            features_off: Vec::new(),
        }
    }
}

impl CatalogConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(10..=3_600_000).contains(&self.heartbeat_ms) {
            let problem = format!("{} is not between 10 ms and an hour", self.heartbeat_ms);
            return Err(("catalog.heartbeat_ms", problem));
        }
        if self.election_timeout_ms < 3 * self.heartbeat_ms {
            let (timeout, heartbeat) = (self.election_timeout_ms, self.heartbeat_ms);
            let problem = format!("{timeout} is less than three heartbeats of {heartbeat} ms");
            return Err(("catalog.election_timeout_ms", problem));
        }
        if self.election_timeout_ms > 86_400_000 {
            let problem = format!("{} ms is more than a day", self.election_timeout_ms);
            return Err(("catalog.election_timeout_ms", problem));
        }
        if self.snapshot_bytes < 65_536 {
            let problem = format!("{} is less than 65536", self.snapshot_bytes);
            return Err(("catalog.snapshot_bytes", problem));
        }
        let unknown = self.features_off.iter().find(|name| Feature::named(name).is_none());
        if let Some(unknown) = unknown {
            let known = Feature::ALL.map(|feature| format!("{:?}", feature.name())).join(", ");
            let problem = format!("{unknown:?} is no feature; there is {known}");
            return Err(("catalog.features_off", problem));
        }
        Ok(())
    }

    /// What this program states of itself in the catalog.
    pub fn program(&self) -> Program {
        let features = feature::names_without(&self.features_off);
        // Without the commit: it decides nothing here, and the catalog's bytes would differ with each.
        Program { version: env!("CARGO_PKG_VERSION").to_owned(), features }
    }

    /// What the group is opened with.
    pub fn options(&self) -> Options {
        Options {
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            election_timeout: Duration::from_millis(self.election_timeout_ms),
            snapshot_bytes: self.snapshot_bytes,
            ..Options::default()
        }
    }
}
