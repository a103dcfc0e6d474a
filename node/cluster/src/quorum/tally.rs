//! Vote counting.
//!
//! Counting: what a write's replicas answered, and what a writer did in all.
//!
//! Invariant (I4): attempted = succeeded + failed + in flight, at every instant, through
//! panics and cancellations. That is why an object's outcome is counted by a guard, once.

use std::sync::{Arc, Mutex};

use gitstratum_core::metrics::{self, Reading, Registry};
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, Stored};

use super::{PutError, PutReport};

/// Counters of a writer: at every instant `attempted = succeeded + failed + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Objects offered.
    pub attempted: u64,
    /// Acknowledged at W.
    pub succeeded: u64,
    /// Answered with an error, or abandoned by a panic.
    pub failed: u64,
    /// Neither yet.
    pub in_flight: u64,
    /// Replica writes that failed, of whichever objects.
    pub replica_failures: u64,
    /// Of those, held as hints by another replica, which delivers them.
    pub missed_recorded: u64,
    /// Of those, held already since an earlier write of the same object.
    pub missed_already_recorded: u64,
    /// Of those, without room for a hint: the range of ids was marked dirty instead.
    pub missed_moved_to_ranges: u64,
    /// Of those, recorded nowhere, because no replica took the object or the record.
    pub missed_lost: u64,
}

impl WriterStats {
    /// All of it as metrics.
    fn readings() -> Vec<Reading<WriterStats>> {
        type Metric = Reading<WriterStats>;
        vec![
            Metric::counter(
                "quorum_puts_attempted",
                "Objects that this node, as a coordinator, was given to store on their replicas",
                |stats| stats.attempted,
            ),
            Metric::counter(
                "quorum_puts_succeeded",
                "Objects to store that a write quorum acknowledged",
                |stats| stats.succeeded,
            ),
            Metric::counter(
                "quorum_puts_failed",
                "Objects to store that no write quorum acknowledged",
                |stats| stats.failed,
            ),
            Metric::gauge(
                "quorum_puts_in_flight",
                "Objects to store that are under way",
                |stats| stats.in_flight,
            ),
            Metric::counter(
                "quorum_replica_failures",
                "Pairs of an object and a replica that did not take it, for whatever reason",
                |stats| stats.replica_failures,
            ),
            Metric::counter(
                "quorum_missed_recorded",
                "Pairs of an object and a replica that did not take it, for which another keeps a hint",
                |stats| stats.missed_recorded + stats.missed_already_recorded,
            ),
            Metric::counter(
                "quorum_missed_moved_to_ranges",
                "Pairs of an object and a replica that did not take it, for which a dirty range stands",
                |stats| stats.missed_moved_to_ranges,
            ),
            Metric::counter(
                "quorum_missed_lost",
                "Pairs of an object and a replica that did not take it, recorded nowhere: comparing finds them",
                |stats| stats.missed_lost,
            ),
        ]
    }
}

/// The counters of one writer, shared by its writes.
#[derive(Debug, Default)]
pub(super) struct Counters {
    stats: Mutex<WriterStats>,
}

impl Counters {
    pub(super) fn snapshot(&self) -> WriterStats {
        *self.stats.lock().expect("nothing panics while it counts")
    }

    /// Registers them; they are read at once, so that they add up.
    pub(super) fn register(self: &Arc<Self>, registry: &mut Registry) {
        let counters = self.clone();
        metrics::register(registry, WriterStats::readings(), move || counters.snapshot());
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut WriterStats)) {
        change(&mut self.stats.lock().expect("nothing panics while it counts"));
    }
}

/// The objects of one put. Each is counted once, however many attempts are made at it, one after
/// another or beside each other: it succeeded when one of them did, and failed when all did.
pub(super) struct Counted {
    counters: Arc<Counters>,
    objects: Mutex<Vec<Progress>>,
}

/// What the attempts at one object came to.
#[derive(Clone, Copy, Default)]
struct Progress {
    attempted: bool,
    succeeded: bool,
    /// Attempts that are under way.
    open: u32,
}

