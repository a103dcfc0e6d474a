//! Batched rounds: one confirmation of the leader serves all reads that wait for one.
//!
//! Invariant: a read is served by a round that began after the read did, so what was acknowledged
//! before the read is in what the round gives. A round that runs already when a read comes may have
//! asked the leader before something was acknowledged; such a read waits for the next one. So a member
//! has one round under way, and a read waits for two at most. (Ongaro's dissertation, section 6.4.)

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Rounds of one member.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// How many began.
    begun: AtomicU64,
    /// Held by whoever has the round that is under way; what came of the last one that ended.
    last: Mutex<Option<Round>>,
}

/// A round that ended.
#[derive(Debug)]
struct Round {
    /// How many had begun with it.
    number: u64,
    /// Up to which entry those it served must see; why not, where nobody confirmed it.
    index: Result<u64, String>,
}

impl Rounds {
    /// What a round gives that began after this was called: one that another read began, or one that
    /// `ask` makes here. Safe to drop: a round that is given up serves nobody, and who waits for it
    /// begins another.
    ///
    /// # Errors
    /// Why the round failed, or that it was not over in time.
    pub(super) async fn join(
        &self,
        until: Instant,
        ask: impl Future<Output = Result<u64, String>>,
    ) -> Result<u64, String> {
        // Numbers are given below, behind the lock; every one from here on is of a later round.
        let begun = self.begun.load(Ordering::SeqCst);
        let left = || until.saturating_duration_since(Instant::now());
        let late = |_| "the leader was not confirmed in time".to_owned();
        let mut last = timeout(left(), self.last.lock()).await.map_err(late)?;
        if let Some(round) = &*last
            && round.number > begun
        {
            return round.index.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let index = timeout(left(), ask).await.map_err(late).flatten();
        // What failed when this read's time was over may have failed for want of it: others have more.
        if index.is_ok() || !left().is_zero() {
            *last = Some(Round { number, index: index.clone() });
        }
        index
    }
}
