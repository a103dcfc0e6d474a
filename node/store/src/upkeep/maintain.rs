//! What a store does by itself: it notes how far it has come, compacts when there is enough
//! garbage, and scrubs when it is time or an operator says so. One after the other, at a set rate,
//! and never while a put waits for them.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::replica::StoreError;
use gitstratum_host::unix_time_ms;
use tokio::time::{Instant, sleep_until};

use super::compact::{CompactOptions, compact};
use super::scrub::{follow_schedule, forget_cancelled, scrub};
use crate::state::scrub::memory::ScrubCounts;
use crate::state::scrub::orders::Schedule;
use crate::state::shared::Shared;

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

/// Looks now and then how much room there is, until the store is closed.
pub(crate) async fn watch_room(shared: &Shared) {
    while !shared.naming.is_closed() {
        tokio::time::sleep(limits::ROOM_LOOK_INTERVAL).await;
        if let Err(error) = shared.health.look_at_room().await {
            tracing::debug!(%error, "cannot tell how much room the disk has");
        }
    }
}

/// Maintains a store until it is closed.
pub(crate) async fn maintain(shared: &Arc<Shared>, how: Maintenance) {
    let schedule = Schedule {
        interval: how.scrub_interval,
        first_early: how.scrub_interval.map_or(Duration::ZERO, |interval| early(shared, interval)),
        bytes_per_second: how.compact.bytes_per_second,
    };
    follow_schedule(shared, schedule).await;
    let mut look_at = Instant::now() + how.look_interval;
    loop {
        let ordered = tokio::select! {
            biased;
            () = shared.scrubs.ordered() => true,
            () = sleep_until(look_at) => false,
        };
        if !ordered {
            look_at = Instant::now() + how.look_interval;
            // The clock may have been set meanwhile.
            follow_schedule(shared, schedule).await;
            // So that what was appended is known to have been there, should it be lost.
            if let Err(error) = shared.manifest.keep().await
                && !matches!(error, StoreError::Closed | StoreError::Failed { .. })
            {
                tracing::warn!(%error, "the manifest will be written later");
            }
            if let Err(StoreError::Closed) = compact_if_worth_it(shared, how.compact).await {
                return;
            }
        }
        forget_cancelled(shared).await;
        if shared.scrubs.is_due(unix_time_ms())
            && let Err(StoreError::Closed) =
                scrub_and_log(shared, how.compact.bytes_per_second).await
        {
            return;
        }
    }
}

async fn compact_if_worth_it(
    shared: &Arc<Shared>,
    options: CompactOptions,
) -> Result<(), StoreError> {
    if shared.stats().garbage_bytes == 0 {
        return Ok(());
    }
    let compacted = compact(shared, options).await;
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

async fn scrub_and_log(
    shared: &Arc<Shared>,
    bytes_per_second: Option<u64>,
) -> Result<(), StoreError> {
    let scrubbed = scrub(shared, bytes_per_second).await;
    match &scrubbed {
        Ok(done) if done.whole => {
            let ScrubCounts { records, bytes, damaged } = done.counts;
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
fn early(shared: &Shared, interval: Duration) -> Duration {
    let name = crc32c::crc32c(shared.options.node_id.as_str().as_bytes());
    interval.mul_f64(f64::from(name) / f64::from(u32::MAX) / 4.0)
}
