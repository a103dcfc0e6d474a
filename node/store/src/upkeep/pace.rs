//! Pace of upkeep: as fast as its rate, if it has one.

use std::time::Duration;

use gitstratum_core::throttle::Throttle;

/// More than a timer is late, and too little for anybody to notice: what stood still for a minute
/// with the disk does not fall upon it when it answers again.
const MAKE_UP_MAX: Duration = Duration::from_millis(100);

/// Keeps compaction, or scrub, at its rate.
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    throttle: Throttle,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Pace { bytes_per_second, throttle: Throttle::new(MAKE_UP_MAX) }
    }

    /// Waits until so many bytes more are within the rate.
    pub(crate) async fn pass(&mut self, bytes: u64) {
        if let Some(rate) = self.bytes_per_second {
            tokio::time::sleep_until(self.throttle.turn(bytes, rate.max(1) as f64).end).await;
        }
    }
}
