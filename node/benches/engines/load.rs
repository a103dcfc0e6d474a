//! Writing: many writers that wait for each put, and a bulk load.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gitstratum_core::object::Object;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::Outcome;
use crate::contenders::{Engine, append_in_groups};
use crate::corpus::Corpus;

/// The number of a job that comes after all others, with room above it for each writer.
const NO_JOB: usize = usize::MAX / 2;

/// What one load took.
#[derive(Debug)]
pub struct Load {
    /// From the first put until the last was durable.
    pub elapsed: Duration,
    /// Of each put (of each group, for the bare loop), in rising order.
    latencies: Vec<Duration>,
    /// Calls of `fdatasync`, where they are counted.
    pub syncs: Option<u64>,
}

impl Load {
    fn new(elapsed: Duration, mut latencies: Vec<Duration>, syncs: Option<u64>) -> Self {
        latencies.sort_unstable();
        Load { elapsed, latencies, syncs }
    }

    /// The latency that a share of all puts did not exceed, in milliseconds.
    pub fn latency_ms(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share) as usize;
        self.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Puts every job, in order, through so many writers, each of which waits for its own put
/// to be durable before it takes the next job.
pub async fn put_all<E: Engine>(
    engine: &Arc<E>,
    jobs: Arc<dyn Jobs>,
    writers: usize,
) -> Outcome<Load> {
    let before = engine.syncs();
    let next = Arc::new(AtomicUsize::new(0));
    let _stop = StopOnDrop(next.clone());
    let begun = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let writer = write(engine.clone(), jobs.clone(), next.clone());
            match E::PUT_BLOCKS {
                true => tokio::task::spawn_blocking(|| Handle::current().block_on(writer)),
                false => tokio::spawn(writer),
            }
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await??);
    }
    let elapsed = begun.elapsed();
    let syncs = engine.syncs().zip(before).map(|(after, before)| after - before);
    Ok(Load::new(elapsed, latencies, syncs))
}

/// Leaves the writers nothing to do when nobody waits for them any more.
struct StopOnDrop(Arc<AtomicUsize>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(NO_JOB, Ordering::Relaxed);
    }
}

async fn write<E: Engine>(
    engine: Arc<E>,
    jobs: Arc<dyn Jobs>,
    next: Arc<AtomicUsize>,
) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(objects) = jobs.job(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = Instant::now();
        engine.put(objects).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// The bare loop's share in a load, in so many groups.
pub async fn append_all(dir: &Path, corpus: &Arc<Corpus>, groups: u64) -> Outcome<Load> {
    let (dir, corpus) = (dir.to_owned(), corpus.clone());
    tokio::task::spawn_blocking(move || {
        let latencies = append_in_groups(&dir, &corpus, groups)?;
        let syncs = latencies.len() as u64;
        Ok(Load::new(latencies.iter().sum(), latencies, Some(syncs)))
    })
    .await?
}

/// What is put by one call each.
pub trait Jobs: Send + Sync {
    /// The objects of a put; `None` after the last.
    fn job(&self, index: usize) -> Option<Vec<Object>>;
}

/// One object for each put.
pub struct Singly(pub Vec<Object>);

impl Jobs for Singly {
    fn job(&self, index: usize) -> Option<Vec<Object>> {
        self.0.get(index).map(|object| vec![object.clone()])
    }
}

/// One block for each put.
pub struct InBlocks(pub Arc<Corpus>);

impl Jobs for InBlocks {
    fn job(&self, index: usize) -> Option<Vec<Object>> {
        self.0.blocks.get(index).map(|block| block.objects())
    }
}

/// The same, of objects whose ids the store is to compute.
pub struct InClaimedBlocks(pub Arc<Corpus>);

impl Jobs for InClaimedBlocks {
    fn job(&self, index: usize) -> Option<Vec<Object>> {
        self.0.blocks.get(index).map(|block| block.claimed())
    }
}
