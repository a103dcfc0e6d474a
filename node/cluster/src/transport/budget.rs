//! Retry budget.
//!
//! How many second attempts a peer's requests may have.
//!
//! A token bucket, as in Finagle's `RetryBudget` and gRPC's retry throttling (proposal A6):
//! every request puts a fraction of a token in, every second attempt takes a whole one out,
//! and a little trickles in with time, for a peer that is asked seldom. While all is well
//! the bucket is full, so that all requests on a connection that breaks may be repeated;
//! in an outage that lasts, second attempts fall to a fixed share of the first.

use std::sync::Mutex;

use gitstratum_core::limits;
use gitstratum_core::token_bucket::{TOKEN, TokenBucket};
use tokio::time::Instant;

/// The bucket of one peer.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: TokenBucket,
    /// When the trickle was last let in.
    trickled: Mutex<Instant>,
}

impl RetryBudget {
    /// A full bucket.
    pub(super) fn new(now: Instant) -> Self {
        let tokens = TokenBucket::full(limits::RETRY_TOKENS_MAX);
        RetryBudget { tokens, trickled: Mutex::new(now) }
    }

    /// A request begins.
    pub(super) fn deposit(&self) {
        self.tokens.earn(TOKEN * limits::RETRY_PERCENT / 100);
    }

    /// Takes a token for a second attempt, if there is one.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        {
            let mut trickled = self.trickled.lock().expect("nothing panics while it looks");
            let ms = now.saturating_duration_since(*trickled).as_millis();
            *trickled = now;
            let per_ms = TOKEN * limits::RETRIES_PER_SECOND_MIN / 1000;
            self.tokens.earn(u64::try_from(ms).unwrap_or(u64::MAX).saturating_mul(per_ms));
        }
        self.tokens.spend()
    }
}
