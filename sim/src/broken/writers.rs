//! Control writers.
//!
//! Writers for which W replicas are enough, and what the others get is nobody's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use gitstratum_cluster::quorum::decorate::{Call, Layer, Put};
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Durability, NodeError, NodeWriter, StoreError, Stored};
use tokio::sync::Notify;

/// When the replicas beyond W are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neglect {
    /// Only the first W that are written to are sent anything.
    Unsent,
    /// What was not acknowledged when W were is dropped.
    Cancelled,
}

/// What the replicas of one client have in common.
pub struct Quorum {
    neglect: Neglect,
    write_quorum: usize,
    /// Who was sent each object, or acknowledged it.
    counted: Mutex<BTreeMap<ObjectId, BTreeSet<NodeId>>>,
    /// Told when somebody acknowledged something.
    acknowledged: Notify,
}

impl Quorum {
    /// Of a client that answers at `write_quorum`.
    pub fn new(neglect: Neglect, write_quorum: usize) -> Arc<Self> {
        let (counted, acknowledged) = (Mutex::default(), Notify::new());
        Arc::new(Quorum { neglect, write_quorum, counted, acknowledged })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectId, BTreeSet<NodeId>>> {
        self.counted.lock().expect("nothing panics while it counts")
    }

    fn count(&self, ids: &[ObjectId], node_id: &NodeId) {
        let mut counted = self.lock();
        for id in ids {
            counted.entry(*id).or_default().insert(node_id.clone());
        }
    }

    /// Whether W others were counted for all of these.
    fn has_enough_others(&self, ids: &[ObjectId], node_id: &NodeId) -> bool {
        let counted = self.lock();
        ids.iter().all(|id| {
            let others = counted.get(id).into_iter().flatten().filter(|other| *other != node_id);
            others.count() >= self.write_quorum
        })
    }

    async fn enough_others(&self, ids: &[ObjectId], node_id: &NodeId) {
        loop {
            let mut acknowledged = std::pin::pin!(self.acknowledged.notified());
            // Registered before looking, so that nothing falls between the two.
            acknowledged.as_mut().enable();
            if self.has_enough_others(ids, node_id) {
                return;
            }
            acknowledged.await;
        }
    }
}

/// What is around a replica that may be forgotten.
#[derive(Clone)]
pub struct FirstWritesOnly {
    quorum: Arc<Quorum>,
}

impl FirstWritesOnly {
    /// Around a replica of that client.
    pub fn of(quorum: Arc<Quorum>) -> Self {
        FirstWritesOnly { quorum }
    }
}

/// As if it was stored: so no counter tells, only what is missing.
pub(super) fn pretended(bytes: u64) -> Stored {
    Stored { bytes, durability: Durability::Synced, already_present: false }
}

impl Layer for FirstWritesOnly {
    async fn put<N: NodeWriter + Clone + 'static>(
        &self,
        call: Put<'_, N>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let (quorum, node_id) = (&*self.quorum, call.to.node_id());
        let ids: Vec<_> = call.objects.iter().map(Object::id).collect();
        let sizes = call.objects.iter().map(Object::size_bytes);
        let neglected = sizes.map(|bytes| Ok(pretended(bytes))).collect();
        if quorum.neglect == Neglect::Unsent {
            if quorum.has_enough_others(&ids, node_id) {
                return Ok(neglected);
            }
            quorum.count(&ids, node_id);
            return call.send().await;
        }
        tokio::select! {
            biased;
            answers = call.send() => {
                let answers = answers?;
                let stored = ids.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
                let stored: Vec<_> = stored.map(|(id, _)| *id).collect();
                quorum.count(&stored, node_id);
                quorum.acknowledged.notify_waiters();
                Ok(answers)
            }
            () = quorum.enough_others(&ids, node_id) => Ok(neglected),
        }
    }
}
