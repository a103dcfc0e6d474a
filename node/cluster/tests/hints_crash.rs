//! A log of hints on a simulated disk: a crash at every operation of the disk in turn, an
//! error at every operation, and a disk that is full for a while.
//!
//! After a crash, whatever the power loss took of what was not synced: the log opens, what
//! was acknowledged is held, what was settled stays so, and what was under way is done or
//! not. In the testbed and not beside the log, because only the simulated disk can crash.
#![cfg(madsim)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitstratum_cluster::repair::hints::{
    DirtyRanges, HintError, HintLog, HintOptions, IdPrefix, Outcome,
};
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Missed, ReasonClass};
use gitstratum_host::Disk;
use gitstratum_host::disk::{Fault, Operation as Step};
use gitstratum_host::simulated::DiskProfile;
use madsim::runtime::Runtime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Targets and ids that there are.
const TARGETS: u8 = 3;
const IDS: u8 = 40;
/// So few bytes that a third of the hints finds no room.
const BYTES_MAX: u64 = 1500;

type Pair = (NodeId, ObjectId);

/// What must hold of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It was never recorded, or was settled.
    NotHeld,
    /// It is held, or its range is dirty.
    Known,
    /// An operation on it was begun and not acknowledged.
    Either,
}

/// What was done, as far as it was acknowledged.
#[derive(Clone, Debug, Default)]
struct Model {
    pairs: BTreeMap<Pair, Expected>,
    dirty: BTreeSet<(NodeId, IdPrefix)>,
    recorded: u64,
}

#[derive(Clone, Debug)]
enum Operation {
    Record(Vec<Pair>),
    Deliver(Pair),
    Mark(NodeId, IdPrefix),
}

