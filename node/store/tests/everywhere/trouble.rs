//! An error at every operation of the disk in turn, and a disk that is full at any byte.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use gitstratum_host::Disk;
use gitstratum_host::disk::{Fault, Operation as Step};
use gitstratum_store::{SegmentStore, Store};

use super::model::{new_disk, open, simulate};
use super::work::{Log, Operation, Problem, carry_out, draw, put_in_parts, work};

/// What was gone through.
#[derive(Debug, Default)]
pub struct Counts {
    /// Runs of the work, each with one trouble.
    pub runs: u64,
    /// Operations on the store that it refused.
    pub refused: u64,
    /// Openings that failed.
    unopened: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { runs, refused, unopened } = self;
        write!(f, "{runs} runs, {refused} operations refused, {unopened} openings failed")
    }
}

/// Lets each operation of a kind fail in a run of its own, once or from then on until the
/// store is opened again; then nothing acknowledged may be lost, also not with the power.
///
/// # Panics
/// When the store's promise is broken: with the seed, the kind and the number.
pub fn errors_everywhere(seed: u64, operations: usize) -> Counts {
    let mut counts = Counts::default();
    for kind in [Step::Write, Step::Sync, Step::Entry, Step::Read] {
        for lasts in [false, true] {
            let mut number = 0;
            while simulate(seed, one_error(seed, operations, kind, number, lasts, &mut counts))
                .unwrap_or_else(|problem| {
                    panic!("seed {seed}, {kind:?} {number} fails, lasts {lasts}: {problem}")
                })
            {
                number += if kind == Step::Read { 7 } else { 1 };
                counts.runs += 1;
            }
        }
    }
    counts
}

/// Whether the error was met.
async fn one_error(
    seed: u64,
    operations: usize,
    kind: Step,
    number: u64,
    lasts: bool,
    counts: &mut Counts,
) -> Result<bool, String> {
    // A seed of its own, for what a failed sync leaves is drawn.
    let (disk, log) = (new_disk(seed << 32 | number), Log::new());
    let fault = Fault::error(kind, ErrorKind::Other).after(number);
    disk.inject(if lasts { fault } else { fault.once() });
    let refused = counts.refused + counts.unopened;
    let store = through_trouble(&disk, operations, &log, seed, counts).await?;
    if let Some(store) = store {
        store.close().await;
    }
    disk.clear_faults();
    let opening = |error| format!("opening: {error}");
    let store = open(&disk).await.map_err(opening)?;
    let mut model = log.now();
    model.settle(&*store).await?;
    disk.power_lost();
    drop(store);
    let store = open(&disk).await.map_err(opening)?;
    let last = |problem| format!("after a power loss: {problem}");
    model.check_all(&*store).await.map_err(last)?;
    Ok(counts.refused + counts.unopened > refused)
}

/// Does the work as far as the disk allows; the store as it is in the end.
async fn through_trouble(
    disk: &Disk,
    operations: usize,
    log: &Log,
    seed: u64,
    counts: &mut Counts,
) -> Result<Option<Arc<SegmentStore>>, String> {
    let mut store = None;
    for operation in draw(seed, operations) {
        let open_store = match &mut store {
            Some(store) => store,
            None => match open(disk).await {
                Ok(opened) => store.insert(opened),
                Err(_) => {
                    counts.unopened += 1;
                    continue;
                }
            },
        };
        match carry_out(disk, open_store, &operation, log).await {
            Ok(()) => {}
            // A read that failed is no broken promise while reads fail.
            Err(Problem::Wrong(what)) if what.contains("injected fault") => counts.refused += 1,
            Err(Problem::Wrong(what)) => return Err(format!("{operation:?}: {what}")),
            Err(Problem::Refused(_)) => {
                counts.refused += 1;
                let closed = matches!(operation, Operation::Reopen);
                if closed || open_store.condition().failed.is_some() {
                    open_store.close().await;
                    store = None;
                }
            }
        }
    }
    Ok(store)
}

/// Gives the disk room for every `stride`-th number of bytes up to what the work needs.
/// What does not fit is refused; when there is room the same store takes it.
///
/// # Panics
/// When the store's promise is broken: with the seed and the room.
pub fn full_everywhere(seed: u64, operations: usize, stride: usize) -> Counts {
    let roomy = new_disk(seed);
    let done = simulate(seed, work(roomy.clone(), draw(seed, operations), Log::new()));
    done.unwrap_or_else(|problem| panic!("seed {seed}: {problem:?}"));
    let needed: u64 = roomy.files().iter().map(|(_, len)| len).sum();
    let mut counts = Counts::default();
    for room in (0..needed).step_by(stride) {
        let done = simulate(seed, one_room(seed, operations, room, &mut counts));
        done.unwrap_or_else(|problem| panic!("seed {seed}, room for {room} bytes: {problem}"));
        counts.runs += 1;
    }
    counts
}

async fn one_room(
    seed: u64,
    operations: usize,
    room: u64,
    counts: &mut Counts,
) -> Result<(), String> {
    let (disk, log) = (new_disk(seed), Log::new());
    disk.set_capacity_bytes(Some(room));
    let store = through_trouble(&disk, operations, &log, seed, counts).await?;
    disk.set_capacity_bytes(None);
    let opening = |error| format!("opening: {error}");
    let store = match store {
        Some(store) => store,
        None => open(&disk).await.map_err(opening)?,
    };
    if let Some(reason) = store.condition().failed {
        return Err(format!("a full disk ended all writing: {reason}"));
    }
    log.now().check_all(&*store).await?;
    let objects = log.now().objects;
    for (n, object) in objects.iter().enumerate() {
        let stored = match n % 5 {
            0 => put_in_parts(&store, object).await,
            _ => store.put(vec![object.clone()]).await.remove(0),
        };
        stored.map_err(|error| format!("object {n} is refused with room enough: {error}"))?;
        log.model().acknowledge(n);
    }
    disk.power_lost();
    drop(store);
    let store = open(&disk).await.map_err(opening)?;
    let last = |problem| format!("after a power loss: {problem}");
    log.now().check_all(&*store).await.map(|_| ()).map_err(last)
}
