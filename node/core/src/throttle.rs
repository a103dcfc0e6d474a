//! Throttle: a rate, kept by giving bytes their time one after another.
//!
//! Whoever is to be throttled asks when its bytes have their time, and waits for its beginning or
//! its end as it likes. Invariant: the times given do not overlap, so that over any interval no more
//! than the rate passes, but for what may be made up for.

use std::time::Duration;

use tokio::time::Instant;

/// Keeps work at a rate.
#[derive(Debug)]
pub struct Throttle {
    /// When all that asked until now has had its time.
    due: Instant,
    make_up_max: Duration,
}

/// The time that some bytes have.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// When what came before has had its time.
    pub begin: Instant,
    /// And when these bytes have.
    pub end: Instant,
}

impl Throttle {
    /// Of so much time in which nothing was done at the last, the bytes may be made up for.
    pub fn new(make_up_max: Duration) -> Self {
        Throttle { due: Instant::now(), make_up_max }
    }

    /// The next turn, which is as long as so many bytes take at this rate.
    ///
    /// # Panics
    /// When the rate is not above 0.
    pub fn turn(&mut self, bytes: u64, bytes_per_second: f64) -> Turn {
        let late = Instant::now().saturating_duration_since(self.due);
        let begin = self.due + late.saturating_sub(self.make_up_max);
        self.due = begin + Duration::from_secs_f64(bytes as f64 / bytes_per_second);
        Turn { begin, end: self.due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 1_000_000.0;

    #[tokio::test]
    async fn turns_follow_one_another_at_the_rate() {
        let mut throttle = Throttle::new(Duration::ZERO);
        let first = throttle.turn(10_000, RATE);
        assert_eq!(first.end - first.begin, Duration::from_millis(10));
        assert_eq!(throttle.turn(1, RATE).begin, first.end);
    }

    #[tokio::test]
    async fn what_stood_still_makes_up_for_so_much_and_no_more() {
        for make_up_max in [Duration::ZERO, Duration::from_millis(20)] {
            let mut throttle = Throttle::new(make_up_max);
            tokio::time::sleep(Duration::from_millis(60)).await;
            let before = Instant::now();
            let turn = throttle.turn(1, RATE);
            assert!(turn.begin >= before - make_up_max && turn.begin <= Instant::now());
        }
    }
}
