//! What a store does by itself: it notes how far it has come, compacts when there is enough
//! garbage, and scrubs when it is time or an operator says so. One after the other, at a set rate,
//! and never while a put waits for them.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::replica::StoreError;
use tokio::time::{Instant, sleep_until};

use crate::state::scrub::orders::Schedule;
use crate::{CompactOptions, SegmentStore, Store};

/// How a store is maintained.
#[derive(Clone, Copy, Debug)]
pub struct Maintenance {
    /// What is worth compacting, and how fast all of this may read.
    pub compact: CompactOptions,
    /// Between the beginnings of two scrubs, over all restarts; `None` for none but those
    /// that are ordered. An interrupted one goes on when it is first looked.
    pub scrub_interval: Option<Duration>,
    /// How often it is looked whether there is something to do.
    pub look_interval: Duration,
}

/// Looks now and then how much room there is, so that what is said of puts is true while nobody
/// puts, until the store is closed.
pub async fn watch_room(store: Arc<SegmentStore>) {
    while !store.shared.naming.is_closed() {
        tokio::time::sleep(limits::ROOM_LOOK_INTERVAL).await;
        if let Err(error) = store.shared.look_at_room().await {
            tracing::debug!(%error, "cannot tell how much room the disk has");
        }
    }
}

impl SegmentStore {
    /// Looks how much room there is before [`Store::stats`] is asked, or gives it up soon.
    pub async fn look_at_room(&self) {
        // What is not known now is known from the last time.
        let _ = tokio::time::timeout(limits::ROOM_LOOK_TIMEOUT, self.shared.look_at_room()).await;
    }
}

/// Maintains a store until it is closed.
pub async fn maintain(store: Arc<SegmentStore>, how: Maintenance) {
    let schedule = Schedule {
        interval: how.scrub_interval,
        first_early: how.scrub_interval.map_or(Duration::ZERO, |interval| early(&store, interval)),
        bytes_per_second: how.compact.bytes_per_second,
    };
    store.follow_schedule(schedule).await;
    let mut look_at = Instant::now() + how.look_interval;
    loop {
        let ordered = tokio::select! {
            biased;
            () = store.shared.scrubs.ordered() => true,
            () = sleep_until(look_at) => false,
        };
        if !ordered {
            look_at = Instant::now() + how.look_interval;
            // The clock may have been set meanwhile.
            store.follow_schedule(schedule).await;
            // So that what was appended is known to have been there, should it be lost.
            if let Err(error) = store.shared.keep_manifest().await
                && !matches!(error, StoreError::Closed | StoreError::Failed { .. })
            {
                tracing::warn!(%error, "the manifest will be written later");
            }
            if let Err(StoreError::Closed) = compact(&store, how.compact).await {
                return;
            }
        }
        store.forget_cancelled().await;
        if store.scrub_is_due()
            && let Err(StoreError::Closed) = scrub(&store, how.compact.bytes_per_second).await
        {
            return;
        }
    }
}

async fn compact(store: &SegmentStore, options: CompactOptions) -> Result<(), StoreError> {
    if store.stats().garbage_bytes == 0 {
        return Ok(());
    }
    let compacted = store.compact(options).await;
    match &compacted {
        Ok(done) if done.segments > 0 => tracing::info!(
            segments = done.segments,
            freed_bytes = done.bytes_before.saturating_sub(done.bytes_after),
            "compacted"
        ),
        // What failed was told when it did; scrub reads on all the same.
        Ok(_) | Err(StoreError::Closed | StoreError::Failed { .. }) => {}
        Err(error) => tracing::warn!(%error, "compaction will be tried again"),
    }
    compacted.map(drop)
}

async fn scrub(store: &SegmentStore, bytes_per_second: Option<u64>) -> Result<(), StoreError> {
    let scrubbed = store.scrub(bytes_per_second).await;
    match &scrubbed {
        Ok(done) if done.whole => {
            let crate::ScrubCounts { records, bytes, damaged } = done.counts;
            tracing::info!(records, bytes, damaged, "scrubbed");
        }
        Ok(_) | Err(StoreError::Closed) => {}
        Err(error) => tracing::warn!(%error, "scrub will go on later"),
    }
    scrubbed.map(drop)
}

/// So much sooner than after an interval this store's first scrub begins: up to a quarter,
/// by its node's name, so that the nodes of a cluster that were started together do not all
/// read at once.
fn early(store: &SegmentStore, interval: Duration) -> Duration {
    let name = crc32c::crc32c(store.shared.options.node_id.as_str().as_bytes());
    interval.mul_f64(f64::from(name) / f64::from(u32::MAX) / 4.0)
}
