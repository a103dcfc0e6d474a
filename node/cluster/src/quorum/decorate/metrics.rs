//! Metrics layer.
//!
//! The layer of metrics: requests are counted: how many, how they ended, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, NodeWriter};
use tokio::time::Instant;

use super::call::{Asked, Call};
use super::layered::{Layer, Layered};

/// Requests of one kind to one replica; `begun = answered + failed` and what is under way or
/// was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests.
    pub begun: u64,
    /// Of those, answered for the batch as a whole.
    pub answered: u64,
    /// Of those, not.
    pub failed: u64,
    /// What those that ended took together.
    pub took: Duration,
}

/// Requests to one replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaCounts {
    /// Puts of batches, and of large objects.
    pub puts: RequestCounts,
    /// Gets of batches, and openings of large objects.
    pub gets: RequestCounts,
    /// Questions which objects are held.
    pub has: RequestCounts,
    /// Records of missed writes.
    pub records: RequestCounts,
}

impl ReplicaCounts {
    fn of(&mut self, asked: Asked) -> &mut RequestCounts {
        match asked {
            Asked::Put { .. } | Asked::PutLarge { .. } => &mut self.puts,
            Asked::Get { .. } | Asked::GetLarge { .. } => &mut self.gets,
            Asked::Has { .. } => &mut self.has,
            Asked::StoreHints { .. } => &mut self.records,
        }
    }
}

/// The counts of all replicas. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Meters {
    replicas: Arc<Mutex<BTreeMap<NodeId, Arc<Mutex<ReplicaCounts>>>>>,
}

impl Meters {
    fn of(&self, node_id: &NodeId) -> Arc<Mutex<ReplicaCounts>> {
        let mut replicas = self.replicas.lock().expect("nothing panics while it looks");
        if let Some(counts) = replicas.get(node_id) {
            return counts.clone();
        }
        replicas.entry(node_id.clone()).or_default().clone()
    }

    /// The counts of every replica that was asked for anything.
    pub fn list(&self) -> Vec<(NodeId, ReplicaCounts)> {
        let replicas = self.replicas.lock().expect("nothing panics while it looks");
        let counts =
            |counts: &Mutex<ReplicaCounts>| *counts.lock().expect("nothing panics while it counts");
        replicas.iter().map(|(node_id, replica)| (node_id.clone(), counts(replica))).collect()
    }
}

/// Counts requests.
#[derive(Clone)]
pub struct Meter {
    counts: Arc<Mutex<ReplicaCounts>>,
}

impl Meter {
    /// By what `meters` has for a replica.
    pub fn of(node_id: &NodeId, meters: &Meters) -> Self {
        Meter { counts: meters.of(node_id) }
    }

    fn count(&self, asked: Asked, change: impl FnOnce(&mut RequestCounts)) {
        change(self.counts.lock().expect("nothing panics while it counts").of(asked));
    }
}

impl Layer for Meter {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        let asked = call.asked();
        self.count(asked, |counts| counts.begun += 1);
        let began = Instant::now();
        let answer = call.send().await;
        self.count(asked, |counts| {
            counts.took += began.elapsed();
            *if answer.is_ok() { &mut counts.answered } else { &mut counts.failed } += 1;
        });
        answer
    }
}

/// A replica whose requests are counted.
pub type Metered<N> = Layered<Meter, N>;

impl<N: NodeWriter> Metered<N> {
    /// `inner`, counted by what `meters` has for it.
    pub fn new(inner: N, meters: &Meters) -> Self {
        Layered::around(Meter::of(inner.node_id(), meters), inner)
    }
}