fn stream(seed: u64, number: u64) -> ChaCha12Rng {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

fn target(number: u8) -> NodeId {
    NodeId::new(format!("n{number}"))
}

fn draw(seed: u64, operations: usize) -> Vec<Operation> {
    let mut rng = stream(seed, 1);
    let pair = |rng: &mut ChaCha12Rng| {
        let mut raw = [7; 20];
        raw[0] = rng.random_range(0..IDS);
        let id = ObjectId::from_bytes(&raw).expect("twenty bytes are an id");
        (target(rng.random_range(0..TARGETS)), id)
    };
    let one = |_| match rng.random_range(0..10) {
        0..5 => Operation::Record((0..rng.random_range(1..6)).map(|_| pair(&mut rng)).collect()),
        5..9 => Operation::Deliver(pair(&mut rng)),
        _ => Operation::Mark(target(0), IdPrefix::Byte(200 + rng.random_range(0..9))),
    };
    (0..operations).map(one).collect()
}

fn new_disk(seed: u64) -> Disk {
    let ms = |most: u64| Duration::ZERO..=Duration::from_millis(most);
    let slow = DiskProfile { write_latency: ms(3), sync_latency: ms(6), ..DiskProfile::instant() };
    Disk::simulated(if seed.is_multiple_of(2) { DiskProfile::instant() } else { slow }, seed)
}

async fn open(disk: &Disk) -> Result<Arc<HintLog>, HintError> {
    let options = HintOptions { bytes_max: BYTES_MAX, slack_bytes: 700, ..HintOptions::default() };
    HintLog::open(&disk.of_process(), options, &[]).await
}

/// Does one thing; what it is about is in doubt until it was acknowledged.
async fn carry_out(
    log: &Arc<HintLog>,
    model: &Mutex<Model>,
    operation: Operation,
) -> Result<(), HintError> {
    let known = |model: &Model, pair: &Pair| model.pairs.get(pair) == Some(&Expected::Known);
    match operation {
        Operation::Record(pairs) => {
            {
                let model = &mut *model.lock().unwrap();
                for pair in
                    pairs.iter().filter(|pair| !known(model, pair)).cloned().collect::<Vec<_>>()
                {
                    model.pairs.insert(pair, Expected::Either);
                }
            }
            let missed = pairs.iter().map(|(node_id, id)| Missed {
                node_id: node_id.clone(),
                id: *id,
                class: ReasonClass::Unreachable,
                reason: String::new(),
            });
            let recorded = log.record(missed.collect(), 0).await?;
            let model = &mut *model.lock().unwrap();
            model.recorded += recorded.new + recorded.moved_to_ranges;
            model.pairs.extend(pairs.into_iter().map(|pair| (pair, Expected::Known)));
        }
        Operation::Deliver(pair) => {
            if !known(&model.lock().unwrap(), &pair) {
                return Ok(());
            }
            model.lock().unwrap().pairs.insert(pair.clone(), Expected::Either);
            log.settle(&pair.0, vec![(pair.1, Outcome::Delivered)]).await?;
            model.lock().unwrap().pairs.insert(pair, Expected::NotHeld);
        }
        Operation::Mark(target, prefix) => {
            DirtyRanges::of(log).mark(&target, prefix).await?;
            model.lock().unwrap().dirty.insert((target, prefix));
        }
    }
    Ok(())
}

/// Compares a log with the model; then what was in doubt is what was found.
fn settle(log: &Arc<HintLog>, model: &mut Model) -> Result<(), String> {
    let held: BTreeSet<Pair> = log
        .targets()
        .iter()
        .flat_map(|target| log.oldest(target, usize::MAX))
        .map(|hint| (hint.target, hint.id))
        .collect();
    let dirty: BTreeSet<_> =
        DirtyRanges::of(log).list().into_iter().map(|r| (r.target, r.prefix)).collect();
    let is_dirty = |(target, id): &Pair| {
        let either = [IdPrefix::All, IdPrefix::of(id)];
        either.iter().any(|prefix| dirty.contains(&(target.clone(), *prefix)))
    };
    for (pair, expected) in &mut model.pairs {
        let is_held = held.contains(pair);
        match expected {
            Expected::Known if !is_held && !is_dirty(pair) => {
                return Err(format!("{pair:?} was acknowledged and is forgotten"));
            }
            Expected::NotHeld if is_held => {
                return Err(format!("{pair:?} was settled and is held"));
            }
            Expected::Either => {
                *expected = if is_held { Expected::Known } else { Expected::NotHeld };
            }
            _ => {}
        }
    }
    if let Some(pair) = held.iter().find(|pair| !model.pairs.contains_key(pair)) {
        return Err(format!("{pair:?} was never recorded"));
    }
    let all = |target: &NodeId| dirty.contains(&(target.clone(), IdPrefix::All));
    if let Some(range) = model.dirty.iter().find(|range| !dirty.contains(range) && !all(&range.0)) {
        return Err(format!("{range:?} was marked and is not dirty"));
    }
    let numbers = log.numbers();
    if numbers.recorded < model.recorded {
        return Err(format!("{} recorded, it knows of {}", model.recorded, numbers.recorded));
    }
    if numbers.pending + numbers.settled.sum() != numbers.recorded
        || numbers.pending != held.len() as u64
        || numbers.bytes > BYTES_MAX
    {
        return Err(format!("{numbers:?} with {} held", held.len()));
    }
    Ok(())
}

async fn reopened(disk: &Disk, mut model: Model, seed: u64) -> Result<(), String> {
    let opening = |error| format!("opening: {error}");
    let log = open(disk).await.map_err(opening)?;
    settle(&log, &mut model)?;
    // And it can be gone on with.
    let model = Mutex::new(model);
    for operation in draw(seed + 1000, 6) {
        carry_out(&log, &model, operation).await.map_err(|error| error.to_string())?;
    }
    disk.power_lost();
    drop(log);
    let log = open(disk).await.map_err(opening)?;
    settle(&log, &mut model.into_inner().unwrap())
}

/// Whether the work reached the point.
async fn crash_at(seed: u64, point: u64, outcomes: u64, counts: &mut [u64; 2]) -> bool {
    let (disk, model) = (new_disk(seed), Arc::new(Mutex::new(Model::default())));
    disk.create_dir_all("").await.unwrap();
    disk.stop_after(point);
    let work = {
        let (disk, model) = (disk.clone(), model.clone());
        tokio::spawn(async move {
            let log = open(&disk).await?;
            for operation in draw(seed, 40) {
                carry_out(&log, &model, operation).await?;
            }
            settle(&log, &mut model.lock().unwrap().clone()).expect("it holds what it should");
            Ok::<(), HintError>(())
        })
    };
    tokio::select! {
        biased;
        () = disk.stopped() => {}
        ended = work => {
            ended.expect("the work does not panic").expect("the disk is well");
            return false;
        }
    }
    let model = model.lock().unwrap().clone();
    for outcome in 0..outcomes {
        let left = disk.after_power_loss(stream(seed, 2 + point).random::<u64>() ^ outcome);
        counts[1] += 1;
        reopened(&left, model.clone(), seed).await.unwrap_or_else(|problem| {
            panic!("seed {seed}, point {point}, outcome {outcome}: {problem}")
        });
    }
    disk.process_gone();
    reopened(&disk, model, seed)
        .await
        .unwrap_or_else(|problem| panic!("seed {seed}, point {point}, killed: {problem}"));
    true
}

fn simulate<T>(seed: u64, body: impl Future<Output = T>) -> T {
    Runtime::with_seed_and_config(seed, madsim::Config::default()).block_on(body)
}

#[test]
fn a_crash_at_any_operation_forgets_no_acknowledged_hint() {
    let mut counts = [0; 2];
    for seed in 0..4 {
        let mut point = 0;
        while simulate(seed, crash_at(seed, point, 4, &mut counts)) {
            point += 1;
            counts[0] += 1;
        }
    }
    println!("{} I/O points, {} outcomes of a power loss", counts[0], counts[1]);
    assert!(counts[0] > 150, "{counts:?}");
}

/// Whether the fault was met.
async fn fault_at(seed: u64, step: Step, kind: ErrorKind, number: u64) -> Result<bool, String> {
    let (disk, model) = (new_disk(seed << 32 | number), Mutex::new(Model::default()));
    disk.create_dir_all("").await.unwrap();
    let log = open(&disk).await.map_err(|error| error.to_string())?;
    disk.inject(Fault::error(step, kind).after(number).once());
    let mut refused = 0;
    for operation in draw(seed, 40) {
        refused += u64::from(carry_out(&log, &model, operation).await.is_err());
    }
    let now = model.lock().unwrap().clone();
    settle(&log, &mut now.clone())?;
    disk.clear_faults();
    disk.power_lost();
    drop(log);
    reopened(&disk, now, seed).await?;
    if refused > 1 {
        return Err(format!("{refused} operations were refused for one error"));
    }
    Ok(refused > 0 || number < 10)
}

#[test]
fn an_error_at_any_operation_forgets_no_acknowledged_hint_and_is_got_over() {
    let mut runs = 0;
    for step in [Step::Write, Step::Sync, Step::Entry] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            for number in 0..60 {
                let seed = number % 2;
                let met = simulate(seed, fault_at(seed, step, kind, number));
                let met = met.unwrap_or_else(|problem| {
                    panic!("seed {seed}, {step:?} {number} fails as {kind:?}: {problem}")
                });
                runs += u64::from(met);
            }
        }
    }
    println!("{runs} runs met their error");
    assert!(runs > 60, "{runs}");
}
