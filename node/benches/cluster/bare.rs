//! What the disk does without a store: appending and `fdatasync`, nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::puts::Row;
use crate::{Outcome, PUT_BYTES, REPLICAS, process};

/// Bytes between two flushes of the loop.
const FLUSH_BYTES: usize = 1 << 20;
/// Records that may wait for a log: more than there are callers.
const QUEUE: usize = 1024;

/// Writes objects of these sizes into three files one after another, flushing each file
/// every mebibyte. Returns how long it took.
pub fn append_loop(dir: &Path, sizes: &[usize]) -> Outcome<Duration> {
    let mut files = fresh_files(dir)?;
    let mut noise = vec![0; FLUSH_BYTES];
    ChaCha12Rng::seed_from_u64(0).fill_bytes(&mut noise);
    let mut flush_with = |bytes: usize| -> Outcome<()> {
        for file in &mut files {
            let mut left = bytes;
            while left > 0 {
                let part = left.min(noise.len());
                file.write_all(&noise[..part])?;
                left -= part;
            }
            file.sync_data()?;
        }
        Ok(())
    };
    let begun = Instant::now();
    let mut waiting = 0;
    for size in sizes {
        waiting += size;
        if waiting >= FLUSH_BYTES {
            flush_with(std::mem::take(&mut waiting))?;
        }
    }
    flush_with(waiting)?;
    Ok(begun.elapsed())
}

/// A record, and where to say that it is durable.
type Append = (bytes::Bytes, oneshot::Sender<()>);

/// Three group-commit logs, each on a thread of its own; `callers` callers append 4 KiB
/// to all three at once and wait for two.
pub async fn logs(dir: &Path, name: &str, callers: u64, duration: Duration) -> Outcome<Row> {
    let disk_bytes_before = process::disk_bytes_written(std::process::id())?;
    let (senders, threads): (Vec<_>, Vec<_>) = fresh_files(dir)?
        .into_iter()
        .map(|file| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            (sender, tokio::task::spawn_blocking(move || log(file, receiver)))
        })
        .unzip();
    let begun = Instant::now();
    let end = begun + duration;
    let tasks: Vec<_> =
        (0..callers).map(|seed| tokio::spawn(append_until(senders.clone(), seed, end))).collect();
    drop(senders);
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await??);
    }
    let elapsed = begun.elapsed();
    let mut syncs = 0;
    for thread in threads {
        syncs += thread.await??;
    }
    let disk_bytes = process::disk_bytes_written(std::process::id())? - disk_bytes_before;
    Ok(Row { name: name.to_owned(), elapsed, latencies, syncs, disk_bytes })
}

/// Writes what is waiting, flushes once, says so to all; counts the flushes.
fn log(mut file: File, mut receiver: mpsc::Receiver<Append>) -> std::io::Result<u64> {
    let mut syncs = 0;
    while let Some(first) = receiver.blocking_recv() {
        let mut group = vec![first];
        while let Ok(next) = receiver.try_recv() {
            group.push(next);
        }
        let bytes: Vec<u8> = group.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
        file.write_all(&bytes)?;
        file.sync_data()?;
        syncs += 1;
        for (_, done) in group {
            // The caller is gone once two others have answered.
            let _ = done.send(());
        }
    }
    Ok(syncs)
}

async fn append_until(
    logs: Vec<mpsc::Sender<Append>>,
    seed: u64,
    end: Instant,
) -> Outcome<Vec<Duration>> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let mut data = vec![0; PUT_BYTES];
        rng.fill_bytes(&mut data);
        let data = bytes::Bytes::from(data);
        let begun = Instant::now();
        let mut answers = futures_util::stream::FuturesUnordered::new();
        for log in &logs {
            let (done, answer) = oneshot::channel();
            log.send((data.clone(), done)).await.map_err(|_| "a bare log ended")?;
            answers.push(answer);
        }
        for _ in 0..2 {
            futures_util::StreamExt::next(&mut answers).await.ok_or("no answer")??;
        }
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

fn fresh_files(dir: &Path) -> Outcome<Vec<File>> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    let create = |number: usize| File::create_new(dir.join(format!("{number}.log")));
    Ok((0..REPLICAS).map(create).collect::<Result<_, _>>()?)
}
