//! A process of its own for each contender that opens its store and reads from it, so that
//! its memory is the store's and nothing else's.

use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Args;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHasher, ObjectId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::contenders::{APPENDED, Contender, Engine, READ_CACHE_BYTES};
use crate::corpus::{Corpus, absent_ids};
use crate::system::{self, ReadCalls};
use crate::{Outcome, with_engine};

/// Bytes of an id in the file of ids.
const ID_BYTES: usize = 20;
/// Gets before the clock starts whose data is hashed and compared with the id.
const VERIFIED: usize = 2_000;

/// Gets between two looks at how many system calls were made.
const CALLS_COUNTED_OVER: usize = 5_000;

/// How often it is asked whether the process has ended.
const CHILD_POLL: Duration = Duration::from_millis(20);

/// Processes that do nothing but open a store and get one object: a single opening of a
/// millisecond tells more of the machine than of the store.
const OPENINGS: u64 = 15;

/// Writes the list of all ids, and beside it that of where each object ends.
pub fn write_lists(corpus: &Corpus, ids: &Path) -> Outcome<()> {
    let mut list = BufWriter::new(fs::File::create(ids)?);
    corpus.ids().try_for_each(|id| list.write_all(id.as_bytes()))?;
    list.into_inner()?.sync_all()?;
    let mut list = BufWriter::new(fs::File::create(ends_path(ids))?);
    let ends = std::iter::once(0).chain(corpus.ends());
    ends.map(u64::to_le_bytes).try_for_each(|end| list.write_all(&end))?;
    Ok(list.into_inner()?.sync_all()?)
}

fn ends_path(ids: &Path) -> PathBuf {
    ids.with_extension("ends")
}

/// What the process is told.
#[derive(Args, Clone, Debug)]
pub struct Task {
    /// Whose store it is.
    #[arg(long, value_enum)]
    contender: Contender,
    /// Where it is.
    #[arg(long)]
    dir: PathBuf,
    /// The ids of all objects, one after another.
    #[arg(long)]
    ids: PathBuf,
    /// Gets of objects that are there, and as many of others.
    #[arg(long)]
    gets: usize,
    /// Where the ids to get are drawn from.
    #[arg(long)]
    seed: u64,
}

impl Task {
    /// Reads `gets` objects drawn with `seed` from the store in `dir`.
    pub fn new(contender: Contender, dir: &Path, ids: &Path, gets: usize, seed: u64) -> Self {
        Task { contender, dir: dir.to_owned(), ids: ids.to_owned(), gets, seed }
    }
}

/// What it found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reading {
    /// From opening until the first get was answered.
    pub open: Duration,
    /// Memory that became resident by then.
    pub open_bytes: u64,
    /// Memory that was resident at most at the end, beyond what was before opening.
    pub peak_bytes: u64,
    /// Gets of objects that are there.
    pub present: Gets,
    /// Gets of objects that are not.
    pub absent: Gets,
}

/// A run of gets by one thread.
#[derive(Debug, Serialize, Deserialize)]
pub struct Gets {
    /// How many.
    pub count: u64,
    /// How long all of them took.
    pub elapsed: Duration,
    /// System calls that read, of the thread that gets, in each [`CALLS_COUNTED_OVER`] gets: a
    /// page that left the cache meanwhile makes one read two calls.
    pub read_calls: Vec<u64>,
    /// Data that was found, in bytes.
    pub bytes: u64,
}

impl Gets {
    /// Gets per second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }

    /// Nanoseconds of one get.
    pub fn nanoseconds(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.count as f64
    }

    /// System calls that read, of one get: the median of those counts.
    pub fn calls(&self) -> f64 {
        let mut counts = self.read_calls.clone();
        counts.sort_unstable();
        let median = counts.get(counts.len() / 2).copied().unwrap_or_default();
        median as f64 / self.count.min(CALLS_COUNTED_OVER as u64) as f64
    }
}

/// Brings the store into the page cache, as every contender's, starts the process and waits
/// for what it found: a [`Reading`], or for the bare loop [`Gets`] alone.
pub async fn start<T: DeserializeOwned>(task: &Task) -> Outcome<T> {
    let dir = task.dir.clone();
    tokio::task::spawn_blocking(move || system::warm(&dir)).await??;
    process(task).await
}

/// How long each of some openings takes of the store that was just read from, each by a
/// process of its own that gets another object.
pub async fn open_times(task: &Task) -> Outcome<Vec<Duration>> {
    let mut times = Vec::new();
    for opening in 0..OPENINGS {
        let task = Task { gets: 1, seed: task.seed ^ (opening << 32), ..task.clone() };
        times.push(process::<Reading>(&task).await?.open);
    }
    Ok(times)
}

async fn process<T: DeserializeOwned>(task: &Task) -> Outcome<T> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["read", "--contender", task.contender.name()]);
    command.arg("--dir").arg(&task.dir).arg("--ids").arg(&task.ids);
    command.args(["--gets", &task.gets.to_string(), "--seed", &task.seed.to_string()]);
    let mut child = KillOnDrop(command.stdout(Stdio::piped()).spawn()?);
    let status = loop {
        match child.0.try_wait()? {
            Some(status) => break status,
            None => tokio::time::sleep(CHILD_POLL).await,
        }
    };
    if !status.success() {
        return Err(format!("reading from {}: {status}", task.contender.name()).into());
    }
    // The one line that it prints fits a pipe, so it could end before it was read.
    Ok(serde_json::from_reader(child.0.stdout.take().ok_or("no output")?)?)
}

