//! Repair rate limit.
//!
//! What repair may take: bytes in a second, and operations at a time; less while clients feel
//! it, and nothing while an operator has paused it.
//!
//! Whoever asks first goes first. What was asked for and then given up counts all the same:
//! the rate is a bound, not a goal.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::metrics::{self, Reading, Registry, Unit};
use gitstratum_core::throttle::Throttle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::throttling::{ClientLatency, Share};

/// A budget. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bytes_per_second: u64,
    pace: Mutex<Pace>,
    operations: Arc<Semaphore>,
    paused: AtomicBool,
    resumed: Notify,
    /// What clients feel; nothing is yielded to nobody.
    latency: Option<Arc<ClientLatency>>,
}

#[derive(Debug)]
struct Pace {
    throttle: Throttle,
    share: Share,
}

/// What a budget says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetNumbers {
    /// What repair may take when clients do not mind.
    pub bytes_per_second: u64,
    /// An operator has paused it.
    pub paused: bool,
}

impl Budget {
    /// So many bytes in a second, and so many operations at a time.
    ///
    /// # Panics
    /// When either is 0.
    pub fn new(bytes_per_second: u64, operations: usize) -> Self {
        Self::made(bytes_per_second, operations, None)
    }

    /// The same, which gives way to clients as far as they feel it.
    ///
    /// # Panics
    /// When either number is 0.
    pub fn throttling(
        bytes_per_second: u64,
        operations: usize,
        latency: Arc<ClientLatency>,
    ) -> Self {
        Self::made(bytes_per_second, operations, Some(latency))
    }

    fn made(bytes_per_second: u64, operations: usize, latency: Option<Arc<ClientLatency>>) -> Self {
        assert!(bytes_per_second > 0 && operations > 0, "a budget of nothing never ends");
        let pace =
            Mutex::new(Pace { throttle: Throttle::new(Duration::ZERO), share: Share::default() });
        let operations = Arc::new(Semaphore::new(operations));
        let (paused, resumed) = (AtomicBool::new(false), Notify::new());
        let inner = Inner { bytes_per_second, pace, operations, paused, resumed, latency };
        Budget { inner: Arc::new(inner) }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.inner.pace.lock().expect("nothing panics while it adds times")
    }

    /// Waits until so many bytes may go.
    pub async fn bytes(&self, bytes: u64) {
        let at = {
            let mut pace = self.pace();
            let now = Instant::now();
            if let Some(latency) = &self.inner.latency {
                pace.share.look(latency, now, bytes);
            }
            let rate = self.inner.bytes_per_second as f64 * pace.share.of_one();
            pace.throttle.turn(bytes, rate).begin
        };
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }

    /// Waits until an operation may begin. It has ended when what is returned is dropped.
    pub async fn operation(&self) -> OwnedSemaphorePermit {
        loop {
            self.not_paused().await;
            let permit = self.inner.operations.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            if !self.is_paused() {
                return permit;
            }
        }
    }

    async fn not_paused(&self) {
        loop {
            let mut resumed = pin!(self.inner.resumed.notified());
            // Registered before looking, so that no end of a pause falls between the two.
            resumed.as_mut().enable();
            if !self.is_paused() {
                return;
            }
            resumed.await;
        }
    }

    fn is_paused(&self) -> bool {
        self.inner.paused.load(Ordering::Acquire)
    }

    /// Lets no operation begin until [`Budget::resume`]; says whether that is new.
    pub fn pause(&self) -> bool {
        !self.inner.paused.swap(true, Ordering::AcqRel)
    }

    /// Ends a pause; says whether there was one.
    pub fn resume(&self) -> bool {
        let was_paused = self.inner.paused.swap(false, Ordering::AcqRel);
        self.inner.resumed.notify_waiters();
        was_paused
    }

    /// Registers how much of what it may take repair takes now.
    pub fn register(&self, registry: &mut Registry) {
        let budget = self.clone();
        let help = "What repair takes of its rate, giving way to clients";
        let share = Reading::real("repair_share", help, |share| *share);
        let share = share.unit(Unit::Other("ratio".to_owned()));
        metrics::register(registry, vec![share], move || budget.pace().share.of_one());
    }

    /// How it stands.
    pub fn numbers(&self) -> BudgetNumbers {
        BudgetNumbers { bytes_per_second: self.inner.bytes_per_second, paused: self.is_paused() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_go_no_faster_than_the_rate() {
        let budget = Budget::new(100_000, 1);
        let began = Instant::now();
        for _ in 0..5 {
            budget.bytes(5_000).await;
        }
        // The last have their time after they went.
        assert!(began.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn nothing_begins_during_a_pause_and_everything_after_it() {
        let budget = Budget::new(1000, 1);
        assert!(budget.pause());
        assert!(!budget.pause(), "it is no news");
        let (waiting, resuming) = (budget.clone(), budget.clone());
        let began = Instant::now();
        let resume = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(resuming.resume());
        };
        let operate = async {
            let _permit = waiting.operation().await;
            began.elapsed()
        };
        let (waited, ()) = tokio::join!(operate, resume);
        assert!(waited >= Duration::from_millis(100));
        assert!(!budget.resume());
    }
}
