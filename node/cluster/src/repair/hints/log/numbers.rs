//! What a log says of itself: counts, sizes and ages.

use std::cmp::Reverse;
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;
use gitstratum_host::unix_time_ms;
use tokio::time::Instant;

use super::super::entry::Settled;
use super::super::{DirtyRange, Hint};
use super::HintLog;

/// Counts and sizes of a log. `recorded = pending + settled.sum()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintNumbers {
    /// Hints held.
    pub pending: u64,
    /// What they take in the file.
    pub bytes: u64,
    /// What they may take.
    pub bytes_max: u64,
    /// Age of the oldest.
    pub oldest_age_ms: u64,
    /// Since the log was begun, over all restarts.
    pub recorded: u64,
    /// What became of those that are not held any more.
    pub settled: Settled,
    /// Ranges that are dirty.
    pub dirty_ranges: u64,
    /// The first of them, at most `limits::DIRTY_RANGES_LISTED_MAX`.
    pub dirty: Vec<DirtyRange>,
    /// Hints by target, at most `limits::HINT_TARGETS_LISTED_MAX`: those of the oldest hints.
    pub targets: Vec<TargetNumbers>,
    /// How many targets there are.
    pub targets_total: u64,
    /// The oldest hints, at most `limits::MISSED_LISTED_MAX`.
    pub first: Vec<Hint>,
}

/// Hints for one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetNumbers {
    /// The node.
    pub node_id: NodeId,
    /// Hints held for it.
    pub pending: u64,
    /// Age of the oldest.
    pub oldest_age_ms: u64,
    /// Why they wait, as far as that is known; empty when they do not.
    pub last_error: String,
    /// About how long until they are settled, at the rate lately seen; `None` while none is.
    pub eta: Option<Duration>,
}

impl HintLog {
    /// Counts and sizes.
    pub fn numbers(&self) -> HintNumbers {
        let now_ms = unix_time_ms();
        let age_ms = |hint: &Hint| now_ms.saturating_sub(hint.recorded_at_ms);
        let troubles = self.troubles.lock().expect("nothing panics while it notes").clone();
        let rates = self.paces.rates(Instant::now());
        let held = self.lock();
        let mut targets: Vec<_> = held
            .targets()
            .map(|(node_id, target)| TargetNumbers {
                last_error: troubles.get(node_id).cloned().unwrap_or_default(),
                eta: rates.get(node_id).and_then(|rate| {
                    Duration::try_from_secs_f64(target.hints() as f64 / rate).ok()
                }),
                node_id: node_id.clone(),
                pending: target.hints(),
                oldest_age_ms: age_ms(target.oldest()),
            })
            .collect();
        let oldest_age_ms = targets.iter().map(|target| target.oldest_age_ms).max().unwrap_or(0);
        let targets_total = targets.len() as u64;
        // Those that have waited longest are what an operator looks for.
        targets.sort_by_key(|target| Reverse(target.oldest_age_ms));
        targets.truncate(limits::HINT_TARGETS_LISTED_MAX);
        targets.sort_by(|one, other| one.node_id.cmp(&other.node_id));
        HintNumbers {
            pending: held.hints,
            bytes: held.hint_bytes,
            bytes_max: self.options.bytes_max,
            oldest_age_ms,
            recorded: held.hints + held.settled.sum(),
            settled: held.settled,
            dirty_ranges: held.dirty_count(),
            dirty: held.dirty().take(limits::DIRTY_RANGES_LISTED_MAX).collect(),
            targets,
            targets_total,
            first: held.all().take(limits::MISSED_LISTED_MAX).cloned().collect(),
        }
    }
}