/// Ends the process with the benchmark, before its files are removed.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What that process does. It has one thread, beside those that an engine starts.
pub fn run(task: &Task) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = with_engine!(
        task.contender,
        E => serde_json::to_string(&runtime.block_on(read::<E>(task))?)?,
        bare => serde_json::to_string(&read_bare(task)?)?
    );
    println!("{found}");
    Ok(())
}

/// Reads the same objects by offsets that are known beforehand: the limit.
fn read_bare(task: &Task) -> Outcome<Gets> {
    let list = fs::File::open(ends_path(&task.ids))?;
    let place_of = |index| {
        // The end before the first object's is 0, and is in the list.
        let mut raw = [0; 2 * size_of::<u64>()];
        list.read_exact_at(&mut raw, index * size_of::<u64>() as u64)?;
        let ends = raw.as_chunks().0;
        Ok((u64::from_le_bytes(ends[0]), u64::from_le_bytes(ends[1])))
    };
    let drawn = draw_indices(task)?.into_iter();
    let places = drawn.map(place_of).collect::<Outcome<Vec<(u64, u64)>>>()?;
    let file = fs::File::open(task.dir.join(APPENDED))?;
    let (begun, mut bytes, mut read_calls) = (Instant::now(), 0, Vec::new());
    for places in places.chunks(CALLS_COUNTED_OVER) {
        let calls = ReadCalls::begin()?;
        for (begin, end) in places {
            let mut data = vec![0; usize::try_from(end - begin)?];
            file.read_exact_at(&mut data, *begin)?;
            bytes += std::hint::black_box(data).len() as u64;
        }
        read_calls.push(calls.end()?);
    }
    let elapsed = begun.elapsed();
    Ok(Gets { count: places.len() as u64, elapsed, read_calls, bytes })
}

async fn read<E: Engine>(task: &Task) -> Outcome<Reading> {
    let present = draw_ids(task)?;
    let absent = absent_ids(task.seed, task.gets);
    system::know_processor();
    let before = system::memory()?.resident_bytes;
    let begun = Instant::now();
    let engine = E::open(&task.dir, READ_CACHE_BYTES).await?;
    let first = engine.get(present[0], |_, _| ()).await?;
    let open = begun.elapsed();
    let opened = system::memory()?.resident_bytes;
    first.ok_or("the first object is not there")?;
    verify(&engine, &present).await?;
    // The first round brings an engine's own caches to where they stay.
    get_all(&engine, &present[..present.len() / 10]).await?;
    let (found, present) = get_all(&engine, &present).await?;
    let (stray, absent) = get_all(&engine, &absent).await?;
    if found != present.count || stray != 0 {
        return Err(format!("{found} of {} found, {stray} too many", present.count).into());
    }
    let peak = system::memory()?.peak_bytes;
    engine.close().await?;
    Ok(Reading {
        open,
        open_bytes: opened.saturating_sub(before),
        peak_bytes: peak.saturating_sub(before),
        present,
        absent,
    })
}

/// Draws objects, with repetition: the same ones for every contender.
fn draw_indices(task: &Task) -> Outcome<Vec<u64>> {
    let count = fs::metadata(&task.ids)?.len() / ID_BYTES as u64;
    let mut rng = ChaCha8Rng::seed_from_u64(task.seed);
    Ok((0..task.gets).map(|_| rng.random_range(0..count)).collect())
}

/// Their ids.
fn draw_ids(task: &Task) -> Outcome<Vec<ObjectId>> {
    let file = fs::File::open(&task.ids)?;
    let id_of = |index| {
        let mut raw = [0; ID_BYTES];
        file.read_exact_at(&mut raw, index * ID_BYTES as u64)?;
        Ok(ObjectId::from_bytes(&raw)?)
    };
    draw_indices(task)?.into_iter().map(id_of).collect()
}

/// Compares what some gets return with their ids. No clock runs.
async fn verify<E: Engine>(engine: &E, ids: &[ObjectId]) -> Outcome<()> {
    for id in ids.iter().take(VERIFIED) {
        let hash = |kind: Kind, data: &[u8]| {
            let mut hasher = ObjectHasher::plain(HashAlgorithm::Sha1, kind, data.len() as u64);
            hasher.update(data);
            hasher.verify(*id)
        };
        engine.get(*id, hash).await?.ok_or_else(|| format!("{id} is not there"))??;
    }
    Ok(())
}

/// Gets objects one after another; how many there were.
async fn get_all<E: Engine>(engine: &E, ids: &[ObjectId]) -> Outcome<(u64, Gets)> {
    let (mut found, mut bytes, mut read_calls) = (0, 0, Vec::new());
    // Looking at both ends keeps the compiler from leaving anything out.
    let look = |_, data: &[u8]| (data.len() as u64, data.first().copied(), data.last().copied());
    let begun = Instant::now();
    for ids in ids.chunks(CALLS_COUNTED_OVER) {
        let calls = ReadCalls::begin()?;
        for id in ids {
            if let Some(seen) = engine.get(*id, look).await? {
                found += 1;
                bytes += std::hint::black_box(seen).0;
            }
        }
        read_calls.push(calls.end()?);
    }
    let elapsed = begun.elapsed();
    Ok((found, Gets { count: ids.len() as u64, elapsed, read_calls, bytes }))
}
