//! The `[repair]` part of a configuration.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::repair::{Budget, ClientLatency, HintOptions};
use gitstratum_core::limits;
use serde::{Deserialize, Serialize};

/// How a node repairs its peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepairConfig {
    /// Object data that is exchanged with peers where one of the two lacks it, in bytes a
    /// second.
    pub bytes_per_second: u64,
    /// Batches of it that are under way at once.
    pub operations_in_flight: usize,
    /// What hints may take on disk, in bytes.
    pub hint_bytes: u64,
    /// A hint that was not delivered in so many hours becomes a dirty range.
    pub hint_max_age_h: f64,
    /// Hours between two comparisons of what this node and a peer hold; 0 for none at all.
    pub compare_interval_h: f64,
}

impl Default for RepairConfig {
    fn default() -> Self {
        RepairConfig {
            bytes_per_second: limits::REPAIR_BYTES_PER_SECOND,
            operations_in_flight: limits::REPAIR_OPERATIONS_IN_FLIGHT,
            hint_bytes: limits::HINT_BYTES_MAX,
            hint_max_age_h: limits::HINT_AGE_MAX.as_secs_f64() / 3600.0,
            compare_interval_h: limits::RECONCILE_INTERVAL.as_secs_f64() / 3600.0,
        }
    }
}

impl RepairConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.bytes_per_second < 4096 {
            let problem = format!("{} is less than 4096", self.bytes_per_second);
            return Err(("repair.bytes_per_second", problem));
        }
        if !(1..=64).contains(&self.operations_in_flight) {
            let problem = format!("{} is not between 1 and 64", self.operations_in_flight);
            return Err(("repair.operations_in_flight", problem));
        }
        let (least, most) = (4096, 1 << 30);
        if !(least..=most).contains(&self.hint_bytes) {
            let problem = format!("{} is not between {least} and {most}", self.hint_bytes);
            return Err(("repair.hint_bytes", problem));
        }
        // False for what is no number, too.
        if !(0.001..=8_760.0).contains(&self.hint_max_age_h) {
            let problem = format!("{} is not between 0.001 and 8760 hours", self.hint_max_age_h);
            return Err(("repair.hint_max_age_h", problem));
        }
        let interval = self.compare_interval_h;
        if interval != 0.0 && !(0.001..=8_760.0).contains(&interval) {
            let problem = format!("{interval} is neither 0 nor between 0.001 and 8760 hours");
            return Err(("repair.compare_interval_h", problem));
        }
        Ok(())
    }

    /// What all repair together may take, giving way to what clients feel.
    pub fn budget(&self, latency: Arc<ClientLatency>) -> Budget {
        Budget::throttling(self.bytes_per_second, self.operations_in_flight, latency)
    }

    /// Between two comparisons with a peer; `None` when there are none.
    pub fn compare_interval(&self) -> Option<Duration> {
        let hours = self.compare_interval_h;
        (hours > 0.0).then(|| Duration::from_secs_f64(hours * 3600.0))
    }

    /// The bounds of the log of hints.
    pub fn hints(&self) -> HintOptions {
        HintOptions {
            bytes_max: self.hint_bytes,
            age_max: Duration::from_secs_f64(self.hint_max_age_h * 3600.0),
            ..HintOptions::default()
        }
    }
}
