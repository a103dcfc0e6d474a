//! Pace of a walk: progress, and giving way.
//!
//! Where everything lies in memory a walk never waits by itself, and would keep all other tasks of
//! its thread from running until it is done. It can only be dropped where it waits, too.

use gitstratum_core::limits::WALK_STEPS_BETWEEN_YIELDS;

/// Counts the steps of a walk.
pub(super) struct Pace<'a> {
    steps: u64,
    /// Called now and then with the number of steps so far.
    progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl<'a> Pace<'a> {
    pub(super) fn new(progress: &'a (dyn Fn(u64) + Send + Sync)) -> Self {
        Pace { steps: 0, progress }
    }

    /// For what nobody watches.
    pub(super) fn quiet() -> Self {
        Pace::new(&|_| {})
    }

    /// One more commit or object was looked at.
    pub(super) async fn step(&mut self) {
        self.steps += 1;
        if self.steps.is_multiple_of(WALK_STEPS_BETWEEN_YIELDS) {
            (self.progress)(self.steps);
            tokio::task::yield_now().await;
        }
    }

    /// That was all.
    pub(super) fn finish(&self) {
        (self.progress)(self.steps);
    }
}
