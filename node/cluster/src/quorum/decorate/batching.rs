//! Request batching layer.
//!
//! The layer of batching: small puts that wait for the same replica go to it together, in one
//! request, as records that wait for the disk go in one flush.
//!
//! Invariant: a caller alone is never delayed. So many requests as
//! [`limits::REPLICA_PUTS_IN_FLIGHT`] are on their way to a replica at a time, and are begun at
//! once; who comes while there are as many waits until one of them ends, and goes with all who wait
//! by then. So the more callers there are, the larger are the batches.
//!
//! Invariant: a caller's deadline, answer and error are its own. A batch has the time of the caller
//! that has most left, and who has less leaves it. Where the replica refuses a batch as a whole, it
//! is asked for each caller alone. In traces a batch is part of what its first caller does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_core::limits;
use gitstratum_core::object::Object;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{NodeError, NodeWriter, StoreError, Stored};
use gitstratum_core::trace;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tracing::Span;

use super::call::{Call, Put};
use super::layered::{Layer, Layered};

type Answer = Result<Vec<Result<Stored, StoreError>>, NodeError>;

/// The puts that wait for each replica. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Batches {
    replicas: Arc<Mutex<BTreeMap<NodeId, Arc<Queue>>>>,
}

impl Batches {
    fn of(&self, node_id: &NodeId) -> Arc<Queue> {
        let mut replicas = self.replicas.lock().expect("nothing panics while it looks");
        if let Some(queue) = replicas.get(node_id) {
            return queue.clone();
        }
        replicas.entry(node_id.clone()).or_default().clone()
    }
}

/// Puts to one replica.
struct Queue {
    /// One permit for each request that may be on its way.
    turns: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    puts: VecDeque<WaitingPut>,
    /// Whether a task sees to it that they are sent.
    attended: bool,
}

/// A put that waits for its turn.
struct WaitingPut {
    objects: Arc<[Object]>,
    deadline: Instant,
    /// What its caller does.
    span: Span,
    /// Closed when its caller went away.
    answer: oneshot::Sender<Answer>,
}

impl Default for Queue {
    fn default() -> Self {
        let turns = Arc::new(Semaphore::new(limits::REPLICA_PUTS_IN_FLIGHT));
        Queue { turns, waiting: Mutex::default() }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while it queues")
    }

    /// Has a put wait for its turn to be sent to `to`.
    fn push<N>(self: &Arc<Self>, put: Put<'_, N>) -> oneshot::Receiver<Answer>
    where
        N: NodeWriter + Clone + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + put.timeout;
        let mut waiting = self.lock();
        let span = Span::current();
        waiting.puts.push_back(WaitingPut { objects: put.objects, deadline, span, answer });
        if !std::mem::replace(&mut waiting.attended, true) {
            tokio::spawn(self.clone().attend(put.to.clone()));
        }
        answered
    }

    /// Sends what waits, a batch each turn, until nothing does.
    async fn attend<N: NodeWriter + Clone + 'static>(self: Arc<Self>, to: N) {
        loop {
            let turn = self.turns.clone().acquire_owned().await.expect("it is never closed");
            let Some(batch) = self.next_batch() else { return };
            let first = batch[0].span.clone();
            let sending = send(batch, to.clone(), turn);
            tokio::spawn(first.in_scope(|| trace::carried(sending, Span::none())));
        }
    }

    /// What goes next, in the order of arrival and within the bounds of a message; `None` when
    /// nothing waits, and whoever comes has to have it attended to again.
    fn next_batch(&self) -> Option<Vec<WaitingPut>> {
        let now = Instant::now();
        let mut waiting = self.lock();
        let (mut batch, mut objects, mut bytes) = (Vec::new(), 0, 0);
        while let Some(put) = waiting.puts.pop_front() {
            if put.answer.is_closed() {
                continue;
            }
            if put.deadline <= now {
                let _ = put.answer.send(Err(late(Duration::ZERO)));
                continue;
            }
            objects += put.objects.len();
            bytes += bytes_of(&put.objects);
            let full = objects > limits::BATCH_OBJECTS_MAX || bytes > limits::BATCH_BYTES_MAX;
            if full && !batch.is_empty() {
                waiting.puts.push_front(put);
                break;
            }
            batch.push(put);
        }
        waiting.attended = !batch.is_empty();
        (!batch.is_empty()).then_some(batch)
    }
}

fn bytes_of(objects: &[Object]) -> usize {
    objects.iter().map(|object| object.data().len()).sum()
}

/// Sends a batch, and gives each caller its part of the answer.
async fn send(batch: Vec<WaitingPut>, to: impl NodeWriter, turn: OwnedSemaphorePermit) {
    let objects = batch.iter().flat_map(|put| put.objects.iter().cloned()).collect();
    let deadline = batch.iter().map(|put| put.deadline).max().expect("a batch has a put");
    let answer = to.put(objects, deadline.saturating_duration_since(Instant::now())).await;
    match answer {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for put in batch {
                let own = outcomes.by_ref().take(put.objects.len()).collect();
                // Who went away needs no answer.
                let _ = put.answer.send(Ok(own));
            }
        }
        Err(error) if batch.len() > 1 && is_of_one(&error) => {
            join_all(batch.into_iter().map(|put| send_alone(put, &to))).await;
        }
        Err(error) => {
            for put in batch {
                let _ = put.answer.send(Err(error.clone()));
            }
        }
    }
    drop(turn);
}

/// Whether one object may be to blame for an error of a whole batch.
fn is_of_one(error: &NodeError) -> bool {
    use StoreError::{HashMismatch, TooLarge};
    matches!(
        error,
        NodeError::Invalid { .. }
            | NodeError::StaleLayout { .. }
            | NodeError::Rejected(HashMismatch(_) | TooLarge { .. })
    )
}

fn late(after: Duration) -> NodeError {
    NodeError::TimedOut { stage: "waiting for the answer", after }
}

async fn send_alone(put: WaitingPut, to: &impl NodeWriter) {
    let left = put.deadline.saturating_duration_since(Instant::now());
    let _ = put.answer.send(to.put(put.objects, left).await);
}

/// Sends small puts that wait for one replica together.
#[derive(Clone)]
pub struct Batching {
    queue: Arc<Queue>,
}

impl Batching {
    /// Those that wait for a replica, as `batches` has them.
    pub fn of(node_id: &NodeId, batches: &Batches) -> Self {
        Batching { queue: batches.of(node_id) }
    }
}

impl Layer for Batching {
    async fn put<N>(&self, call: Put<'_, N>) -> Answer
    where
        N: NodeWriter + Clone + 'static,
    {
        if bytes_of(&call.objects) > limits::BATCHED_PUT_BYTES_MAX {
            return call.send().await;
        }
        if let Ok(_turn) = self.queue.turns.try_acquire() {
            return call.send().await;
        }
        let timeout = call.timeout;
        match tokio::time::timeout(timeout, self.queue.push(call)).await {
            // The batch had another caller's time.
            Ok(Ok(Err(NodeError::TimedOut { .. }))) | Err(_) => Err(late(timeout)),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(NodeError::Protocol {
                reason: "the request that it was sent with ended without an answer".into(),
            }),
        }
    }
}

/// A replica to which small puts go together.
pub type Batched<N> = Layered<Batching, N>;

impl<N: NodeWriter> Batched<N> {
    /// `inner`, with what `batches` has waiting for it.
    pub fn new(inner: N, batches: &Batches) -> Self {
        Layered::around(Batching::of(inner.node_id(), batches), inner)
    }
}
