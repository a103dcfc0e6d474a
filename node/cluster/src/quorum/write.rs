//! The quorum writer: to all replicas at once, answer at W, finish the rest.
//!
//! One coordinator task owns a write from its first request to the record of its last
//! failure, so that a caller who goes away cancels nothing. It answers each caller when W
//! replicas have acknowledged every object or enough have failed; then it goes on until
//! all N have answered, and has what was missed recorded by a replica that stored the
//! object. Data in flight is bounded; past the bound, writes wait before they begin.

mod large;
mod reserve;
mod send;
mod source;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gitstratum_core::limits;
use gitstratum_core::metrics::Registry;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::placement::{CurrentLayout, NodeId, Placement};
use gitstratum_core::replica::{Missed, NodeError, NodeWriter, Recorded, Stored, Writers};
use gitstratum_core::trace;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tracing::debug_span;

use super::tally::{Counted, Counters, Tally, Undecided};
use super::{WriterStats, reasons};
use reserve::Reserve;
use send::{begin, send};

pub use large::PutLarge;
pub use source::Source;

/// How many replicas must have acknowledged an object when its put returns. All of them are
/// sent it in any case, and what any of them misses is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// One: the fastest, and gone if that one is lost before the others have it. A get may
    /// say "not found" until they do.
    One,
    /// W, as the layout says: every get that reaches a read quorum finds it.
    #[default]
    Quorum,
    /// All N: the put fails while any of them cannot take it.
    All,
}

impl Consistency {
    fn needed(self, placement: &Placement) -> usize {
        match self {
            Consistency::One => 1,
            Consistency::Quorum => placement.layout().write_quorum,
            Consistency::All => placement.layout().replicas,
        }
    }
}

/// A put that reached its write quorum.
#[derive(Clone, Debug)]
pub struct PutReport {
    /// Replicas that had acknowledged when enough of them had.
    pub stored: Vec<(NodeId, Stored)>,
    /// Replicas that had failed by then, and why: what they missed is kept for them by one
    /// that stored the object.
    pub failed: Vec<(NodeId, NodeError)>,
    /// Replicas that had not answered yet. Each write goes on, and what fails is kept too.
    pub waiting: usize,
}

/// A put that did not.
#[derive(Clone, Debug, thiserror::Error)]
#[error("object {id} stored on {} of {needed} replicas needed: {}", .stored.len(), reasons(.failed))]
pub struct PutError {
    /// The object.
    pub id: ObjectId,
    /// W.
    pub needed: usize,
    /// Replicas that did acknowledge.
    pub stored: Vec<NodeId>,
    /// Replicas that did not, and why.
    pub failed: Vec<(NodeId, NodeError)>,
}

type Outcome = Result<PutReport, PutError>;
type Answers = Vec<Result<Stored, NodeError>>;

struct Inner {
    layout: CurrentLayout,
    nodes: Writers,
    timeout: Duration,
    counters: Arc<Counters>,
    /// One permit a byte.
    bytes_in_flight: Arc<Semaphore>,
    coordinators: TaskTracker,
    latest_missed: Mutex<std::collections::VecDeque<Missed>>,
}

/// Writes objects to their replicas. Cheap to clone.
#[derive(Clone)]
pub struct QuorumWriter {
    inner: Arc<Inner>,
    consistency: Consistency,
}

impl QuorumWriter {
    /// A writer to the members of `layout`, which it follows; `timeout` bounds each replica's
    /// answer.
    pub fn new(layout: CurrentLayout, nodes: Writers, timeout: Duration) -> Self {
        let inner = Inner {
            layout,
            nodes,
            timeout,
            counters: Arc::default(),
            bytes_in_flight: Arc::new(Semaphore::new(limits::WRITER_BYTES_IN_FLIGHT_MAX)),
            coordinators: TaskTracker::new(),
            latest_missed: Mutex::default(),
        };
        QuorumWriter { inner: Arc::new(inner), consistency: Consistency::default() }
    }

    /// The same writer for puts that return when so many replicas have acknowledged. It
    /// shares everything else, counters and bounds included.
    pub fn consistency(&self, consistency: Consistency) -> Self {
        QuorumWriter { consistency, ..self.clone() }
    }

    /// Stores objects; one outcome each, in order. With `skip_present`, each replica is
    /// asked first and sent only what it lacks.
    pub async fn put(&self, objects: Vec<Object>, skip_present: bool) -> Vec<Outcome> {
        let all: Vec<_> = (0..objects.len()).collect();
        self.begin(objects).attempt(&all, skip_present).await
    }

    /// Objects to be stored by one attempt or more, that are counted as one put.
    pub fn begin(&self, objects: Vec<Object>) -> Put {
        let counted = Counted::new(self.inner.counters.clone(), objects.len());
        Put { writer: self.clone(), objects, counted }
    }

