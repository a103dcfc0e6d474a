//! Contact with the leader: when this member last took something from one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When a leader was heard last, by the clock that does not jump.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Option<Instant>>);

impl Heard {
    /// A leader was heard now.
    pub(super) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago that was; nothing where it never was.
    pub(super) fn ago(&self) -> Option<Duration> {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|heard| heard.elapsed())
    }
}
