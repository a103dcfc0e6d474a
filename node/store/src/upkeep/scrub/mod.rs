//! Scrub: everything is read at a set rate, and its checksums and hashes are verified.
//!
//! It goes from the large objects to the oldest segment and on to the newest ([`pass`]), and
//! keeps how far it has come in a small file (`state/scrub/memory.rs`), so that it goes on there after a
//! restart or a pause (`state/scrub/orders.rs`). A paused scrub is one that was interrupted and does not go
//! on: it holds nothing that compaction, a snapshot or closing would wait for, and reads the
//! segment again in which it stopped.

mod pass;

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::StoreError;
use gitstratum_host::unix_time_ms;

use crate::state::scrub::memory::{Mark, ScrubCounts};
use crate::state::scrub::numbers::ScrubNumbers;
use crate::state::scrub::orders::Schedule;
use crate::state::shared::Shared;

use crate::state::view::View;
use pass::{Pass, Stop};

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// It came to its end; or else an order stopped it before.
    pub whole: bool,
    /// What it met, with what it had met before it was interrupted.
    pub counts: ScrubCounts,
    /// What is damaged, and how: the latest, at most `limits::SCRUB_DAMAGED_NAMED_MAX`, since
    /// the store was opened.
    pub damaged: Vec<(ObjectId, String)>,
}

/// Reads everything once, from where an interrupted scrub stopped, at most so many bytes
/// in a second. Dropping the future stops it; the next one goes on there.
///
/// # Errors
/// When the disk fails in another way than by damaged data, or the store is closed.
pub(crate) async fn scrub(
    shared: &Arc<Shared>,
    bytes_per_second: Option<u64>,
) -> Result<Scrubbed, StoreError> {
    let _alone = shared.maintenance.lock().await;
    let scrubs = &shared.scrubs;
    forget_cancelled(shared).await;
    let Some((_under_way, begun)) = scrubs.begin(unix_time_ms()) else {
        return Ok(Scrubbed::default());
    };
    shared.scrubs.save().await;
    let mut pass = Pass::new(shared, bytes_per_second, begun.counts);
    let whole = match pass.run(begun.mark).await {
        Ok(()) => true,
        Err(Stop::Told) => false,
        Err(Stop::Failed(error)) => {
            scrubs.failed(error.to_string());
            return Err(error);
        }
    };
    let counts = pass.counts();
    let damaged = scrubs.named();
    if whole {
        scrubs.ended(begun, counts, unix_time_ms());
        shared.scrubs.save().await;
    }
    forget_cancelled(shared).await;
    Ok(Scrubbed { whole, counts, damaged })
}

/// How far scrub is, and when the next is due.
pub(crate) fn scrub_numbers(shared: &Shared) -> ScrubNumbers {
    let scrubs = &shared.scrubs;
    let bytes_behind = bytes_behind(&shared.view(), scrubs.mark());
    let mut numbers = scrubs.numbers(bytes_behind, unix_time_ms());
    // What was put again since is no longer called damaged.
    let view = shared.view();
    let all_listed = view.bad.len() < limits::QUARANTINED_MAX;
    let is_damaged = |id: &ObjectId| view.bad(id).map_or(!all_listed, |bad| !bad.healed);
    numbers.damaged.retain(|(id, _)| is_damaged(id));
    drop(view);
    numbers
}

/// Has scrubs begin by themselves as this says.
pub(super) async fn follow_schedule(shared: &Shared, schedule: Schedule) {
    if shared.scrubs.follow(schedule, unix_time_ms()) {
        shared.scrubs.save().await;
    }
}

/// Does what an order to cancel says of a scrub that does not read.
pub(super) async fn forget_cancelled(shared: &Shared) {
    if shared.scrubs.take_cancel() {
        shared.scrubs.save().await;
    }
}

/// What is still to be read behind a mark.
fn bytes_behind(view: &View, mark: Option<Mark>) -> u64 {
    let large: u64 = match mark {
        Some(Mark::Segment(_)) => 0,
        Some(Mark::Large(done)) => {
            let behind = (std::ops::Bound::Excluded(done), std::ops::Bound::Unbounded);
            view.large.range(behind).map(|(_, len)| len).sum()
        }
        None => view.large.values().sum(),
    };
    let behind = |number: u32| !matches!(mark, Some(Mark::Segment(done)) if number <= done);
    let sealed = view.sealed.iter().filter(|sealed| behind(sealed.id().last));
    let sealed: u64 = sealed.map(|sealed| sealed.disk_bytes()).sum();
    let unsealed = view.frozen.iter().map(|frozen| &**frozen).chain(view.active.iter());
    let unsealed = unsealed.filter(|segment| behind(segment.id.last));
    large + sealed + unsealed.map(|segment| segment.len).sum::<u64>()
}
