//! Metrics layer.
//!
//! The layer of metrics: requests are counted: how many, how they ended, and how long they took.
//!
//! Invariant: a request takes no lock and looks nothing up: what counts it was found when the layer
//! was made. `begun = answered + failed + given up` and what is under way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_core::metrics::{self, Counter, Encoder, Labels, Reading, Registry, Timings};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{ErrorClass, NodeError, NodeWriter};
use tokio::time::Instant;

use super::call::{Asked, Call};
use super::layered::{Layer, Layered};

/// Requests of one kind to one replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests.
    pub begun: u64,
    /// Of those, answered for the batch as a whole.
    pub answered: u64,
    /// Of those, not.
    pub failed: u64,
    /// Of those, given up by whoever asked.
    pub given_up: u64,
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

/// Kinds of requests, as metrics call them, in the order of [`Replica::requests`].
const KINDS: [&str; 4] = ["put", "get", "has", "hints"];

fn kind(asked: Asked) -> usize {
    match asked {
        Asked::Put { .. } | Asked::PutLarge { .. } => 0,
        Asked::Get { .. } | Asked::GetLarge { .. } => 1,
        Asked::Has { .. } => 2,
        Asked::StoreHints { .. } => 3,
    }
}

/// Counts the requests of one kind to one replica.
#[derive(Debug, Default)]
struct Requests {
    begun: Counter,
    answered: Counter,
    failed: [Counter; ErrorClass::ALL.len()],
    given_up: Counter,
    took: Timings,
}

impl Requests {
    fn counts(&self) -> RequestCounts {
        // Those that ended are read first: what ends meanwhile is not more than what began.
        let (answered, given_up) = (self.answered.get(), self.given_up.get());
        let failed = self.failed.iter().map(Counter::get).sum();
        RequestCounts { answered, failed, given_up, took: self.took.sum(), begun: self.begun.get() }
    }
}

/// Counts the requests to one replica.
#[derive(Debug, Default)]
struct Replica {
    requests: [Requests; KINDS.len()],
}

/// The counts of all replicas. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Meters {
    replicas: Arc<Mutex<BTreeMap<NodeId, Arc<Replica>>>>,
}

impl Meters {
    fn of(&self, node_id: &NodeId) -> Arc<Replica> {
        let mut replicas = self.replicas.lock().expect("nothing panics while it looks");
        if let Some(replica) = replicas.get(node_id) {
            return replica.clone();
        }
        replicas.entry(node_id.clone()).or_default().clone()
    }

    fn replicas(&self) -> Vec<(NodeId, Arc<Replica>)> {
        let replicas = self.replicas.lock().expect("nothing panics while it looks");
        replicas.iter().map(|(node_id, replica)| (node_id.clone(), replica.clone())).collect()
    }

    /// The counts of every replica that was asked for anything.
    pub fn list(&self) -> Vec<(NodeId, ReplicaCounts)> {
        let counts = |replica: &Replica| {
            let [puts, gets, has, records] = &replica.requests;
            ReplicaCounts {
                puts: puts.counts(),
                gets: gets.counts(),
                has: has.counts(),
                records: records.counts(),
            }
        };
        let replicas = self.replicas().into_iter();
        replicas.map(|(node_id, replica)| (node_id, counts(&replica))).collect()
    }

    /// Registers them: by peer, by what was asked, and by how it ended. Of kinds of failures those
    /// are named that there were.
    pub fn register(&self, registry: &mut Registry) {
        let meters = self.clone();
        metrics::register_encoded(registry, move |encoder| encode(encoder, &meters.replicas()));
    }
}

fn encode(encoder: &mut Encoder<'_>, replicas: &[(NodeId, Arc<Replica>)]) -> fmt::Result {
    let (mut ended, mut under_way, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for (peer, replica) in replicas {
        for (kind, requests) in KINDS.iter().zip(&replica.requests) {
            let labels: Labels = vec![("peer", peer.to_string()), ("request", (*kind).to_owned())];
            let mut count = |result: &str, count: u64| {
                ended.push(([&labels[..], &[("result", result.to_owned())]].concat(), count));
            };
            count("succeeded", requests.answered.get());
            count("given_up", requests.given_up.get());
            for (class, failed) in ErrorClass::ALL.iter().zip(&requests.failed) {
                match failed.get() {
                    0 => {}
                    failed => count(class.name(), failed),
                }
            }
            let counts = requests.counts();
            let over = counts.answered + counts.failed + counts.given_up;
            under_way.push((labels.clone(), counts.begun.saturating_sub(over)));
            took.push((labels, &requests.took));
        }
    }
    let help = "Requests that this node, as the coordinator of its Git clients, made to another's \
                replica, by how they ended";
    let counted = Reading::counter("replica_requests", help, |count: &u64| *count);
    metrics::encode(encoder, &[counted], &ended)?;
    let help = "Requests to the replicas of peers that are under way";
    let open = Reading::gauge("replica_requests_in_flight", help, |count: &u64| *count);
    metrics::encode(encoder, &[open], &under_way)?;
    let help = "How long requests to the replicas of peers took, second attempts included";
    metrics::encode_timings(encoder, "replica_request", help, &took)
}

/// Counts requests.
#[derive(Clone)]
pub struct Meter {
    replica: Arc<Replica>,
}

impl Meter {
    /// By what `meters` has for a replica.
    pub fn of(node_id: &NodeId, meters: &Meters) -> Self {
        Meter { replica: meters.of(node_id) }
    }
}

/// A request under way. Dropped before its end, it was given up.
struct UnderWay<'r> {
    requests: &'r Requests,
    began: Instant,
    is_over: bool,
}

impl UnderWay<'_> {
    fn end<T>(mut self, answer: &Result<T, NodeError>) {
        self.is_over = true;
        self.requests.took.observe(self.began.elapsed());
        match answer {
            Ok(_) => self.requests.answered.inc(),
            Err(error) => self.requests.failed[ErrorClass::of(error) as usize].inc(),
        };
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.requests.given_up.inc();
        }
    }
}

impl Layer for Meter {
    async fn run<C: Call>(&self, call: C) -> Result<C::Answer, NodeError> {
        let requests = &self.replica.requests[kind(call.asked())];
        requests.begun.inc();
        let under_way = UnderWay { requests, began: Instant::now(), is_over: false };
        let answer = call.send().await;
        under_way.end(&answer);
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
