//! Rate limit of work in the background.

use std::time::Duration;

use tokio::time::Instant;

/// So much of the time in which nothing was done may be made up for: more than a timer is late,
/// and too little for anybody to notice. What stood still for a minute with the disk does not
/// fall upon it when it answers again.
const MADE_UP_FOR_MAX: Duration = Duration::from_millis(100);

/// Keeps work at a rate.
pub(crate) struct Throttle {
    bytes_per_second: Option<u64>,
    /// When what was done until now should have been.
    due: Instant,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Throttle { bytes_per_second, due: Instant::now() }
    }

    /// Waits until so many bytes more are within the rate.
    pub(crate) async fn pass(&mut self, bytes: u64) {
        if let Some(rate) = self.bytes_per_second {
            let late = self.due.elapsed();
            self.due += late.saturating_sub(MADE_UP_FOR_MAX);
            self.due += Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
            tokio::time::sleep_until(self.due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_stood_still_goes_on_at_its_rate() {
        let mut throttle = Throttle::new(Some(1_000_000));
        throttle.pass(1).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let begun = Instant::now();
        for _ in 0..30 {
            throttle.pass(10_000).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
    }
}
