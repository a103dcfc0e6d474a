//! Repair control.
//!
//! What an operator has repair do: everything now, nothing for now, or not this.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use gitstratum_core::job::JobOrder;
use tokio::sync::Notify;

use super::Budget;

/// Where orders are given, and heard. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Control {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    budget: Budget,
    waiting: Mutex<Waiting>,
    given: Notify,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Waiting {
    start: bool,
    cancel: bool,
}

impl Control {
    /// Of what works within this budget.
    pub fn new(budget: Budget) -> Self {
        let (waiting, given) = (Mutex::default(), Notify::new());
        Control { inner: Arc::new(Inner { budget, waiting, given }) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().expect("nothing panics while it notes an order")
    }

    /// The budget.
    pub fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// Has it done.
    pub fn give(&self, order: JobOrder) {
        tracing::info!(?order, "repair was told");
        match order {
            JobOrder::Start => {
                self.inner.budget.resume();
                self.lock().start = true;
            }
            JobOrder::Pause => {
                self.inner.budget.pause();
            }
            JobOrder::Cancel => {
                // In the order in which they were given, the later one counts.
                *self.lock() = Waiting { start: false, cancel: true };
            }
        }
        self.inner.given.notify_waiters();
    }

    /// Whether everything is to be compared, since this was last asked.
    pub(super) fn take_start(&self) -> bool {
        std::mem::take(&mut self.lock().start)
    }

    /// Whether what is under way is to be given up, since this was last asked.
    pub(super) fn take_cancel(&self) -> bool {
        std::mem::take(&mut self.lock().cancel)
    }

    /// Waits for an order to start, or to cancel, that nobody took yet. Safe to drop.
    pub(super) async fn ordered(&self) {
        self.until(|waiting| waiting != Waiting::default()).await;
    }

    /// Waits for an order to cancel that nobody took yet. Safe to drop.
    pub(super) async fn cancelled(&self) {
        self.until(|waiting| waiting.cancel).await;
    }

    async fn until(&self, holds: impl Fn(Waiting) -> bool) {
        loop {
            let mut given = pin!(self.inner.given.notified());
            // Registered before looking, so that no order falls between the two.
            given.as_mut().enable();
            if holds(*self.lock()) {
                return;
            }
            given.await;
        }
    }
}
