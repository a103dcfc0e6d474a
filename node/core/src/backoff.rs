//! Exponential back-off.

use std::time::Duration;

/// How long to wait after so many failures in a row, the first counted as 0: `least`, doubled for
/// each failure, and `most` at most. Whoever has company draws a jitter from it, so that not all
/// come back at once.
pub fn exponential(least: Duration, most: Duration, failures: u32) -> Duration {
    least.saturating_mul(1 << failures.min(30)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound_and_stays_there() {
        let after =
            |failures| exponential(Duration::from_millis(50), Duration::from_secs(1), failures);
        assert_eq!([0, 1, 4].map(|n| after(n).as_millis()), [50, 100, 800]);
        assert_eq!([5, 31, u32::MAX].map(|n| after(n).as_millis()), [1000; 3]);
    }
}
