//! Deferred writes behind an open circuit.
//!
//! Replicas that are not sent to because their circuit is open, and when they are after all.
//!
//! Invariant: no write fails for want of a replica that was not asked. A replica in reserve
//! is sent to as soon as another failed, as too many are in reserve, or as W is long in
//! coming.

use std::sync::atomic::{AtomicUsize, Ordering};

use gitstratum_core::limits;
use tokio_util::sync::CancellationToken;

/// What the replicas of one write tell each other.
#[derive(Debug)]
pub(super) struct Reserve {
    /// Replicas that the write can do without: N - W.
    dispensable: usize,
    /// Replicas in reserve.
    waiting: AtomicUsize,
    needed: CancellationToken,
    decided: CancellationToken,
}

impl Reserve {
    pub(super) fn new(replicas: usize, needed: usize) -> Self {
        Reserve {
            dispensable: replicas - needed,
            waiting: AtomicUsize::new(0),
            needed: CancellationToken::new(),
            decided: CancellationToken::new(),
        }
    }

    /// Another replica failed: whoever is in reserve is needed.
    pub(super) fn call_up(&self) {
        self.needed.cancel();
    }

    /// Every object is decided: whoever is in reserve is not needed any more.
    pub(super) fn dismiss(&self) {
        self.decided.cancel();
    }

    /// Waits in reserve; says whether it is needed.
    pub(super) async fn wait(&self) -> bool {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= self.dispensable {
            self.call_up();
        }
        tokio::select! {
            biased;
            () = self.decided.cancelled() => false,
            () = self.needed.cancelled() => true,
            () = tokio::time::sleep(limits::HEDGE_AFTER) => true,
        }
    }
}
