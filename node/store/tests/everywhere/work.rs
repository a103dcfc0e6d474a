//! Random work on a store, drawn from a seed, and the model that goes along.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_core::replica::{StoreError, Stored};
use gitstratum_host::Disk;
use gitstratum_store::{CompactOptions, OpenError, SegmentStore, Store};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::model::{Expected, Model, new_disk, open, simulate};

/// Objects that the work is about: few, so that many come again.
pub const OBJECTS: usize = 40;

/// One operation. Numbers are those of objects.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Puts batches, all at once.
    Put(Vec<Vec<usize>>),
    /// Puts batches one soon after the other: some come while others are flushed.
    Stream(Vec<Vec<usize>>),
    /// Puts an object in parts.
    PutLarge(usize),
    /// Begins to put an object in parts and gives it up.
    Abandon(usize),
    /// Deletes objects.
    Delete(Vec<usize>),
    /// Ends the segment that puts are appended to.
    Seal,
    /// Rewrites segments with more garbage than so many hundredths.
    Compact(u8),
    /// Compacts while batches are put and others deleted.
    Mix { puts: Vec<Vec<usize>>, deletes: Vec<usize> },
    /// Makes a snapshot.
    Snapshot,
    /// Verifies all that is on the disk.
    Scrub,
    /// Reads everything.
    Check,
    /// Closes the store and opens it again.
    Reopen,
}

