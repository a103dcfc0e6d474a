//! Decaying latency histograms.
//!
//! What replicas take to answer, as histograms that forget.
//!
//! Invariant: what was long ago counts less and less. Kept for [`super::Deadline`] and for
//! readers that choose whom to ask; nothing here waits for anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;

/// Two buckets an octave of microseconds, up to beyond an hour.
const BUCKETS: usize = 64;

/// How deadlines follow latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveOptions {
    /// No deadline is shorter, unless the caller's is.
    pub deadline_min: Duration,
    /// No deadline is longer.
    pub deadline_max: Duration,
    /// The deadline is so many times what 99 of a hundred requests took.
    pub factor: u32,
    /// Fewer requests tell nothing, and `deadline_max` holds.
    pub requests_min: u32,
    /// After so many, what was before counts half.
    pub half_life: u32,
}

impl Default for AdaptiveOptions {
    fn default() -> Self {
        AdaptiveOptions {
            deadline_min: limits::ADAPTIVE_DEADLINE_MIN,
            deadline_max: Duration::from_secs(60),
            factor: 8,
            requests_min: 100,
            half_life: 1000,
        }
    }
}

/// What one replica's requests took lately.
#[derive(Clone, Debug)]
struct Histogram {
    counts: [u32; BUCKETS],
    total: u32,
    since_halved: u32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; BUCKETS], total: 0, since_halved: 0 }
    }
}

impl Histogram {
    fn record(&mut self, took: Duration, half_life: u32) {
        self.counts[bucket(took)] += 1;
        self.total += 1;
        self.since_halved += 1;
        if self.since_halved >= half_life {
            self.since_halved = 0;
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// What so many of a hundred requests did not exceed.
    fn percentile(&self, percent: u32) -> Duration {
        let beyond = self.total / 100 * (100 - percent) + self.total % 100 * (100 - percent) / 100;
        let mut seen = 0;
        for at in (0..BUCKETS).rev() {
            seen += self.counts[at];
            if seen > beyond {
                return upper(at);
            }
        }
        Duration::ZERO
    }
}

/// Two to an octave: the first half of `2^n` to `2^(n+1)` microseconds, and the second.
fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(2);
    let octave = us.ilog2();
    let half = (us >> (octave - 1)) & 1;
    (octave as usize * 2 + half as usize).min(BUCKETS - 1)
}

fn upper(bucket: usize) -> Duration {
    let octave = 1u64 << (bucket / 2);
    Duration::from_micros(if bucket.is_multiple_of(2) { octave + octave / 2 } else { octave * 2 })
}

/// The latencies of all replicas. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Latencies {
    options: AdaptiveOptions,
    replicas: Arc<Mutex<BTreeMap<NodeId, Replica>>>,
}

/// What is known of one replica.
#[derive(Clone, Default)]
pub(super) struct Replica {
    all: Arc<Mutex<Histogram>>,
    reads: Arc<Mutex<Histogram>>,
}

impl Latencies {
    /// Nothing is known yet.
    pub fn new(options: AdaptiveOptions) -> Self {
        Latencies { options, replicas: Arc::default() }
    }

    /// What half of a replica's reads took, if enough is known.
    pub fn usual_read(&self, node_id: &NodeId) -> Option<Duration> {
        self.read_percentile(node_id, 50)
    }

    /// What 95 of a hundred of a replica's reads did not exceed, if enough is known.
    pub fn read_p95(&self, node_id: &NodeId) -> Option<Duration> {
        self.read_percentile(node_id, 95)
    }

    fn read_percentile(&self, node_id: &NodeId, percent: u32) -> Option<Duration> {
        let reads = self.of(node_id).reads;
        let reads = reads.lock().expect("nothing panics while it counts");
        (reads.total >= self.options.requests_min).then(|| reads.percentile(percent))
    }

    /// Counts a read that took so long.
    pub fn record_read(&self, node_id: &NodeId, took: Duration) {
        self.of(node_id).record_read(took, self.options.half_life);
    }

    pub(super) fn options(&self) -> &AdaptiveOptions {
        &self.options
    }

    pub(super) fn of(&self, node_id: &NodeId) -> Replica {
        let mut replicas = self.replicas.lock().expect("nothing panics while it looks");
        if let Some(replica) = replicas.get(node_id) {
            return replica.clone();
        }
        replicas.entry(node_id.clone()).or_default().clone()
    }
}

impl Replica {
    /// What 99 of a hundred requests did not exceed, if so many are known.
    pub(super) fn p99(&self, requests_min: u32) -> Option<Duration> {
        let all = self.all.lock().expect("nothing panics while it counts");
        (all.total >= requests_min).then(|| all.percentile(99))
    }

    pub(super) fn record(&self, took: Duration, half_life: u32) {
        let mut all = self.all.lock().expect("nothing panics while it counts");
        all.record(took, half_life);
    }

    pub(super) fn record_read(&self, took: Duration, half_life: u32) {
        let mut reads = self.reads.lock().expect("nothing panics while it counts");
        reads.record(took, half_life);
    }
}
