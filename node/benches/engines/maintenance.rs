//! What goes on behind puts and gets in our store: deletion, compaction and scrub, as fast as
//! they can and at a rate, and what puts and gets notice of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gitstratum_core::metrics::Samples;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_host::Disk;
use gitstratum_store::{CompactOptions, Fsync, SegmentStore, Store, StoreOptions};

use crate::Outcome;
use crate::corpus::{Corpus, Recipe};
use crate::sizes::Sizes;

/// Objects, and with `--quick`.
const OBJECTS: u64 = 300_000;
const OBJECTS_QUICK: u64 = 30_000;
/// Of ten objects, those that are deleted.
const DELETED_OF_TEN: usize = 6;
/// The rate that is asked for when a rate is asked for, in bytes a second.
const RATE: u64 = 64 << 20;
/// Largest object, so that none has a file of its own.
const OBJECT_BYTES_MAX: u32 = 64 << 10;

/// Measures and prints.
pub async fn run(dir: &Path, quick: bool) -> Outcome<()> {
    let objects = if quick { OBJECTS_QUICK } else { OBJECTS };
    println!("{objects} objects, {DELETED_OF_TEN} of 10 deleted");
    println!(
        "{:<26} {:>10} {:>10} {:>22} {:>22}",
        "", "seconds", "MB/s", "gets p50, p99 in us", "puts p50, p99 in us"
    );
    for rate in [None, Some(RATE)] {
        let store_dir = tempfile::tempdir_in(dir)?;
        one(store_dir.path(), objects, rate).await?;
    }
    Ok(())
}

async fn one(dir: &Path, objects: u64, rate: Option<u64>) -> Outcome<()> {
    let options = StoreOptions::new(NodeId::new("engines"), Fsync::Always);
    let store = SegmentStore::open(Disk::new(dir), options).await?;
    let recipe = Recipe { seed: 1, objects, sizes: Sizes::table().below(OBJECT_BYTES_MAX) };
    let corpus = tokio::task::spawn_blocking(move || Corpus::draw(&recipe)).await??;
    for block in &corpus.blocks {
        for stored in store.put(block.objects()).await {
            stored?;
        }
    }
    store.seal().await?;
    let (deleted, kept): (Vec<_>, Vec<_>) =
        corpus.ids().enumerate().partition(|(at, _)| at % 10 < DELETED_OF_TEN);
    let ids = |pairs: Vec<(usize, ObjectId)>| pairs.into_iter().map(|(_, id)| id).collect();
    let (deleted, kept): (Vec<_>, Arc<[_]>) = (ids(deleted), ids(kept).into());
    drop(corpus);
    let suffix = rate.map_or(String::new(), |rate| format!(" at {} MB/s", rate / 1_000_000));
    let beside = Beside::start(&store, &kept);
    tokio::time::sleep(Duration::from_secs(2)).await;
    beside.end("nothing", Duration::from_secs(2), None).await?;
    if rate.is_none() {
        let beside = Beside::start(&store, &kept);
        let begun = Instant::now();
        store.delete(&deleted).await?;
        beside.end("deletion", begun.elapsed(), None).await?;
        println!("{:<26} {:>10.0} objects/s", "", deleted.len() as f64 / seconds(begun));
    } else {
        store.delete(&deleted).await?;
    }
    store.seal().await?;
    let beside = Beside::start(&store, &kept);
    let begun = Instant::now();
    let done = store.scrub(rate).await?;
    beside.end(&format!("scrub{suffix}"), begun.elapsed(), Some(done.counts.bytes)).await?;
    let beside = Beside::start(&store, &kept);
    let begun = Instant::now();
    let compact = CompactOptions { bytes_per_second: rate, ..CompactOptions::default() };
    let done = store.compact(compact).await?;
    let moved = done.bytes_before + done.bytes_after;
    beside.end(&format!("compaction{suffix}"), begun.elapsed(), Some(moved)).await?;
    println!(
        "{:<26} {} segments of {} bytes became {} bytes",
        "", done.segments, done.bytes_before, done.bytes_after
    );
    store.close().await;
    Ok(())
}

fn seconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}

/// One task that gets and one that puts, all the while.
struct Beside {
    stop: Arc<AtomicBool>,
    gets: tokio::task::JoinHandle<Outcome<Vec<Duration>>>,
    puts: tokio::task::JoinHandle<Outcome<Vec<Duration>>>,
}

impl Beside {
    fn start(store: &Arc<SegmentStore>, kept: &Arc<[ObjectId]>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (store, kept, stopped) = (store.clone(), kept.clone(), stop.clone());
        let (putting, halted) = (store.clone(), stop.clone());
        // Other objects than those of earlier rows.
        let first = Samples::registered_by(|registry| store.register(registry))
            .count("gitstratum_store_puts_total");
        let gets = tokio::spawn(async move {
            let mut latencies = Vec::new();
            for at in (0_usize..).map(|n| n.wrapping_mul(0x9e37_79b1) % kept.len()) {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let begun = Instant::now();
                store.get(kept[at]).await?;
                latencies.push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(latencies)
        });
        let puts = tokio::spawn(async move {
            let mut latencies = Vec::new();
            for number in first.. {
                if halted.load(Ordering::Relaxed) {
                    break;
                }
                let data = format!("put beside maintenance, number {number}");
                let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into())?;
                let begun = Instant::now();
                putting.put(vec![object]).await.remove(0)?;
                latencies.push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(latencies)
        });
        Beside { stop, gets, puts }
    }

    async fn end(self, what: &str, took: Duration, bytes: Option<u64>) -> Outcome<()> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut gets, mut puts) = (self.gets.await??, self.puts.await??);
        let seconds = took.as_secs_f64();
        let speed = bytes.map_or("-".to_owned(), |b| format!("{:.0}", b as f64 / 1e6 / seconds));
        println!(
            "{what:<26} {seconds:>10.2} {speed:>10} {:>22} {:>22}",
            shares(&mut gets),
            shares(&mut puts)
        );
        Ok(())
    }
}

fn shares(latencies: &mut [Duration]) -> String {
    latencies.sort_unstable();
    let at = |share: f64| {
        let last = latencies.len().saturating_sub(1);
        latencies.get((last as f64 * share) as usize).map_or(0, Duration::as_micros)
    };
    format!("{}, {}", at(0.5), at(0.99))
}
