//! Store inspection: of which packs each node holds chunks, and which packs the catalog has.
//!
//! A store is looked into within the node's own process, because over the network nobody lists one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_store::SegmentStore;
use tokio::sync::{mpsc, oneshot};

use super::{Cluster, Run};
use crate::chunks::{held, owned};
use crate::trace::{Event, HeldPack};

/// Questions that wait for a node; there is one at a time.
const QUESTIONS_WAITING: usize = 1;

/// Where to say what a store holds of packs.
type Question = oneshot::Sender<Result<Vec<HeldPack>, String>>;

/// Where one process of a node is asked what its store holds of packs.
pub(super) type Holdings = mpsc::Sender<Question>;

/// Answers for a process what it holds of packs; called within that process, and ends with it.
pub(super) fn of(store: Arc<SegmentStore>) -> Holdings {
    let (questions, mut receiver) = mpsc::channel::<Question>(QUESTIONS_WAITING);
    tokio::spawn(async move {
        while let Some(answer) = receiver.recv().await {
            let packs = held_packs(&store).await;
            // The world may have given up waiting.
            let _ = answer.send(packs);
        }
    });
    questions
}

async fn held_packs(store: &SegmentStore) -> Result<Vec<HeldPack>, String> {
    let chunks = held(store, &BTreeSet::new()).await.map_err(|error| error.to_string())?;
    let mut packs = BTreeMap::new();
    for chunk in chunks {
        *packs.entry((chunk.pack, chunk.repository)).or_default() += 1;
    }
    let held = |((pack, repository), chunks): ((PackId, RepositoryId), u64)| HeldPack {
        pack: pack.to_string(),
        repository: repository.0,
        chunks,
    };
    Ok(packs.into_iter().map(held).collect())
}

/// Records which packs the catalog has, and of which packs each node holds chunks, when the time is
/// over in which stores are swept.
pub(super) async fn observe(run: &Run, cluster: &Cluster) -> Result<(), String> {
    if run.plan.swept_within().is_none() {
        return Ok(());
    }
    let known = cluster.nodes.keys().find_map(|node| {
        let packs = cluster.participant(node)?.with_local(owned)?;
        Some((node, packs.iter().map(ToString::to_string).collect()))
    });
    let (node, packs) = known.ok_or("no node has the catalog")?;
    run.recorder.record(node, Event::PacksOwned { packs });
    for node in cluster.nodes.keys() {
        let packs = ask(cluster, node).await.map_err(|reason| format!("{node}: {reason}"))?;
        run.recorder.record(node, Event::PacksHeld { packs });
    }
    Ok(())
}

async fn ask(cluster: &Cluster, node: &str) -> Result<Vec<HeldPack>, String> {
    let holdings = cluster.changes().holdings.get(node).cloned();
    let gone = || "the process is gone".to_owned();
    let (answer, answered) = oneshot::channel();
    holdings.ok_or_else(gone)?.send(answer).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}