/// The generator for one purpose.
pub fn stream(seed: u64, purpose: u64) -> ChaCha12Rng {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

/// Draws so many operations.
pub fn draw(seed: u64, count: usize) -> Vec<Operation> {
    let rng = &mut stream(seed, 0);
    let objects = Model::new(OBJECTS).objects.len();
    let batch = |rng: &mut ChaCha12Rng| {
        let size = rng.random_range(1..5);
        (0..size).map(|_| rng.random_range(0..objects)).collect::<Vec<_>>()
    };
    let batches = |rng: &mut ChaCha12Rng, count| (0..count).map(|_| batch(rng)).collect();
    let operation = |rng: &mut ChaCha12Rng| match rng.random_range(0..40) {
        0..10 => Operation::Put(batches(rng, 1)),
        10..13 => Operation::Put(batches(rng, 3)),
        13..16 => Operation::Stream(batches(rng, 6)),
        16..20 => Operation::PutLarge(rng.random_range(0..objects)),
        20 => Operation::Abandon(rng.random_range(0..objects)),
        21..27 => Operation::Delete(batch(rng)),
        27 => Operation::Seal,
        28..30 => Operation::Compact(rng.random_range(0..60)),
        30..33 => {
            // The same object put and deleted at once would be there or not.
            let split = rng.random_range(1..objects);
            let mut puts: Vec<Vec<usize>> = batches(rng, 3);
            puts.iter_mut().flatten().for_each(|n| *n %= split);
            let deletes = batch(rng).into_iter().map(|n| split + n % (objects - split)).collect();
            Operation::Mix { puts, deletes }
        }
        33 => Operation::Snapshot,
        34..36 => Operation::Scrub,
        36 => Operation::Check,
        _ => Operation::Reopen,
    };
    (0..count).map(|_| operation(rng)).collect()
}

/// The model of work under way.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Model>>);

impl Log {
    pub fn new() -> Self {
        Log(Arc::new(Mutex::new(Model::new(OBJECTS))))
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().expect("a test that panicked goes no further")
    }

    /// The model as it is now.
    pub fn now(&self) -> Model {
        self.model().clone()
    }
}

/// Why work does not go on.
#[derive(Debug)]
pub enum Problem {
    /// The store did not do as asked, and said so.
    Refused(String),
    /// What the store holds is not what it must hold.
    Wrong(String),
}

impl Problem {
    fn within(self, place: &str) -> Self {
        match self {
            Problem::Refused(why) => Problem::Refused(format!("{place}: {why}")),
            Problem::Wrong(what) => Problem::Wrong(format!("{place}: {what}")),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::Refused(error.to_string())
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        Problem::Refused(format!("opening: {error}"))
    }
}

/// Opens the store, does all operations, and closes it, or says what went wrong.
pub async fn work(disk: Disk, operations: Vec<Operation>, log: Log) -> Result<(), Problem> {
    let mut store = open(&disk).await?;
    for (number, operation) in operations.iter().enumerate() {
        let done = carry_out(&disk, &mut store, operation, &log).await;
        let place = || format!("operation {number}, {operation:?}");
        done.map_err(|problem| problem.within(&place()))?;
    }
    log.now().check_count(&store).await.map_err(Problem::Wrong)?;
    store.close().await;
    Ok(())
}

/// Carries out one operation.
pub async fn carry_out(
    disk: &Disk,
    store: &mut Arc<SegmentStore>,
    operation: &Operation,
    log: &Log,
) -> Result<(), Problem> {
    let objects = log.now().objects;
    match operation {
        Operation::Put(batches) => put(store, batches, Duration::ZERO, log).await,
        Operation::Stream(batches) => put(store, batches, Duration::from_millis(2), log).await,
        Operation::PutLarge(n) => {
            log.model().begin(&[*n]);
            put_in_parts(store, &objects[*n]).await?;
            log.model().acknowledge(*n);
            Ok(())
        }
        Operation::Abandon(n) => {
            let mut writer = store.put_large(objects[*n].head()).await?;
            let part = objects[*n].data().slice(..objects[*n].data().len() / 2);
            Ok(writer.write(part).await?)
        }
        Operation::Delete(objects) => delete(store, objects, log).await,
        Operation::Seal => Ok(store.seal().await?),
        Operation::Compact(percent) => compact(store, f64::from(*percent) / 100.0).await,
        Operation::Mix { puts, deletes } => {
            let puts = put(store, puts, Duration::ZERO, log);
            let deletes = delete(store, deletes, log);
            let (compacted, put, deleted) = tokio::join!(compact(store, 0.1), puts, deletes);
            compacted.and(put).and(deleted)
        }
        Operation::Snapshot => {
            let name = log.model().begin_snapshot();
            store.snapshot(&name).await?;
            log.model().acknowledge_snapshot();
            Ok(())
        }
        Operation::Scrub => {
            let found = store.scrub(None).await?;
            if found.damaged.is_empty() {
                return Ok(());
            }
            Err(Problem::Wrong(format!("scrub finds damage: {:?}", found.damaged)))
        }
        Operation::Check => {
            log.now().check_all(&**store).await.map_err(Problem::Wrong)?;
            log.now().check_snapshots(disk).await.map_err(Problem::Wrong)
        }
        Operation::Reopen => {
            store.close().await;
            *store = open(disk).await?;
            Ok(())
        }
    }
}

/// Puts batches, each so long after the one before it.
async fn put(
    store: &SegmentStore,
    batches: &[Vec<usize>],
    apart: Duration,
    log: &Log,
) -> Result<(), Problem> {
    let objects = log.now().objects;
    let puts = batches.iter().enumerate().map(async |(place, batch)| {
        if !apart.is_zero() {
            tokio::time::sleep(apart * place as u32).await;
        }
        log.model().begin(batch);
        let wanted = batch.iter().map(|&n| objects[n].clone()).collect();
        let mut refused = Ok(());
        for (&n, stored) in batch.iter().zip(store.put(wanted).await) {
            match stored {
                Ok(_) => log.model().acknowledge(n),
                Err(error) => refused = Err(error.into()),
            }
        }
        refused
    });
    join_all(puts).await.into_iter().collect()
}

async fn delete(store: &SegmentStore, objects: &[usize], log: &Log) -> Result<(), Problem> {
    let model = log.now();
    log.model().begin_delete(objects);
    let ids: Vec<_> = objects.iter().map(|&n| model.objects[n].id()).collect();
    let deleted = store.delete(&ids).await?;
    log.model().acknowledge_delete(objects);
    let distinct: BTreeSet<usize> = objects.iter().copied().collect();
    let count =
        |expected| distinct.iter().filter(|n| model.expected[**n] == expected).count() as u64;
    let (least, perhaps) = (count(Expected::Present), count(Expected::Either));
    if (least..=least + perhaps).contains(&deleted.objects) {
        return Ok(());
    }
    Err(Problem::Wrong(format!("{deleted:?}, of {least} that were there, perhaps {perhaps} more")))
}

async fn compact(store: &SegmentStore, garbage_share_min: f64) -> Result<(), Problem> {
    store.compact(CompactOptions { garbage_share_min, bytes_per_second: None }).await?;
    Ok(())
}

/// Puts an object in a few parts.
pub async fn put_in_parts(
    store: &SegmentStore,
    object: &gitstratum_core::object::Object,
) -> Result<Stored, StoreError> {
    let mut writer = store.put_large(object.head()).await?;
    for part in object.data().chunks(1700) {
        writer.write(Bytes::copy_from_slice(part)).await?;
    }
    writer.finish().await
}

/// Does drawn work on a disk that does nothing wrong.
///
/// # Panics
/// When the store does not do what the model says.
pub fn run_through(seed: u64, count: usize) {
    let done = simulate(seed, work(new_disk(seed), draw(seed, count), Log::new()));
    done.unwrap_or_else(|problem| panic!("seed {seed}: {problem:?}"));
}
