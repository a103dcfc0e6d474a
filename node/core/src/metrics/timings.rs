//! Lock-free histogram of durations.
//!
//! For paths that take no lock: the library's histogram has one, and this is an add to one of a few
//! atomics. Whoever counts resolves it once, and looks nothing up when it counts.
//!
//! Invariant: what is read is a histogram: its count is the sum of its buckets.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

use super::DURATIONS;

/// Durations, counted in the buckets of [`super::durations`].
#[derive(Debug, Default)]
pub struct Timings {
    /// The last one is for what is above all bounds.
    buckets: [AtomicU64; DURATIONS.len() + 1],
    /// Nanoseconds of all of them together: five hundred years of them fit.
    sum_ns: AtomicU64,
}

impl Timings {
    /// Counts something that took so long.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = DURATIONS.partition_point(|bound| *bound < seconds);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    /// What all of them took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed))
    }

    /// Encodes it as a histogram, in seconds.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&self, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = DURATIONS.into_iter().chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        metric.encode_histogram::<NoLabelSet>(self.sum().as_secs_f64(), count, &buckets, None)
    }
}