    /// Counters.
    pub fn stats(&self) -> WriterStats {
        self.inner.counters.snapshot()
    }

    /// Registers its counters.
    pub fn register(&self, registry: &mut Registry) {
        self.inner.counters.register(registry);
    }

    /// The latest replica writes that failed, at most `limits::MISSED_LISTED_MAX`.
    pub fn missed(&self) -> Vec<Missed> {
        self.inner.lock_missed().iter().cloned().collect()
    }

    /// Waits until no write is under way, those after W and their records included.
    pub async fn drain(&self) {
        self.inner.coordinators.close();
        self.inner.coordinators.wait().await;
        self.inner.coordinators.reopen();
    }
}

/// Objects that are being stored. Attempts at them may overlap; each goes by the layout that is
/// in force when it begins.
pub struct Put {
    writer: QuorumWriter,
    objects: Vec<Object>,
    counted: Arc<Counted>,
}

impl Put {
    /// Makes an attempt at the objects in these places; one outcome each, in the same order.
    /// With `skip_present`, each replica is asked first and sent only what it lacks.
    pub async fn attempt(&self, places: &[usize], skip_present: bool) -> Vec<Outcome> {
        let mut undecided = Vec::new();
        let mut outcomes: Vec<Option<Outcome>> = places.iter().map(|_| None).collect();
        let mut groups: BTreeMap<Arc<[NodeId]>, Group> = BTreeMap::new();
        let inner = &self.writer.inner;
        // One layout from beginning to end, whatever comes into force meanwhile.
        let placement = inner.layout.placement();
        let needed = self.writer.consistency.needed(&placement);
        for (index, place) in places.iter().enumerate() {
            let object = self.objects[*place].clone();
            let group = groups.entry(placement.replicas(&object.id())).or_default();
            group.indices.push(index);
            group.objects.push(object);
        }
        for (replicas, Group { indices, objects }) in groups {
            // Counted before anything can wait, so that no attempt is ever unseen.
            let counted = self.counted.begin(indices.iter().map(|index| places[*index]).collect());
            let (answer, outcome) = oneshot::channel();
            let span = debug_span!("quorum_put", objects = objects.len(), needed);
            let coordinator = inner.clone().coordinate(
                Batch { objects: objects.into(), replicas, skip_present, needed },
                placement.clone(),
                counted,
                answer,
            );
            let coordinator = trace::carried(coordinator, span);
            tokio::spawn(inner.coordinators.track_future(coordinator));
            undecided.push((indices, outcome));
        }
        for (indices, outcome) in undecided {
            let decided = outcome.await.expect("a coordinator answers before it ends");
            for (index, outcome) in indices.into_iter().zip(decided) {
                outcomes[index] = Some(outcome);
            }
        }
        outcomes.into_iter().map(|outcome| outcome.expect("every object is in a group")).collect()
    }
}

/// Objects of one attempt that have the same replicas, and where they are in the attempt.
#[derive(Default)]
struct Group {
    indices: Vec<usize>,
    objects: Vec<Object>,
}

struct Batch {
    objects: Arc<[Object]>,
    replicas: Arc<[NodeId]>,
    skip_present: bool,
    /// Acknowledgements of a put that succeeds.
    needed: usize,
}

