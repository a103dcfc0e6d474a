//! Hint log statistics.
//!
//! What a log says of itself: counts, sizes and ages, and lists.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Reading, Registry, Unit};
use gitstratum_core::placement::NodeId;
use gitstratum_host::unix_time_ms;
use tokio::time::Instant;

use super::super::entry::Settled;
use super::super::held::Target;
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
    pub oldest_age: Duration,
    /// Since the log was begun, over all restarts.
    pub recorded: u64,
    /// What became of those that are not held any more.
    pub settled: Settled,
    /// Ranges that are dirty.
    pub dirty_ranges: u64,
}

impl HintNumbers {
    /// All of it as metrics.
    fn readings() -> Vec<Reading<HintNumbers>> {
        type Metric = Reading<HintNumbers>;
        vec![
            Metric::gauge("hints_pending", "Hints held until they are delivered", |hints| {
                hints.pending
            }),
            Metric::gauge("hints", "What the hints held take in their file", |hints| hints.bytes)
                .unit(Unit::Bytes),
            Metric::gauge("hints_max", "What hints may take in their file", |hints| {
                hints.bytes_max
            })
            .unit(Unit::Bytes),
            Metric::real("hints_oldest_age", "Age of the oldest hint held", |hints| {
                hints.oldest_age.as_secs_f64()
            })
            .unit(Unit::Seconds),
            Metric::counter(
                "hints_recorded",
                "Hints recorded, over all restarts as those that count what became of them",
                |hints| hints.recorded,
            ),
            Metric::counter(
                "hints_delivered",
                "Hints whose target confirmed the object, or had it already",
                |hints| hints.settled.delivered,
            ),
            Metric::counter("hints_deleted", "Hints whose object was deleted meanwhile", |hints| {
                hints.settled.deleted
            }),
            Metric::counter(
                "hints_replaced",
                "Hints that others for the object's present replicas stand in for",
                |hints| hints.settled.replaced,
            ),
            Metric::counter(
                "hints_moved_to_ranges",
                "Hints that a dirty range stands in for: there was no room, they were too old, or \
                 the object is damaged here",
                |hints| hints.settled.moved_to_ranges,
            ),
            Metric::gauge("hints_dirty_ranges", "Ranges of ids that are dirty", |hints| {
                hints.dirty_ranges
            }),
        ]
    }
}

/// What a log holds, as far as it is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintLists {
    /// The first dirty ranges, at most `limits::DIRTY_RANGES_LISTED_MAX`.
    pub dirty: Vec<DirtyRange>,
    /// Hints by target, at most `limits::HINT_TARGETS_LISTED_MAX`: those of the oldest hints.
    pub targets: Vec<TargetNumbers>,
    /// How many targets there are.
    pub targets_total: u64,
    /// The oldest hints, at most `limits::MISSED_LISTED_MAX`.
    pub oldest: Vec<Hint>,
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

fn age_ms(hint: &Hint, now_ms: u64) -> u64 {
    now_ms.saturating_sub(hint.recorded_at_ms)
}

/// How long until the hints of a target are settled, where it is known how many a second are.
fn eta(target: &Target, rate: Option<&f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(target.hints() as f64 / rate?).ok()
}

impl HintLog {
    /// Registers counts and sizes.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let log = self.clone();
        metrics::register(registry, HintNumbers::readings(), move || log.numbers());
    }

    /// Counts and sizes.
    pub fn numbers(&self) -> HintNumbers {
        let now_ms = unix_time_ms();
        let held = self.lock();
        let ages = held.targets().map(|(_, target)| age_ms(target.oldest(), now_ms));
        HintNumbers {
            pending: held.hints,
            bytes: held.hint_bytes,
            bytes_max: self.options.bytes_max,
            oldest_age: Duration::from_millis(ages.max().unwrap_or(0)),
            recorded: held.hints + held.settled.sum(),
            settled: held.settled,
            dirty_ranges: held.dirty_count(),
        }
    }

    /// About how long until all hints are settled, as far as that is known.
    pub fn eta(&self) -> Option<Duration> {
        let rates: BTreeMap<_, _> = self.paces.rates(Instant::now());
        let held = self.lock();
        held.targets().filter_map(|(node_id, target)| eta(target, rates.get(node_id))).max()
    }

    /// What is held, as far as it is listed.
    pub fn lists(&self) -> HintLists {
        let now_ms = unix_time_ms();
        let troubles = self.troubles.lock().expect("nothing panics while it notes").clone();
        let rates = self.paces.rates(Instant::now());
        let held = self.lock();
        let mut targets: Vec<_> = held
            .targets()
            .map(|(node_id, target)| TargetNumbers {
                last_error: troubles.get(node_id).cloned().unwrap_or_default(),
                eta: eta(target, rates.get(node_id)),
                node_id: node_id.clone(),
                pending: target.hints(),
                oldest_age_ms: age_ms(target.oldest(), now_ms),
            })
            .collect();
        let targets_total = targets.len() as u64;
        // Those that have waited longest are what an operator looks for.
        targets.sort_by_key(|target| Reverse(target.oldest_age_ms));
        targets.truncate(limits::HINT_TARGETS_LISTED_MAX);
        targets.sort_by(|one, other| one.node_id.cmp(&other.node_id));
        HintLists {
            dirty: held.dirty().take(limits::DIRTY_RANGES_LISTED_MAX).collect(),
            targets,
            targets_total,
            oldest: held.all().take(limits::MISSED_LISTED_MAX).cloned().collect(),
        }
    }
}
