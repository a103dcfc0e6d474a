//! Simulated clock.
//!
//! Simulated time, and wake-ups at a moment.
//!
//! madsim's sleeps last at least 1 ms and leave a timer behind each time they are polled.
//! Links are faster than that and a busy kernel changes its mind thousands of times a
//! second, so an [`Alarm`] sets exact timers and only when no earlier one is set already.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use madsim::time::TimeHandle;

/// The clock of the run; times are counted from its start.
#[derive(Clone)]
pub(super) struct Clock {
    time: TimeHandle,
}

impl Clock {
    /// # Panics
    /// Outside a madsim runtime.
    pub(super) fn current() -> Self {
        Clock { time: TimeHandle::current() }
    }

    pub(super) fn now(&self) -> Duration {
        self.time.elapsed()
    }
}

/// Wakes one task, always the same, at the earliest of the moments asked for.
pub(super) struct Alarm {
    clock: Clock,
    /// When the timers that were set and have not yet fired will fire.
    set: BinaryHeap<Reverse<Duration>>,
}

impl Alarm {
    pub(super) fn new(clock: Clock) -> Self {
        Alarm { clock, set: BinaryHeap::new() }
    }

    /// Ready when `at` is not in the future; else the task is woken then or earlier.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        let now = self.clock.now();
        while self.set.peek().is_some_and(|set| set.0 <= now) {
            self.set.pop();
        }
        // A timer in the past would turn madsim's clock back.
        if at <= now {
            return Poll::Ready(());
        }
        if self.set.peek().is_none_or(|set| at < set.0) {
            let mut sleep = pin!(self.clock.time.sleep(Duration::ZERO));
            let deadline = self.clock.time.now_instant() + (at - now);
            sleep.as_mut().reset(deadline);
            if sleep.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            self.set.push(Reverse(at));
        }
        Poll::Pending
    }
}
