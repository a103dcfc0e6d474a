//! Control without a lease.
//!
//! A sweep that deletes every chunk without an owner, those of pushes under way too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gitstratum::catalog::Participant;
use gitstratum_core::limits;
use gitstratum_store::{SegmentStore, Store};
use tokio::time::sleep;

use crate::chunks::{held, owned};

/// Between two sweeps: less than a push takes, so that a run of seconds has some in the middle of
/// pushes.
const INTERVAL: Duration = Duration::from_millis(20);

/// Sweeps a node's store again and again; never ends.
pub async fn sweep_without_lease(store: Arc<SegmentStore>, participant: Arc<Participant>) {
    // A chunk that has an owner keeps it: in no run packs are dropped.
    let mut known = BTreeSet::new();
    loop {
        sleep(INTERVAL).await;
        // Another time, where the catalog or the store does not answer.
        let Ok(owned) = participant.read(limits::CATALOG_REQUEST_TIMEOUT, owned).await else {
            continue;
        };
        let Ok(chunks) = held(&store, &known).await else { continue };
        for chunk in chunks {
            if owned.contains(&chunk.pack) {
                known.insert(chunk.id);
            } else {
                let _ = store.delete(&[chunk.id]).await;
            }
        }
    }
}
