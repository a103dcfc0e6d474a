//! A crash at every I/O operation in turn: of the work, and of the recovery after it.

use std::fmt;
use std::ops::Range;

use gitstratum_host::Disk;
use gitstratum_store::Store;
use rand::Rng;

use super::model::{Expected, Model, new_disk, open, simulate};
use super::work::{Log, draw, put_in_parts, stream, work};

/// What was gone through.
#[derive(Debug, Default)]
pub struct Counts {
    seeds: u64,
    /// I/O operations at which the machine was stopped.
    pub points: u64,
    /// What power losses left that was opened.
    outcomes: u64,
    /// Recoveries that were stopped in their turn.
    pub stopped_recoveries: u64,
    /// Processes that died while the power stayed.
    killed: u64,
    /// Objects that were acknowledged, summed over the outcomes.
    acknowledged: u64,
    /// Objects being put, and how many of them were there afterwards.
    begun: u64,
    begun_and_there: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { seeds, points, outcomes, stopped_recoveries, killed, .. } = self;
        let Counts { acknowledged, begun, begun_and_there, .. } = self;
        write!(
            f,
            "crash everywhere: {seeds} seeds, {points} I/O points, {outcomes} subsets of the \
             unsynced changes, {stopped_recoveries} recoveries stopped, {killed} killed processes; \
             {acknowledged} acknowledged objects held, {begun_and_there} of {begun} begun ones there"
        )
    }
}

/// Stops the work of each seed at each of its I/O operations, looks at so many outcomes of
/// a power loss at each, and stops the recovery from each outcome once more.
///
/// # Panics
/// When an outcome breaks the store's promise: with the seed, the point and the outcome.
pub fn everywhere(seeds: Range<u64>, operations: usize, outcomes: u64) -> Counts {
    let mut counts = Counts::default();
    for seed in seeds {
        counts.seeds += 1;
        let mut point = 0;
        while simulate(seed, at_point(seed, operations, point, outcomes, &mut counts)) {
            point += 1;
            counts.points += 1;
        }
    }
    counts
}

/// Whether the work reached the point.
async fn at_point(
    seed: u64,
    operations: usize,
    point: u64,
    outcomes: u64,
    counts: &mut Counts,
) -> bool {
    let (disk, log) = (new_disk(seed), Log::new());
    disk.stop_after(point);
    let running = tokio::spawn(work(disk.of_process(), draw(seed, operations), log.clone()));
    let ended = tokio::select! {
        biased;
        () = disk.stopped() => None,
        ended = running => Some(ended.expect("the work does not panic")),
    };
    if let Some(ended) = ended {
        ended.unwrap_or_else(|problem| panic!("seed {seed}, before point {point}: {problem:?}"));
        return false;
    }
    let model = log.now();
    for number in 0..outcomes {
        let draw = stream(seed, 1 + point).random::<u64>().wrapping_add(number);
        let checked = outcome(&disk, &model, draw, counts).await;
        checked.unwrap_or_else(|problem| {
            panic!(
                "seed {seed}, {operations} operations, point {point}, outcome {number}: {problem}"
            )
        });
    }
    // The same moment, but only the process dies.
    counts.killed += 1;
    disk.process_gone();
    let checked = recovered(&disk, model).await;
    checked.unwrap_or_else(|problem| {
        panic!("seed {seed}, {operations} operations, point {point}, killed: {problem}")
    });
    true
}

/// Opens what a power loss leaves, also after a stop within recovery.
async fn outcome(disk: &Disk, model: &Model, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let left = disk.after_power_loss(seed);
    counts.outcomes += 1;
    let mut found = recovered(&left, model.clone()).await?;
    for (before, after) in model.expected.iter().zip(found.drain(..)) {
        match before {
            Expected::Present => counts.acknowledged += 1,
            Expected::Either => {
                counts.begun += 1;
                counts.begun_and_there += u64::from(after);
            }
            Expected::Absent => {}
        }
    }

    let left = disk.after_power_loss(seed);
    let again = left.copy();
    open(&again).await.map_err(|error| format!("opening: {error}"))?.close().await;
    let mut rng = stream(seed, 0);
    left.stop_after(rng.random_range(0..again.operations()));
    let opening = tokio::spawn({
        let left = left.clone();
        async move {
            if let Ok(store) = open(&left).await {
                store.close().await;
            }
        }
    });
    tokio::select! {
        biased;
        () = left.stopped() => counts.stopped_recoveries += 1,
        // Where things take time, a second opening may go another way.
        ended = opening => ended.expect("opening does not panic"),
    }
    let twice = left.after_power_loss(rng.random());
    left.process_gone();
    let checked = recovered(&twice, model.clone()).await;
    checked.map(|_| ()).map_err(|problem| format!("after a stop in recovery: {problem}"))
}

/// Opens the disk as a new process would, compares, goes on, and compares once more after
/// the power went again. Says which objects were found.
async fn recovered(disk: &Disk, mut model: Model) -> Result<Vec<bool>, String> {
    let opening = |error| format!("opening: {error}");
    let store = open(disk).await.map_err(opening)?;
    model.settle(&*store).await?;
    model.check_snapshots(disk).await?;
    let found = model.expected.iter().map(|expected| *expected == Expected::Present).collect();
    // What was found has to stay, without a clean end.
    disk.power_lost();
    drop(store);
    let store = open(disk).await.map_err(opening)?;
    let after = |problem| format!("after a second power loss: {problem}");
    model.check_count(&store).await.map_err(after)?;

    let objects = model.objects.clone();
    for (n, object) in objects.iter().enumerate() {
        let stored = match n % 5 {
            0 => put_in_parts(&store, object).await,
            _ => store.put(vec![object.clone()]).await.remove(0),
        };
        let stored = stored.map_err(|error| format!("object {n} could not be put: {error}"))?;
        if stored.already_present != (model.expected[n] == Expected::Present) {
            return Err(format!("object {n}: {stored:?}, was {:?}", model.expected[n]));
        }
        model.acknowledge(n);
    }
    disk.power_lost();
    drop(store);
    let store = open(disk).await.map_err(opening)?;
    let last = |problem| format!("after putting everything and a power loss: {problem}");
    model.check_count(&store).await.map_err(last)?;
    store.close().await;
    Ok(found)
}
