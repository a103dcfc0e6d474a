//! What a store does by itself: compaction when there is enough garbage, scrub when it is
//! time. One after the other, at a set rate, and never while a put waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{CompactOptions, SegmentStore, Store, StoreError};

/// How often it is looked whether there is something to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How a store is maintained.
#[derive(Clone, Copy, Debug)]
pub struct Maintenance {
    /// What is worth compacting, and how fast all of this may read.
    pub compact: CompactOptions,
    /// Between the beginnings of two scrubs; `None` for none. An interrupted scrub goes on
    /// after the first interval.
    pub scrub_interval: Option<Duration>,
}

/// Maintains a store until it is closed or fails.
pub async fn maintain(store: Arc<SegmentStore>, how: Maintenance) {
    let mut scrubbed = Instant::now();
    loop {
        sleep(LOOK_INTERVAL).await;
        if store.stats().garbage_bytes > 0 {
            match store.compact(how.compact).await {
                Ok(done) if done.segments > 0 => tracing::info!(
                    segments = done.segments,
                    freed_bytes = done.bytes_before.saturating_sub(done.bytes_after),
                    "compacted"
                ),
                Ok(_) => {}
                Err(StoreError::Closed | StoreError::Failed { .. }) => return,
                Err(error) => tracing::warn!(%error, "compaction will be tried again"),
            }
        }
        if how.scrub_interval.is_some_and(|interval| scrubbed.elapsed() >= interval) {
            scrubbed = Instant::now();
            match store.scrub(how.compact.bytes_per_second).await {
                Ok(done) => {
                    let (records, damaged) = (done.records, done.damaged.len());
                    tracing::info!(records, bytes = done.bytes, damaged, "scrubbed");
                }
                Err(StoreError::Closed) => return,
                Err(error) => tracing::warn!(%error, "scrub will go on later"),
            }
        }
    }
}
