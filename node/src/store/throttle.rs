//! Work in the background that keeps to a rate.

use std::time::Duration;

use tokio::time::Instant;

/// Keeps work at a rate.
pub(super) struct Throttle {
    bytes_per_second: Option<u64>,
    begun: Instant,
    done_bytes: u64,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Throttle { bytes_per_second, begun: Instant::now(), done_bytes: 0 }
    }

    /// Waits until so many bytes more are within the rate.
    pub(super) async fn pass(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        if let Some(rate) = self.bytes_per_second {
            let due = Duration::from_secs_f64(self.done_bytes as f64 / rate.max(1) as f64);
            tokio::time::sleep_until(self.begun + due).await;
        }
    }
}
