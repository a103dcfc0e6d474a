//! The retry budget. What needs peers is tested on simulated machines, in `sim/tests/simulated/pool`.

use std::time::Duration;

use gitstratum_core::limits;
use tokio::time::Instant;

use super::budget::RetryBudget;

#[tokio::test]
async fn every_request_of_a_connection_that_breaks_may_be_repeated_and_an_outage_not_doubled() {
    let now = Instant::now();
    let budget = RetryBudget::new(now);
    let mut retries = 0;
    while budget.withdraw(now) {
        retries += 1;
    }
    assert_eq!(retries, limits::RETRY_TOKENS_MAX);

    // The outage goes on: every request fails, and asks for a second attempt.
    let requests = 10_000;
    let mut repeated = 0;
    for _ in 0..requests {
        budget.deposit();
        repeated += u64::from(budget.withdraw(now));
    }
    assert_eq!(repeated, requests * limits::RETRY_PERCENT / 100);
}

#[tokio::test]
async fn a_peer_that_is_asked_seldom_has_second_attempts_too_but_no_more_than_the_bucket_holds() {
    let now = Instant::now();
    let budget = RetryBudget::new(now);
    while budget.withdraw(now) {}
    let later = now + Duration::from_secs(2);
    for _ in 0..2 * limits::RETRIES_PER_SECOND_MIN {
        assert!(budget.withdraw(later));
    }
    assert!(!budget.withdraw(later));
    let much_later = now + Duration::from_secs(1_000_000);
    let retries = (0..).take_while(|_| budget.withdraw(much_later)).count();
    assert_eq!(retries as u64, limits::RETRY_TOKENS_MAX);
}
