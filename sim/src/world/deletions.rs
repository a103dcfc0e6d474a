//! Bulk deletion.
//!
//! Deletion, as garbage collection would have it: each node is told in its own process which
//! objects to delete, for over the network nobody deletes.

use std::sync::Arc;

use futures_util::future::join_all;
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::Deleted;
use gitstratum_store::Store;
use rand_chacha::ChaCha12Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::{Cluster, Run};
use crate::trace::Event;

/// Orders that wait for a node; steps give few.
const ORDERS_WAITING: usize = 16;

/// What to delete, and where to say what came of it.
type Order = (Vec<ObjectId>, oneshot::Sender<Result<Deleted, String>>);

/// Where one process of a node is told.
pub(super) type Deletions = mpsc::Sender<Order>;

/// Has what a process stores deleted as it is told; called within that process, and ends
/// with it.
pub(super) fn of(store: Arc<dyn Store>) -> Deletions {
    let (orders, mut receiver) = mpsc::channel::<Order>(ORDERS_WAITING);
    tokio::spawn(async move {
        while let Some((ids, answer)) = receiver.recv().await {
            let deleted = store.delete(&ids).await.map_err(|error| error.to_string());
            // The world may have given up waiting.
            let _ = answer.send(deleted);
        }
    });
    orders
}

/// Deletes such a share of what was acknowledged on every node that runs, once whatever
/// asked for it is over, and records what came of it.
pub(super) async fn delete(run: &Run, cluster: &Cluster, share: f64, rng: &mut ChaCha12Rng) {
    let condemned = run.ledger.condemn(share, rng);
    let deletion = {
        let mut changes = cluster.changes();
        changes.condemned += 1;
        changes.condemned - 1
    };
    let ids = condemned.iter().map(|known| known.id.to_string()).collect();
    run.recorder.record("world", Event::Condemned { deletion, ids });
    sleep(*run.plan.workload.request_timeout).await;
    let ids: Vec<ObjectId> = condemned.iter().map(|known| known.id).collect();
    let running = cluster.nodes.keys().filter(|name| cluster.is_running(name));
    let told = running.map(|name| {
        let ids = ids.clone();
        async move {
            let event = match tell(cluster, name, ids).await {
                Ok(Deleted { objects, .. }) => Event::Deleted { deletion, objects },
                Err(reason) => Event::NotDeleted { deletion, reason },
            };
            run.recorder.record(name, event);
        }
    });
    join_all(told.collect::<Vec<_>>()).await;
    run.ledger.doubt(&condemned);
}

async fn tell(cluster: &Cluster, name: &str, ids: Vec<ObjectId>) -> Result<Deleted, String> {
    let deletions = cluster.changes().deletions.get(name).cloned();
    let gone = || "the process is gone".to_owned();
    let (answer, answered) = oneshot::channel();
    let sent = deletions.ok_or_else(gone)?.send((ids, answer)).await;
    sent.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}
