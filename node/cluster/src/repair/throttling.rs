//! Latency-based throttling.
//!
//! How repair gives way to clients: less of it while their requests take longer than they do
//! without it.
//!
//! What a request takes without repair is measured while none moves. While some does, its
//! share of the rate is halved in each interval in which requests took noticeably longer than
//! that, and grows by a sixteenth in each in which they did not: additive increase and
//! multiplicative decrease (Chiu and Jain, 1989), of what TCP Vegas (Brakmo and Peterson,
//! 1995) looks at, a delay above the least one that was seen. A sixteenth of the rate stays, so
//! that repair comes to its end however much clients ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::replica::{Deleted, Found, LargeReader, LargeWriter, StoreError, Stored};
use gitstratum_store::{Snapshot, Store};
use tokio::time::Instant;

/// Part of the rate that is always left to repair.
const SHARE_MIN: f64 = 1.0 / 16.0;
/// What the share grows by in an interval.
const SHARE_STEP: f64 = 1.0 / 16.0;

/// What clients' requests took, since it was last looked.
#[derive(Debug, Default)]
pub struct ClientLatency {
    puts: Sum,
    gets: Sum,
}

#[derive(Debug, Default)]
struct Sum {
    requests: AtomicU64,
    micros: AtomicU64,
}

impl Sum {
    fn add(&self, took: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The mean since it was last taken, in microseconds; `None` of too few to tell.
    fn take(&self) -> Option<f64> {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let micros = self.micros.swap(0, Ordering::Relaxed);
        (requests >= limits::YIELD_REQUESTS_MIN).then(|| micros as f64 / requests as f64)
    }
}

/// Repair's share of its rate.
#[derive(Debug)]
pub(super) struct Share {
    share: f64,
    looked_at: Option<Instant>,
    /// Whether repair moved anything since.
    moved: bool,
    /// Means without repair, in microseconds.
    puts_alone: Option<f64>,
    gets_alone: Option<f64>,
}

impl Default for Share {
    fn default() -> Self {
        Share { share: 1.0, looked_at: None, moved: false, puts_alone: None, gets_alone: None }
    }
}

impl Share {
    /// From 1 down to a sixteenth.
    pub(super) fn of_one(&self) -> f64 {
        self.share
    }

    /// Looks at what clients felt, when it is time; repair is about to move so many bytes.
    pub(super) fn look(&mut self, latency: &ClientLatency, now: Instant, bytes: u64) {
        let moved = self.moved;
        let Some(looked_at) = self.looked_at else {
            self.looked_at = Some(now);
            self.moved = bytes > 0;
            return self.measure_alone(latency);
        };
        self.moved |= bytes > 0;
        let since = now.duration_since(looked_at);
        if since < limits::YIELD_LOOK_INTERVAL {
            return;
        }
        self.looked_at = Some(now);
        // Where repair was quiet for long, most of what was felt had nothing to do with it.
        if !moved || since > limits::YIELD_LOOK_INTERVAL * 8 {
            self.moved = bytes > 0;
            return self.measure_alone(latency);
        }
        let longer = |took: Option<f64>, alone: &mut Option<f64>| {
            let Some(took) = took else { return false };
            let alone = alone.get_or_insert(took);
            // The least is believed, and forgotten slowly: clients may ask for other things.
            *alone = (*alone * 1.01).min(took);
            took > *alone * limits::YIELD_AT_TIMES
        };
        let puts = longer(latency.puts.take(), &mut self.puts_alone);
        let gets = longer(latency.gets.take(), &mut self.gets_alone);
        self.share = match puts || gets {
            true => (self.share / 2.0).max(SHARE_MIN),
            false => (self.share + SHARE_STEP).min(1.0),
        };
    }

    fn measure_alone(&mut self, latency: &ClientLatency) {
        self.puts_alone = latency.puts.take().or(self.puts_alone);
        self.gets_alone = latency.gets.take().or(self.gets_alone);
    }
}

/// A store of which it is noted what its users feel.
pub struct LatencyMeter {
    store: Arc<dyn Store>,
    latency: Arc<ClientLatency>,
}

impl LatencyMeter {
    /// Notes what the users of `store` feel.
    pub fn around(store: Arc<dyn Store>, latency: Arc<ClientLatency>) -> Arc<dyn Store> {
        Arc::new(LatencyMeter { store, latency })
    }
}

#[async_trait]
impl Store for LatencyMeter {
    async fn put(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>> {
        let began = Instant::now();
        let stored = self.store.put(objects).await;
        self.latency.puts.add(began.elapsed());
        stored
    }

    async fn get(&self, id: ObjectId) -> Result<Found, StoreError> {
        let began = Instant::now();
        let found = self.store.get(id).await;
        self.latency.gets.add(began.elapsed());
        found
    }

    async fn has(&self, ids: &[ObjectId]) -> Result<Vec<bool>, StoreError> {
        self.store.has(ids).await
    }

    async fn put_large(&self, head: ObjectHead) -> Result<Box<dyn LargeWriter>, StoreError> {
        self.store.put_large(head).await
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, StoreError> {
        self.store.get_large(id).await
    }

    async fn delete(&self, ids: &[ObjectId]) -> Result<Deleted, StoreError> {
        self.store.delete(ids).await
    }

    async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError> {
        self.store.snapshot(name).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An interval in which each of fifty puts took so long, and repair moved something.
    fn interval(share: &mut Share, latency: &ClientLatency, at: &mut Instant, put_ms: u64) {
        (0..50).for_each(|_| latency.puts.add(Duration::from_millis(put_ms)));
        *at += limits::YIELD_LOOK_INTERVAL;
        share.look(latency, *at, 4096);
    }

    #[test]
    fn repair_gives_way_while_clients_wait_longer_and_takes_back_what_they_leave() {
        let (mut share, latency, mut at) =
            (Share::default(), ClientLatency::default(), Instant::now());
        (0..50).for_each(|_| latency.puts.add(Duration::from_millis(2)));
        share.look(&latency, at, 4096);
        interval(&mut share, &latency, &mut at, 2);
        assert_eq!(share.of_one(), 1.0, "nobody minds");
        interval(&mut share, &latency, &mut at, 8);
        assert_eq!(share.of_one(), 0.5);
        (0..10).for_each(|_| interval(&mut share, &latency, &mut at, 8));
        assert_eq!(share.of_one(), SHARE_MIN, "it never ends altogether");
        interval(&mut share, &latency, &mut at, 2);
        assert_eq!(share.of_one(), SHARE_MIN + SHARE_STEP);
        (0..16).for_each(|_| interval(&mut share, &latency, &mut at, 2));
        assert_eq!(share.of_one(), 1.0);
    }

    #[test]
    fn clients_who_ask_for_nothing_do_not_slow_it_down() {
        let (mut share, latency, mut at) =
            (Share::default(), ClientLatency::default(), Instant::now());
        for _ in 0..5 {
            at += limits::YIELD_LOOK_INTERVAL;
            share.look(&latency, at, 4096);
        }
        assert_eq!(share.of_one(), 1.0);
    }
}
