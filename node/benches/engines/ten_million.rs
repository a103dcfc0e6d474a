//! Ten million small objects in our store: what they cost in memory, and to open and find.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::contenders::{Contender, Engine, LOAD_CACHE_BYTES, Ours};
use crate::corpus::{Corpus, Recipe};
use crate::load::{InBlocks, put_all};
use crate::reader::{self, Gets, Reading};
use crate::sizes::Sizes;
use crate::{Outcome, system};

/// Data of each object.
const OBJECT_BYTES: u32 = 256;
/// Objects that are drawn, then put, at a time.
const PORTION: u64 = 1_000_000;
/// Batches that are put at once.
const WRITERS: usize = 4;

/// Loads, opens and reads them, and prints what it took. `quick` makes it a hundredth.
pub async fn run(dir: &Path, quick: bool) -> Outcome<()> {
    let (objects, gets) = if quick { (100_000, 100_000) } else { (10_000_000, 1_000_000) };
    let store = dir.join("store");
    fs::create_dir(&store)?;
    let ids = dir.join("ids");
    let loaded = load(&store, &ids, objects).await?;
    let seconds = loaded.as_secs_f64();
    let megabytes = (objects * u64::from(OBJECT_BYTES)) as f64 / 1e6;
    println!("{objects} objects of {OBJECT_BYTES} bytes in our store");
    println!(
        "load                 {:>12.0} objects/s, {:.0} MB/s",
        objects as f64 / seconds,
        megabytes / seconds
    );
    let disk = system::disk_bytes(&store)? as f64;
    println!("on disk              {:>12.3} bytes per byte of payload", disk / 1e6 / megabytes);
    let task = reader::Task::new(Contender::Ours, &store, &ids, gets, 0);
    let reading: Reading = reader::start(&task).await?;
    let per_object = |bytes: u64| bytes as f64 / objects as f64;
    let open_ms = reading.open.as_secs_f64() * 1e3;
    println!(
        "open, first get      {open_ms:>12.1} ms (to reach: below 1000){}",
        told(open_ms < 1e3)
    );
    println!("resident when open   {:>12.2} bytes/object", per_object(reading.open_bytes));
    let peak = per_object(reading.peak_bytes);
    println!(
        "resident at most     {peak:>12.2} bytes/object (to reach: below 3){}",
        told(peak < 3.0)
    );
    print_gets("get, present", &reading.present, 2.0);
    print_gets("get, absent", &reading.absent, 0.5);
    Ok(())
}

/// Puts the objects in portions; drawing each portion is not on the clock.
async fn load(store: &Path, ids: &Path, objects: u64) -> Outcome<Duration> {
    let mut file = std::io::BufWriter::new(fs::File::create(ids)?);
    let engine = Arc::new(Ours::open(store, LOAD_CACHE_BYTES).await?);
    let mut elapsed = Duration::ZERO;
    for (seed, first) in (0..objects).step_by(PORTION as usize).enumerate() {
        eprintln!("objects {first} and up");
        let count = PORTION.min(objects - first);
        let sizes = Sizes::fixed(OBJECT_BYTES);
        let recipe = Recipe { seed: seed as u64, objects: count, sizes };
        let corpus = tokio::task::spawn_blocking(move || Corpus::draw(&recipe)).await??;
        corpus.ids().try_for_each(|id| file.write_all(id.as_bytes()))?;
        let jobs = Arc::new(InBlocks(Arc::new(corpus)));
        elapsed += put_all(&engine, jobs, WRITERS).await?.elapsed;
    }
    file.into_inner()?.sync_all()?;
    Arc::into_inner(engine).ok_or("a writer outlived its load")?.close().await?;
    Ok(elapsed)
}

fn print_gets(name: &str, gets: &Gets, calls_max: f64) {
    println!(
        "{name:<20} {:>12.0} ns, {:.4} system calls that read (to reach: at most {calls_max}){}",
        gets.nanoseconds(),
        gets.calls(),
        told(gets.calls() <= calls_max),
    );
}

fn told(reached: bool) -> &'static str {
    if reached { ": yes" } else { ": NO" }
}
