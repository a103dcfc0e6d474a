//! Streaming quorum write.
//!
//! Writing one large object: its parts to all replicas at once, as they come.
//!
//! A large object is put by one attempt or more, as small ones are. Its caller's parts come once,
//! so an attempt after the first sends what was kept of them, or what a replica stored; and it asks
//! each replica first, because most of them have the object by then.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use gitstratum_core::limits;
use gitstratum_core::object::{ObjectHead, ObjectId};
use gitstratum_core::replica::{NodeError, NodeWriter, Parts};
use gitstratum_core::trace;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug_span;

use super::reserve::Reserve;
use super::send::{already_stored, begin};
use super::source::Source;
use super::{Consistency, Counted, Inner, Outcome, QuorumWriter, Undecided};

/// A large object that is being stored. Attempts at it may overlap; each goes by the layout that is
/// in force when it begins.
pub struct PutLarge {
    writer: QuorumWriter,
    head: ObjectHead,
    counted: Arc<Counted>,
    caller: Arc<Returned>,
    /// Attempts of which a replica has not answered.
    unanswered: TaskTracker,
}

/// The caller's parts, when no attempt is sending them.
#[derive(Default)]
struct Returned {
    source: Mutex<Option<Source>>,
    returned: Notify,
}

impl Returned {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Source>> {
        self.source.lock().expect("nothing panics while it moves parts")
    }

    fn put(&self, source: Source) {
        *self.lock() = Some(source);
        self.returned.notify_waiters();
    }
}

impl QuorumWriter {
    /// Stores one object from parts, sent to every replica as they come. A replica that
    /// does not take a part within the timeout is given up.
    ///
    /// # Errors
    /// [`PutError`](super::PutError).
    pub async fn put_large(&self, head: ObjectHead, parts: Parts) -> Outcome {
        self.begin_large(head, parts).attempt().await
    }

    /// A large object to be stored by one attempt or more, that is counted as one put.
    pub fn begin_large(&self, head: ObjectHead, parts: Parts) -> PutLarge {
        let counted = Counted::new(self.inner.counters.clone(), 1);
        let caller = Returned::default();
        caller.put(Source::caller(parts));
        let unanswered = TaskTracker::new();
        // It is waited for whether or not there will be more of them.
        unanswered.close();
        PutLarge { writer: self.clone(), head, counted, caller: Arc::new(caller), unanswered }
    }
}

impl PutLarge {
    /// Makes the first attempt, with the parts of the caller.
    ///
    /// # Errors
    /// [`PutError`](super::PutError).
    ///
    /// # Panics
    /// When it was made before.
    pub async fn attempt(&self) -> Outcome {
        let source = self.caller.lock().take().expect("the first attempt is made once");
        self.attempt_with(source, false).await
    }

    /// Makes another attempt. Each replica is asked first whether it has the object.
    ///
    /// # Errors
    /// [`PutError`](super::PutError).
    pub async fn attempt_again(&self, source: Source) -> Outcome {
        self.attempt_with(source, true).await
    }

    async fn attempt_with(&self, source: Source, skip_present: bool) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let inner = &self.writer.inner;
        let consistency = self.writer.consistency;
        // Counted before anything can wait, so that no attempt is ever unseen.
        let counted = self.counted.begin(vec![0]);
        let (caller, unanswered) = (self.caller.clone(), self.unanswered.token());
        let sent = Sent { head: self.head, source, skip_present, caller, unanswered };
        let span = debug_span!("quorum_put_large", id = %self.head.id);
        let coordinator = inner.clone().coordinate_large(sent, consistency, counted, answer);
        let coordinator = trace::carried(coordinator, span);
        tokio::spawn(inner.coordinators.track_future(coordinator));
        let mut outcome = outcome.await.expect("a coordinator answers before it ends");
        outcome.pop().expect("one object, one outcome")
    }

    /// Waits until the attempts before have handed over all the parts that they will.
    pub async fn handed_over(&self) {
        loop {
            let mut returned = std::pin::pin!(self.caller.returned.notified());
            // Registered before looking, so that nothing falls between the two.
            returned.as_mut().enable();
            if self.caller.lock().is_some() {
                return;
            }
            returned.await;
        }
    }

    /// Whether every replica has answered that was sent anything.
    pub fn is_answered(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Waits until every replica has answered.
    pub async fn answered(&self) {
        self.unanswered.wait().await;
    }

    /// The caller's parts once more; `None` while an attempt sends them, and when too many have
    /// come for all of them to be kept.
    pub fn rewound(&self) -> Option<Source> {
        let mut source = self.caller.lock();
        source.take_if(|source| source.is_whole()).map(Source::rewound)
    }
}

/// What one attempt sends.
struct Sent {
    head: ObjectHead,
    source: Source,
    skip_present: bool,
    /// Where the source goes when all was sent.
    caller: Arc<Returned>,
    unanswered: TaskTrackerToken,
}

impl Inner {
    async fn coordinate_large(
        self: Arc<Self>,
        sent: Sent,
        consistency: Consistency,
        counted: Undecided,
        answer: oneshot::Sender<Vec<Outcome>>,
    ) {
        let replicas = FuturesUnordered::new();
        let mut sinks = Vec::new();
        let placement = self.layout.placement();
        let Sent { head, mut source, skip_present, caller, unanswered } = sent;
        for node_id in placement.replicas(&head.id).iter() {
            let node = self.writer(&placement, node_id);
            let (sink, parts) = mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
            sinks.push(sink);
            let timeout = self.timeout;
            let write = async move {
                vec![match skip_present && has(&*node, head.id, timeout).await {
                    true => Ok(already_stored(head.size_bytes)),
                    false => node.put_large(head, parts).await,
                }]
            };
            replicas.push(begin(node_id.clone(), 1, write));
        }
        // Large objects pass every circuit, because their parts come once.
        let reserve = Reserve::new(sinks.len(), sinks.len());
        let pump = async {
            pump(&mut source, sinks, self.timeout).await;
            caller.put(source);
            drop(caller);
        };
        let ids = [head.id];
        let needed = consistency.needed(&placement);
        let gather = async {
            let gathered = self.gather(&ids, replicas, &reserve, needed, counted, answer);
            let tallies = gathered.await;
            drop(unanswered);
            tallies
        };
        let ((), tallies) = futures_util::future::join(pump, gather).await;
        self.store_hints(&placement, &tallies).await;
    }
}

/// Whether a replica says that it has the object. One that does not say is sent it.
async fn has(node: &dyn NodeWriter, id: ObjectId, timeout: Duration) -> bool {
    let answer: Result<Vec<bool>, NodeError> = node.has([id].into(), timeout).await;
    answer.is_ok_and(|present| present == [true])
}

/// Hands every part to every replica that still takes them.
async fn pump(source: &mut Source, mut sinks: Vec<mpsc::Sender<bytes::Bytes>>, timeout: Duration) {
    while let Some(part) = source.next().await {
        let mut taking = Vec::with_capacity(sinks.len());
        for sink in sinks {
            // Ends when the replica failed, or hangs: dropping the sink ends its write.
            if let Ok(Ok(())) = tokio::time::timeout(timeout, sink.send(part.clone())).await {
                taking.push(sink);
            }
        }
        sinks = taking;
        if sinks.is_empty() {
            return;
        }
    }
}
