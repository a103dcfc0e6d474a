//! Token bucket: a budget that is earned in fractions and spent in whole tokens.
//!
//! Invariant: it never has more than its capacity. Where it is full, nothing is written, so that
//! those who earn all the time do not share a line of the cache.

use std::sync::atomic::{AtomicU64, Ordering};

/// A token, in the unit in which it is earned.
pub const TOKEN: u64 = 1000;

/// A bucket that many tasks share.
#[derive(Debug)]
pub struct TokenBucket {
    /// Thousandths of a token.
    level: AtomicU64,
    capacity: u64,
}

impl TokenBucket {
    /// A full one of so many tokens.
    pub fn full(tokens: u64) -> Self {
        let capacity = tokens * TOKEN;
        TokenBucket { level: AtomicU64::new(capacity), capacity }
    }

    /// Puts so many thousandths of a token in, as far as there is room.
    pub fn earn(&self, thousandths: u64) {
        let raised = |level: u64| {
            let raised = level.saturating_add(thousandths).min(self.capacity);
            (raised > level).then_some(raised)
        };
        let _ = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised);
    }

    /// Takes a token, if there is one.
    pub fn spend(&self) -> bool {
        let spent = |level: u64| level.checked_sub(TOKEN);
        self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_earned_is_spent_in_whole_tokens_and_no_more_than_it_holds() {
        let bucket = TokenBucket::full(2);
        bucket.earn(u64::MAX);
        assert!(bucket.spend() && bucket.spend() && !bucket.spend());
        bucket.earn(TOKEN - 1);
        assert!(!bucket.spend());
        bucket.earn(1);
        assert!(bucket.spend() && !bucket.spend());
    }
}
