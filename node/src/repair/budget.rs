//! What work in the background may take: bytes in a second, and operations at a time.
//!
//! Whoever asks first goes first. What was asked for and then given up counts all the same:
//! the rate is a bound, not a goal.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// A budget. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    bytes_per_second: u64,
    /// When all bytes that were let pass so far have had their time.
    free_at: Arc<Mutex<Option<Instant>>>,
    operations: Arc<Semaphore>,
}

impl Budget {
    /// So many bytes in a second, and so many operations at a time.
    ///
    /// # Panics
    /// When either is 0.
    pub fn new(bytes_per_second: u64, operations: usize) -> Self {
        assert!(bytes_per_second > 0 && operations > 0, "a budget of nothing never ends");
        let operations = Arc::new(Semaphore::new(operations));
        Budget { bytes_per_second, free_at: Arc::default(), operations }
    }

    /// Waits until so many bytes may go.
    pub async fn bytes(&self, bytes: u64) {
        let at = {
            let mut free_at = self.free_at.lock().expect("nothing panics while it adds times");
            let now = Instant::now();
            let at = free_at.map_or(now, |free_at| free_at.max(now));
            let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
            *free_at = Some(at + takes);
            at
        };
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }

    /// Waits until an operation may begin. It has ended when what is returned is dropped.
    pub async fn operation(&self) -> OwnedSemaphorePermit {
        let permit = self.operations.clone().acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }
}
