//! What the disk does without a store: one record behind the other, each flushed by itself. No log
//! that flushes before it acknowledges can serve one client faster.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::Outcome;
use crate::load::percentile;

/// About what one update takes in a log.
const RECORD_BYTES: usize = 256;
/// The file has its full length before the clock starts, as the logs of both have.
const FILE_BYTES: usize = 16 << 20;

/// Flushes a second, and how long one took.
#[derive(Clone, Copy, Debug)]
pub struct Flushes {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// Writes and flushes records for a time.
pub async fn flushes(dir: &Path, time: Duration) -> Outcome<Flushes> {
    let path = dir.join("bare");
    tokio::task::spawn_blocking(move || {
        let file = File::create(&path)?;
        file.write_all_at(&vec![0; FILE_BYTES], 0)?;
        file.sync_all()?;
        let record = [0x5a; RECORD_BYTES];
        let begun = Instant::now();
        let mut took = Vec::new();
        while begun.elapsed() < time {
            let offset = took.len() * RECORD_BYTES % FILE_BYTES;
            let one = Instant::now();
            file.write_all_at(&record, offset as u64)?;
            file.sync_data()?;
            took.push(one.elapsed());
        }
        let per_second = took.len() as f64 / begun.elapsed().as_secs_f64();
        std::fs::remove_file(&path)?;
        took.sort_unstable();
        Ok(Flushes { per_second, p50: percentile(&took, 0.50), p99: percentile(&took, 0.99) })
    })
    .await?
}
