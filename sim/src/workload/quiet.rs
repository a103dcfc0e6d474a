//! Quiet periods.
//!
//! Times in which no worker begins anything.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, sleep_until};

/// Until when all workers are to be quiet. Shared by all clients, outside the simulated
/// network. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Quiet(Arc<Mutex<Option<Instant>>>);

impl Quiet {
    /// Lets the workers begin nothing before `until`.
    pub fn begin(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Waits for the end of a quiet time, if it is one.
    pub async fn over(&self) {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }
}
