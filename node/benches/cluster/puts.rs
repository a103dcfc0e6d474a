//! Durable puts of 4 KiB for a fixed time, each caller waiting for its own.

use std::ops::RangeFrom;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_cluster::client::Client;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::{Outcome, PUT_BYTES};

/// One row of the table.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// How long it ran.
    pub elapsed: Duration,
    /// Of each put, in any order.
    pub latencies: Vec<Duration>,
    /// Flushes on all replicas together.
    pub syncs: u64,
    /// Bytes sent to disks by all replicas together.
    pub disk_bytes: u64,
}

impl Row {
    /// Puts in each second.
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// How long this share of the puts took at most.
    pub fn millis_at(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * share) as usize;
        sorted.get(index.min(sorted.len().saturating_sub(1))).map_or(0.0, millis)
    }

    /// Prints it under the table's head.
    pub fn print(self) {
        let count = self.latencies.len();
        println!(
            "{:<34} {:>8.0} {:>9.2} {:>9.2} {:>13.3} {:>13.2}",
            self.name,
            self.per_second(),
            self.millis_at(0.50),
            self.millis_at(0.99),
            self.syncs as f64 / count as f64,
            self.disk_bytes as f64 / (count * PUT_BYTES) as f64,
        );
    }
}

fn millis(latency: &Duration) -> f64 {
    latency.as_secs_f64() * 1e3
}

/// Runs `clients` clients, with connections of their own and `callers` callers each. The
/// data of each caller comes from a seed of its own, so that nothing is put twice.
pub async fn measure(
    cluster: &Cluster,
    name: &str,
    clients: u64,
    callers: u64,
    seeds: RangeFrom<u64>,
    duration: Duration,
) -> Outcome<Row> {
    let observer = cluster.client(u64::MAX).await?;
    let mut connected = Vec::new();
    for client in 0..clients {
        connected.push(cluster.client(client).await?);
    }
    let before = cluster.totals(&observer).await?;
    let begun = Instant::now();
    let tasks: Vec<_> = connected
        .iter()
        .flat_map(|client| (0..callers).map(move |_| client.clone()))
        .zip(seeds)
        .map(|(client, seed)| {
            let data = ChaCha12Rng::seed_from_u64(seed);
            tokio::spawn(put_until(client, data, begun + duration))
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await??);
    }
    let elapsed = begun.elapsed();
    // The third replica's writes belong to these puts too.
    for client in connected {
        client.drain().await;
    }
    let after = cluster.totals(&observer).await?;
    Ok(Row {
        name: name.to_owned(),
        elapsed,
        latencies,
        syncs: after.syncs - before.syncs,
        disk_bytes: after.disk_bytes - before.disk_bytes,
    })
}

async fn put_until(client: Client, mut rng: ChaCha12Rng, end: Instant) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let mut data = vec![0; PUT_BYTES];
        rng.fill_bytes(&mut data);
        let begun = Instant::now();
        let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from(data))?;
        client.put(object).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}