impl Counted {
    pub(super) fn new(counters: Arc<Counters>, objects: usize) -> Arc<Self> {
        Arc::new(Counted { counters, objects: Mutex::new(vec![Progress::default(); objects]) })
    }

    /// Begins an attempt at the objects in these places of the put.
    pub(super) fn begin(self: &Arc<Self>, places: Vec<usize>) -> Undecided {
        for &place in &places {
            self.change(place, |object, stats| {
                if object.open == 0 && !object.succeeded {
                    match object.attempted {
                        true => stats.failed -= 1,
                        false => stats.attempted += 1,
                    }
                    stats.in_flight += 1;
                }
                object.attempted = true;
                object.open += 1;
            });
        }
        Undecided { counted: self.clone(), open: places.into_iter().map(Some).collect() }
    }

    fn end(&self, place: usize, succeeded: bool) {
        self.change(place, |object, stats| {
            object.open -= 1;
            if object.succeeded || (!succeeded && object.open > 0) {
                return;
            }
            object.succeeded = succeeded;
            stats.in_flight -= 1;
            match succeeded {
                true => stats.succeeded += 1,
                false => stats.failed += 1,
            }
        });
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut Progress, &mut WriterStats)) {
        let mut objects = self.objects.lock().expect("nothing panics while it counts");
        self.counters.update(|stats| change(&mut objects[place], stats));
    }
}

/// Objects of an attempt that are not answered yet. Dropped, it counts the attempt at them as
/// failed.
pub(super) struct Undecided {
    counted: Arc<Counted>,
    /// Their places in the put, in the order of the attempt.
    open: Vec<Option<usize>>,
}

impl Undecided {
    /// Decides the attempt at one of its objects.
    pub(super) fn decide(&mut self, index: usize, succeeded: bool) {
        let place = self.open[index].take().expect("an object is decided once");
        self.counted.end(place, succeeded);
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        for place in self.open.iter().flatten() {
            self.counted.end(*place, false);
        }
    }
}

/// The answers to one object's write so far.
pub(super) struct Tally {
    id: ObjectId,
    needed: usize,
    /// Replicas that have not answered.
    waiting: usize,
    stored: Vec<(NodeId, Stored)>,
    failed: Vec<(NodeId, NodeError)>,
    decided: bool,
}

impl Tally {
    pub(super) fn new(id: ObjectId, needed: usize, replicas: usize) -> Self {
        assert!(1 <= needed && needed <= replicas, "W lies between 1 and the replicas sent to");
        Tally {
            id,
            needed,
            waiting: replicas,
            stored: Vec::with_capacity(replicas),
            failed: Vec::new(),
            decided: false,
        }
    }

    /// Takes one replica's answer; returns the outcome the first time it is certain.
    pub(super) fn take(
        &mut self,
        node_id: &NodeId,
        answer: Result<Stored, NodeError>,
    ) -> Option<Result<PutReport, PutError>> {
        self.waiting = self.waiting.checked_sub(1).expect("a replica answers once");
        match answer {
            Ok(stored) => self.stored.push((node_id.clone(), stored)),
            Err(error) => self.failed.push((node_id.clone(), error)),
        }
        if self.decided {
            return None;
        }
        if self.stored.len() >= self.needed {
            self.decided = true;
            let (stored, failed) = (self.stored.clone(), self.failed.clone());
            return Some(Ok(PutReport { stored, failed, waiting: self.waiting }));
        }
        if self.stored.len() + self.waiting < self.needed {
            self.decided = true;
            return Some(Err(PutError {
                id: self.id,
                needed: self.needed,
                stored: self.stored.iter().map(|(node, _)| node.clone()).collect(),
                failed: self.failed.clone(),
            }));
        }
        None
    }

    /// Which object.
    pub(super) fn id(&self) -> ObjectId {
        self.id
    }

    /// Replicas that acknowledged, in the order they did.
    pub(super) fn stored(&self) -> impl Iterator<Item = &NodeId> {
        self.stored.iter().map(|(node, _)| node)
    }

    /// Replicas that did not, and why.
    pub(super) fn failed(&self) -> &[(NodeId, NodeError)] {
        &self.failed
    }
}
