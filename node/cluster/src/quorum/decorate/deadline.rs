//! Adaptive deadline layer.
//!
//! The layer of deadlines that follow what a replica usually takes.
//!
//! Invariant: a request never has longer than its caller gave it. Below that, a replica that
//! answers in milliseconds is not waited for as long as one that takes seconds. Streams have
//! no deadline, and say nothing of how long an answer takes.

use std::time::Duration;

use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, NodeWriter};
use tokio::time::Instant;

use super::call::{Asked, Call};
use super::latencies::{AdaptiveOptions, Latencies, Replica};
use super::layered::{Layer, Layered};

/// Gives requests deadlines after what those before them took.
#[derive(Clone)]
pub struct Deadline {
    options: AdaptiveOptions,
    replica: Replica,
}

impl Deadline {
    /// By what `latencies` knows of a replica.
    pub fn of(node_id: &NodeId, latencies: &Latencies) -> Self {
        Deadline { options: latencies.options().clone(), replica: latencies.of(node_id) }
    }

    /// The deadline of a request whose caller gives it `given`.
    pub fn within(&self, given: Duration) -> Duration {
        let AdaptiveOptions { deadline_min, deadline_max, factor, requests_min, .. } = self.options;
        let usual = match self.replica.p99(requests_min) {
            Some(p99) => p99 * factor,
            None => deadline_max,
        };
        given.min(usual.max(deadline_min).min(deadline_max))
    }
}

impl Layer for Deadline {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        let Some(given) = call.timeout() else { return call.send().await };
        let reads = matches!(call.asked(), Asked::Get { .. });
        let began = Instant::now();
        let answer = call.within(self.within(given)).send().await;
        // One that was too late counts for what it took, so that the next has longer; one
        // that failed at once says nothing of how long an answer takes.
        if matches!(answer, Ok(_) | Err(NodeError::TimedOut { .. })) {
            let took = began.elapsed();
            self.replica.record(took, self.options.half_life);
            if reads {
                self.replica.record_read(took, self.options.half_life);
            }
        }
        answer
    }
}

/// A replica whose requests get deadlines after what it usually takes.
pub type Adaptive<N> = Layered<Deadline, N>;

impl<N: NodeWriter> Adaptive<N> {
    /// `inner`, with what `latencies` knows of it.
    pub fn new(inner: N, latencies: &Latencies) -> Self {
        Layered::around(Deadline::of(inner.node_id(), latencies), inner)
    }
}
