//! How many second attempts a peer's requests may have.
//!
//! A token bucket, as in Finagle's `RetryBudget` and gRPC's retry throttling (proposal A6):
//! every request puts a fraction of a token in, every second attempt takes a whole one out,
//! and a little trickles in with time, for a peer that is asked seldom. While all is well
//! the bucket is full, so that all requests on a connection that breaks may be repeated;
//! in an outage that lasts, second attempts fall to a fixed share of the first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gitstratum_core::limits;
use tokio::time::Instant;

/// A token, in the unit of the bucket.
const TOKEN: u64 = 1000;
const CAPACITY: u64 = limits::RETRY_TOKENS_MAX * TOKEN;

/// The bucket of one peer.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// Thousandths of a token.
    level: AtomicU64,
    /// When the trickle was last let in.
    trickled: Mutex<Instant>,
}

impl RetryBudget {
    /// A full bucket.
    pub(super) fn new(now: Instant) -> Self {
        RetryBudget { level: AtomicU64::new(CAPACITY), trickled: Mutex::new(now) }
    }

    /// A request begins.
    pub(super) fn deposit(&self) {
        // Full nearly always: then nothing is written.
        if self.level.load(Ordering::Relaxed) < CAPACITY {
            self.add(TOKEN * limits::RETRY_PERCENT / 100);
        }
    }

    /// Takes a token for a second attempt, if there is one.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        {
            let mut trickled = self.trickled.lock().expect("nothing panics while it looks");
            let ms = now.saturating_duration_since(*trickled).as_millis();
            *trickled = now;
            let per_ms = TOKEN * limits::RETRIES_PER_SECOND_MIN / 1000;
            self.add(u64::try_from(ms).unwrap_or(u64::MAX).saturating_mul(per_ms));
        }
        let taken = self
            .level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| level.checked_sub(TOKEN));
        taken.is_ok()
    }

    fn add(&self, amount: u64) {
        let raised = |level: u64| Some(level.saturating_add(amount).min(CAPACITY));
        let _ = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised);
    }
}
