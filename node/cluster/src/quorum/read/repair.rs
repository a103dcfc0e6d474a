//! Read repair: a replica that was found lacking, while another had the object, is given it.
//!
//! It happens off the caller's path. What is in flight is bounded; past the bound a replica is
//! left to hints, or to the next read, and that is counted. Only a replica of the layout in
//! force is given anything: where earlier layouts placed an object, readers merely look.
//!
//! Invariant (I2): what is given away was verified, or is verified by who receives it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Reading, Registry};
use gitstratum_core::object::{Object, ObjectHead};
use gitstratum_core::placement::{NodeId, Placement};
use gitstratum_core::replica::{NodeError, NodeReader, NodeWriter, StoreError, Writers};
use gitstratum_core::trace;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tracing::Span;

use super::Search;

/// What came of replicas that were found lacking; `attempted = repaired + failed` and what is
/// under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadRepairStats {
    /// Pairs of replica and object of which a repair was begun.
    pub attempted: u64,
    /// Of those, stored by the replica.
    pub repaired: u64,
    /// Of those, not stored.
    pub failed: u64,
    /// Pairs that were left alone, because too much was under way.
    pub skipped: u64,
}

impl ReadRepairStats {
    /// All of it as metrics.
    fn readings() -> Vec<Reading<ReadRepairStats>> {
        type Metric = Reading<ReadRepairStats>;
        vec![
            Metric::counter(
                "read_repairs_attempted",
                "Pairs of an object and a replica that a read found lacking, and gave it to",
                |stats| stats.attempted,
            ),
            Metric::counter(
                "read_repairs_succeeded",
                "Objects that a replica which a read found lacking was given, and stored",
                |stats| stats.repaired,
            ),
            Metric::counter(
                "read_repairs_failed",
                "Objects that a replica which a read found lacking was given, and did not store",
                |stats| stats.failed,
            ),
            Metric::counter(
                "read_repairs_skipped",
                "Objects that a read found lacking and left to other repair, as too much was under way",
                |stats| stats.skipped,
            ),
        ]
    }
}

/// Gives objects to replicas that lack them.
pub(super) struct ReadRepair {
    writers: Writers,
    timeout: Duration,
    /// One permit a byte.
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    stats: Arc<Mutex<ReadRepairStats>>,
}

/// A repair under way. Dropped before its end, it counts as failed.
struct UnderWay {
    stats: Arc<Mutex<ReadRepairStats>>,
    left: u64,
    _room: OwnedSemaphorePermit,
}

impl UnderWay {
    fn done(&mut self, stored: Result<(), NodeError>, node_id: &NodeId) {
        self.left -= 1;
        let mut stats = self.stats.lock().expect("nothing panics while it counts");
        match stored {
            Ok(()) => stats.repaired += 1,
            Err(error) => {
                stats.failed += 1;
                tracing::debug!(node = %node_id, %error, "not repaired by a read");
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Ok(mut stats) = self.stats.lock() {
            stats.failed += self.left;
        }
    }
}

impl ReadRepair {
    pub(super) fn new(writers: Writers, timeout: Duration) -> Self {
        ReadRepair {
            writers,
            timeout,
            room: Arc::new(Semaphore::new(limits::READ_REPAIR_BYTES_IN_FLIGHT_MAX)),
            tasks: TaskTracker::new(),
            stats: Arc::default(),
        }
    }

    pub(super) fn stats(&self) -> ReadRepairStats {
        *self.stats.lock().expect("nothing panics while it counts")
    }

    /// Registers what came of it.
    pub(super) fn register(&self, registry: &mut Registry) {
        let stats = self.stats.clone();
        metrics::register(registry, ReadRepairStats::readings(), move || {
            *stats.lock().expect("nothing panics while it counts")
        });
    }

    pub(super) async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Gives `object` to those that the search for it found lacking.
    pub(super) fn give(&self, placement: &Placement, object: &Object, search: &Search) {
        let Some((nodes, mut under_way)) = self.begin(placement, search, object.data().len())
        else {
            return;
        };
        let (objects, timeout): (Arc<[Object]>, _) = ([object.clone()].into(), self.timeout);
        let giving = async move {
            for node in nodes {
                let stored = node.put(objects.clone(), timeout).await;
                let stored = stored.and_then(|mut answers| match answers.pop() {
                    Some(answer) => answer.map(drop).map_err(NodeError::from),
                    None => Err(NodeError::Protocol { reason: "no answer for a put".into() }),
                });
                under_way.done(stored, node.node_id());
            }
        };
        tokio::spawn(self.tasks.track_future(trace::carried(giving, Span::none())));
    }

    /// Gives a large object to those that the search for it found lacking; it is read from
    /// `from` once more.
    pub(super) fn give_large(
        &self,
        placement: &Placement,
        head: ObjectHead,
        from: Arc<dyn NodeReader>,
        search: &Search,
    ) {
        let bytes = limits::PART_BYTES_MAX * limits::LARGE_PARTS_IN_FLIGHT;
        let Some((nodes, mut under_way)) = self.begin(placement, search, bytes) else { return };
        let timeout = self.timeout;
        let giving = async move {
            for node in nodes {
                let stored = copy(&*from, &*node, head, timeout).await;
                under_way.done(stored, node.node_id());
            }
        };
        tokio::spawn(self.tasks.track_future(trace::carried(giving, Span::none())));
    }

    /// Who is to be given something, if there is room for it.
    fn begin(
        &self,
        placement: &Placement,
        search: &Search,
        bytes: usize,
    ) -> Option<(Vec<Arc<dyn NodeWriter>>, UnderWay)> {
        let damaged = search.failed.iter().filter_map(|(node_id, error)| match error {
            NodeError::Rejected(StoreError::Damaged { .. }) => Some(node_id),
            _ => None,
        });
        let replicas = placement.replicas(&search.id);
        let lacking = search.absent.iter().chain(damaged);
        let lacking: Vec<_> = lacking.filter(|node_id| replicas.contains(node_id)).collect();
        if lacking.is_empty() {
            return None;
        }
        let count = lacking.len() as u64;
        let bytes = bytes.max(limits::READ_REPAIR_BYTES_EACH_MIN);
        let permits = u32::try_from(bytes).expect("an object that is held whole is small");
        let room = self.room.clone().try_acquire_many_owned(permits);
        let mut stats = self.stats.lock().expect("nothing panics while it counts");
        let Ok(room) = room else {
            stats.skipped += count;
            return None;
        };
        stats.attempted += count;
        let writer = |node_id: &NodeId| {
            let member = placement.layout().member(node_id);
            (self.writers)(member.expect("replicas are members of their layout"))
        };
        let nodes = lacking.into_iter().map(writer).collect();
        Some((nodes, UnderWay { stats: self.stats.clone(), left: count, _room: room }))
    }
}

/// Copies a large object from one replica to another.
async fn copy(
    from: &dyn NodeReader,
    to: &dyn NodeWriter,
    head: ObjectHead,
    timeout: Duration,
) -> Result<(), NodeError> {
    let Some(mut reader) = from.get_large(head.id).await? else {
        return Err(NodeError::Protocol { reason: "it is gone from where it was read".into() });
    };
    let (sink, parts) = mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
    let pump = async move {
        // The end of the parts, come early or not, is judged by who stores them.
        while let Ok(Some(part)) = reader.next().await {
            if !matches!(tokio::time::timeout(timeout, sink.send(part)).await, Ok(Ok(()))) {
                return;
            }
        }
    };
    futures_util::future::join(pump, to.put_large(head, parts)).await.1.map(drop)
}