impl Inner {
    fn lock_missed(&self) -> std::sync::MutexGuard<'_, std::collections::VecDeque<Missed>> {
        self.latest_missed.lock().expect("nothing panics while it lists")
    }

    fn writer(&self, placement: &Placement, node_id: &NodeId) -> Arc<dyn NodeWriter> {
        let member = placement.layout().member(node_id);
        (self.nodes)(member.expect("replicas are members of their layout"))
    }

    async fn room_for(&self, bytes: usize) -> OwnedSemaphorePermit {
        let bytes = bytes.min(limits::WRITER_BYTES_IN_FLIGHT_MAX);
        let permits = u32::try_from(bytes).expect("the bound is far below 4 GiB");
        let room = self.bytes_in_flight.clone().acquire_many_owned(permits).await;
        room.expect("the semaphore is never closed")
    }

    async fn coordinate(
        self: Arc<Self>,
        batch: Batch,
        placement: Arc<Placement>,
        counted: Undecided,
        answer: oneshot::Sender<Vec<Outcome>>,
    ) {
        let bytes = batch.objects.iter().map(|object| object.data().len()).sum();
        let room = self.room_for(bytes).await;
        let heads: Vec<_> = batch.objects.iter().map(Object::id).collect();
        let replicas = FuturesUnordered::new();
        let needed = batch.needed;
        let reserve = Arc::new(Reserve::new(batch.replicas.len(), needed));
        for node_id in batch.replicas.iter() {
            let node = self.writer(&placement, node_id);
            let (objects, timeout) = (batch.objects.clone(), self.timeout);
            let skip_present = batch.skip_present;
            let reserve = reserve.clone();
            let write = async move { send(&*node, objects, skip_present, timeout, &reserve).await };
            replicas.push(begin(node_id.clone(), heads.len(), write));
        }
        drop(batch);
        let gathered = self.gather(&heads, replicas, &reserve, needed, counted, answer);
        let tallies = gathered.await;
        drop(room);
        self.store_hints(&placement, &tallies).await;
    }

    /// Collects the answers of all replicas, and answers the caller as soon as every object
    /// is decided.
    async fn gather<F>(
        &self,
        ids: &[ObjectId],
        mut replicas: FuturesUnordered<F>,
        reserve: &Reserve,
        needed: usize,
        mut counted: Undecided,
        answer: oneshot::Sender<Vec<Outcome>>,
    ) -> Vec<Tally>
    where
        F: Future<Output = (NodeId, Answers)>,
    {
        let mut tallies: Vec<_> =
            ids.iter().map(|id| Tally::new(*id, needed, replicas.len())).collect();
        let mut outcomes: Vec<Option<Outcome>> = ids.iter().map(|_| None).collect();
        let mut open = ids.len();
        let mut answer = Some(answer);
        while let Some((node_id, answers)) = replicas.next().await {
            if answers.iter().any(Result::is_err) {
                reserve.call_up();
            }
            for (place, (tally, answer)) in tallies.iter_mut().zip(answers).enumerate() {
                if let Some(outcome) = tally.take(&node_id, answer) {
                    counted.decide(place, outcome.is_ok());
                    outcomes[place] = Some(outcome);
                    open -= 1;
                }
            }
            if open == 0 {
                reserve.dismiss();
            }
            if open == 0
                && let Some(answer) = answer.take()
            {
                let outcomes = outcomes.drain(..).flatten().collect();
                // A caller that went away needs no answer; the write goes on all the same.
                let _ = answer.send(outcomes);
            }
        }
        assert!(open == 0, "all replicas answered, so every object is decided");
        tallies
    }

    /// Groups what was missed by a replica that stored the object, and tells that replica.
    async fn store_hints(&self, placement: &Placement, tallies: &[Tally]) {
        let mut by_witness: BTreeMap<Vec<NodeId>, Vec<Missed>> = BTreeMap::new();
        for tally in tallies.iter().filter(|tally| !tally.failed().is_empty()) {
            let mut witnesses: Vec<_> = tally.stored().cloned().collect();
            witnesses.sort();
            let failed = tally.failed().iter();
            let missed =
                failed.map(|(node_id, error)| Missed::new(node_id.clone(), tally.id(), error));
            by_witness.entry(witnesses).or_default().extend(missed);
        }
        for (witnesses, missed) in by_witness {
            let count = missed.len() as u64;
            self.counters.update(|stats| stats.replica_failures += count);
            self.remember(&missed);
            let told = self.tell(placement, &witnesses, missed).await;
            self.counters.update(|stats| match told {
                Some(Recorded { new, already, moved_to_ranges }) => {
                    stats.missed_recorded += new;
                    stats.missed_already_recorded += already;
                    stats.missed_moved_to_ranges += moved_to_ranges;
                }
                None => stats.missed_lost += count,
            });
        }
    }

    /// As `tell_one_of`, more than once when no witness answers: they may all be about to
    /// restart, and what no witness knows of nobody delivers.
    async fn tell(
        &self,
        placement: &Placement,
        witnesses: &[NodeId],
        missed: Vec<Missed>,
    ) -> Option<Recorded> {
        let mut wait = limits::MISSED_TOLD_AGAIN_AFTER;
        for _ in 1..limits::MISSED_TOLD_MAX {
            let told = self.tell_one_of(placement, witnesses, missed.clone()).await;
            if told.is_some() || witnesses.is_empty() {
                return told;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.tell_one_of(placement, witnesses, missed).await
    }

    /// What the first witness that answered did with the report; `None` when none did.
    async fn tell_one_of(
        &self,
        placement: &Placement,
        witnesses: &[NodeId],
        missed: Vec<Missed>,
    ) -> Option<Recorded> {
        for witness in witnesses {
            let node = self.writer(placement, witness);
            let told = node.store_hints(missed.clone(), self.timeout).await;
            match told {
                Ok(recorded) => return Some(recorded),
                Err(error) => tracing::warn!(%witness, %error, "missed writes not recorded here"),
            }
        }
        None
    }

    fn remember(&self, missed: &[Missed]) {
        let mut latest = self.lock_missed();
        latest.extend(missed.iter().cloned());
        let surplus = latest.len().saturating_sub(limits::MISSED_LISTED_MAX);
        latest.drain(..surplus);
    }
}
