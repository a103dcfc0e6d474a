//! hyper runtime adapter.
//!
//! hyper's executor and timer on the aliased `tokio`, so that its HTTP runs in both worlds; and an
//! alarm for what is polled beside it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Executor, Sleep, Timer};

/// Spawns hyper's tasks.
#[derive(Clone, Copy, Debug)]
pub struct TaskExecutor;

impl<F> Executor<F> for TaskExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}

/// Times hyper's pings, and how long it waits for a request.
#[derive(Clone, Copy, Debug)]
pub struct TaskTimer;

struct TaskSleep(Pin<Box<tokio::time::Sleep>>);

impl Future for TaskSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for TaskSleep {}

impl Timer for TaskTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(TaskSleep(Box::pin(tokio::time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(TaskSleep(Box::pin(tokio::time::sleep_until(deadline.into()))))
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// Wakes the task that polls it, at a moment or somewhat before: for one who looks again then.
///
/// It is set when it is first waited for, and set anew only when it has fired, so that what is
/// waited for may be put off again and again at no cost.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<tokio::time::Sleep>>>);

impl Alarm {
    /// Whether `due` has come. If not, the task is woken then, or before.
    pub fn poll(&mut self, due: tokio::time::Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = tokio::time::Instant::now();
            if now >= due {
                return Poll::Ready(());
            }
            let set = self.0.take().filter(|set| now < set.deadline() && set.deadline() <= due);
            // In the simulated world each poll of a sleep is one more timer, which wakes the task.
            let is_kept = cfg!(madsim) && set.is_some();
            let mut set = set.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(due)));
            if is_kept || set.as_mut().poll(cx).is_pending() {
                self.0 = Some(set);
                return Poll::Pending;
            }
        }
    }
}
