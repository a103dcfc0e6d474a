//! Rate limit of wrong secrets, by the address that they come from.
//!
//! Nobody finds a secret by guessing. What is limited is the work that guesses make: for each, the
//! node asks the others whether it has missed a new token. So a secret that is known is let in
//! however many wrong ones came from its address, and nobody is locked out by a neighbour.
//!
//! Invariant: a fixed number of addresses is remembered. Where more come, the one that was heard of
//! longest ago is forgotten, and begins anew.

use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clru::CLruCache;
use gitstratum_core::limits::{
    WRONG_SECRET_INTERVAL, WRONG_SECRET_SOURCES_MAX, WRONG_SECRETS_AT_ONCE,
};
use gitstratum_core::token_bucket::{TOKEN, TokenBucket};
use tokio::time::Instant;

/// What an address may still do.
struct Budget {
    bucket: TokenBucket,
    earned_at: Instant,
}

impl Budget {
    fn full() -> Self {
        Budget { bucket: TokenBucket::full(WRONG_SECRETS_AT_ONCE), earned_at: Instant::now() }
    }

    fn earn(&mut self) {
        let elapsed_ms = self.earned_at.elapsed().as_millis() as u64;
        let thousandths = elapsed_ms * TOKEN / WRONG_SECRET_INTERVAL.as_millis() as u64;
        // What does not come to one is left for the next time.
        if thousandths > 0 {
            self.bucket.earn(thousandths);
            self.earned_at = Instant::now();
        }
    }
}

/// That an address has paid for a secret which is not known.
#[derive(Debug)]
pub struct Paid(IpAddr);

/// Limits wrong secrets.
pub struct Limiter(Mutex<CLruCache<IpAddr, Budget, RandomState>>);

impl Default for Limiter {
    fn default() -> Self {
        let sources = NonZeroUsize::new(WRONG_SECRET_SOURCES_MAX).unwrap_or(NonZeroUsize::MIN);
        Limiter(Mutex::new(CLruCache::new(sources)))
    }
}

impl Limiter {
    /// Takes one from what the address `IP:PORT` may do.
    ///
    /// # Errors
    /// After how long it may again.
    pub(super) fn pay(&self, address: &str) -> Result<Paid, Duration> {
        self.pay_for(source_of(address))
    }

    /// The same, for what is no address of one connection but of whom it comes from, as
    /// addresses count.
    ///
    /// # Errors
    /// After how long it may again.
    pub fn pay_for(&self, source: IpAddr) -> Result<Paid, Duration> {
        self.with(source, |budget| {
            budget.earn();
            match budget.bucket.spend() {
                true => Ok(Paid(source)),
                false => Err(WRONG_SECRET_INTERVAL),
            }
        })
    }

    /// Gives it back: the secret was a good one.
    pub fn pay_back(&self, Paid(source): Paid) {
        self.with(source, |budget| budget.bucket.earn(TOKEN));
    }

    fn with<T>(&self, source: IpAddr, change: impl FnOnce(&mut Budget) -> T) -> T {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = sources.get_mut(&source) {
            return change(budget);
        }
        let mut budget = Budget::full();
        let changed = change(&mut budget);
        sources.put(source, budget);
        changed
    }
}

/// Whose an address `IP:PORT` is: of IPv6, the first half is one customer's. What is none counts as one.
pub fn source_of(address: &str) -> IpAddr {
    let parsed = address.parse::<SocketAddr>().map(|address| address.ip().to_canonical());
    match parsed.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        IpAddr::V6(address) => {
            let customer = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(customer))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_pays_for_itself_alone_and_earns_with_time() {
        let limiter = Limiter::default();
        let pays = |address: &str| limiter.pay(address).is_ok();
        for at in 0..WRONG_SECRETS_AT_ONCE {
            assert!(pays(&format!("10.0.0.1:{}", 1000 + at)), "whatever its port");
        }
        assert_eq!(limiter.pay("10.0.0.1:1").unwrap_err(), WRONG_SECRET_INTERVAL);
        assert!(!pays("[::ffff:10.0.0.1]:1"), "nor in another notation");
        let paid = limiter.pay("10.0.0.2:1").unwrap();
        limiter.pay_back(paid);
        let source = source_of("10.0.0.1:1");
        limiter.with(source, |budget| {
            budget.earned_at = budget.earned_at.checked_sub(WRONG_SECRET_INTERVAL).unwrap();
        });
        assert!(pays("10.0.0.1:1") && !pays("10.0.0.1:1"));
    }

    #[tokio::test]
    async fn what_is_remembered_of_addresses_is_bounded() {
        let limiter = Limiter::default();
        for network in 0..2 * WRONG_SECRET_SOURCES_MAX {
            assert!(limiter.pay(&format!("[2001:db8:0:{network:x}::1]:1")).is_ok());
        }
        assert_eq!(limiter.0.lock().unwrap().len(), WRONG_SECRET_SOURCES_MAX);
        // All of a customer's addresses are one.
        for host in 1..=WRONG_SECRETS_AT_ONCE {
            assert!(limiter.pay(&format!("[2001:db8:ffff:1::{host:x}]:1")).is_ok());
        }
        assert!(limiter.pay("[2001:db8:ffff:1:ffff::1]:1").is_err());
        assert_eq!(source_of("client"), source_of("another"));
    }
}
