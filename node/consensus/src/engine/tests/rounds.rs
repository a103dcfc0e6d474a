//! Rounds of read index: whom each serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::super::rounds::Rounds;

/// A leader whose answers wait to be let through, each the number of those before it.
struct Leader {
    rounds: Rounds,
    asked: AtomicU64,
    answers: Semaphore,
}

impl Leader {
    fn new() -> Arc<Self> {
        let (rounds, asked) = (Rounds::default(), AtomicU64::new(0));
        Arc::new(Leader { rounds, asked, answers: Semaphore::new(0) })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// A read that has come as far as it can.
    async fn read(self: &Arc<Self>, patience: Duration) -> JoinHandle<Result<u64, String>> {
        let (leader, until) = (self.clone(), Instant::now() + patience);
        let read = tokio::spawn(async move {
            let ask = async {
                let asked = leader.asked.fetch_add(1, Ordering::SeqCst) + 1;
                // Who asks a leader minds the time, too.
                let left = until.saturating_duration_since(Instant::now());
                let answer = timeout(left, leader.answers.acquire()).await;
                let answer = answer.map_err(|_| "no answer in time".to_owned())?;
                answer.map_err(|error| error.to_string())?.forget();
                Ok(asked)
            };
            leader.rounds.join(until, ask).await
        });
        sleep(Duration::from_millis(20)).await;
        read
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn reads_that_wait_share_the_next_round_and_none_takes_one_that_began_before_it() {
    let leader = Leader::new();
    let first = leader.read(PATIENCE).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(leader.read(PATIENCE).await);
    }
    assert_eq!(leader.asked(), 1, "one round at a time");
    leader.answers.add_permits(1);
    assert_eq!(first.await.unwrap(), Ok(1));
    sleep(Duration::from_millis(20)).await;
    let after = leader.read(PATIENCE).await;
    leader.answers.add_permits(1);
    for read in waiting {
        assert_eq!(read.await.unwrap(), Ok(2));
    }
    leader.answers.add_permits(1);
    assert_eq!(after.await.unwrap(), Ok(3), "it came when the second had begun");
    assert_eq!(leader.asked(), 3);
}

#[tokio::test]
async fn a_round_that_is_given_up_serves_nobody() {
    let leader = Leader::new();
    let first = leader.read(PATIENCE).await;
    let second = leader.read(PATIENCE).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    leader.answers.add_permits(1);
    assert_eq!(second.await.unwrap(), Ok(2));
}

#[tokio::test]
async fn each_read_waits_as_long_as_it_may_and_no_longer() {
    let leader = Leader::new();
    let short = leader.read(Duration::from_millis(100)).await;
    let shorter = leader.read(Duration::from_millis(50)).await;
    let long = leader.read(PATIENCE).await;
    assert!(shorter.await.unwrap().is_err());
    assert!(short.await.unwrap().is_err());
    sleep(Duration::from_millis(20)).await;
    leader.answers.add_permits(2);
    // The round that was not over in time had begun before it came.
    assert_eq!(long.await.unwrap(), Ok(2));
}

#[tokio::test]
async fn a_round_that_was_not_over_in_its_readers_time_fails_no_other_read() {
    let leader = Leader::new();
    let first = leader.read(PATIENCE).await;
    let short = leader.read(Duration::from_millis(200)).await;
    let long = leader.read(PATIENCE).await;
    leader.answers.add_permits(1);
    assert_eq!(first.await.unwrap(), Ok(1));
    assert!(short.await.unwrap().is_err(), "the second round, which it had to make");
    leader.answers.add_permits(1);
    assert_eq!(long.await.unwrap(), Ok(3));
}
