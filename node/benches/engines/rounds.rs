//! The rounds: in each, every contender takes its turn at every row.
//!
//! The bare loop always follows our store, because it makes as many groups as our store
//! just made; the engines' places rotate from round to round.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::object::Object;

use crate::contenders::{Contender, Engine, LOAD_CACHE_BYTES, Ours};
use crate::corpus::{Corpus, Recipe};
use crate::load::{InBlocks, InClaimedBlocks, Jobs, Load, Singly, append_all, put_all};
use crate::reader::{self, Gets, Reading};
use crate::results::{Better, Results, Target, median};
use crate::sizes::Sizes;
use crate::{Outcome, system, table, with_engine};

/// Where all content is drawn from.
const SEED: u64 = 0x6769_7473;
/// Bytes that one contender is to write in a bulk load at most.
const BULK_BYTES_MAX: u64 = 3_000_000_000;
/// Batches of a bulk load that are put at once.
const BULK_WRITERS: usize = 4;

/// Memory that is made ready before each turn, for each byte that it writes.
const MEMORY_PER_PAYLOAD: u64 = 2;

/// Gets that one core is to answer in a second.
const GETS_PER_SECOND: f64 = 300_000.0;

/// Durable puts, each waited for before its writer begins the next.
#[derive(Clone, Copy, Debug)]
pub struct Puts {
    /// At once.
    pub writers: usize,
    /// That they put in all, in one turn.
    pub objects: u64,
    /// Turns of every contender in one round: they are short, and disks have moods.
    pub turns: usize,
}

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How large objects are.
    pub sizes: Sizes,
    /// The rows of durable puts.
    pub puts: Vec<Puts>,
    /// Objects of the bulk load.
    pub bulk_objects: u64,
    /// Gets of objects that are there, and as many of others.
    pub gets: usize,
    /// Turns of every contender.
    pub rounds: usize,
    /// Who takes part; everybody when empty.
    pub only: Vec<Contender>,
}

impl Plan {
    /// The measurement.
    pub fn full(sizes: Sizes) -> Self {
        Plan {
            sizes,
            puts: vec![
                Puts { writers: 1, objects: 1_000, turns: 9 },
                Puts { writers: 16, objects: 20_000, turns: 3 },
                Puts { writers: 64, objects: 40_000, turns: 3 },
            ],
            bulk_objects: 2_000_000,
            gets: 500_000,
            rounds: 3,
            only: Vec::new(),
        }
    }

    /// The same in small, under a minute.
    pub fn quick(sizes: Sizes) -> Self {
        Plan {
            sizes,
            puts: vec![
                Puts { writers: 1, objects: 200, turns: 3 },
                Puts { writers: 16, objects: 2_000, turns: 3 },
                Puts { writers: 64, objects: 6_000, turns: 3 },
            ],
            bulk_objects: 60_000,
            gets: 100_000,
            rounds: 1,
            only: Vec::new(),
        }
    }
}

/// Measures everything and prints it.
pub async fn run(dir: &Path, plan: &Plan) -> Outcome<()> {
    let bulk_sizes = plan.sizes.fitting(plan.bulk_objects, BULK_BYTES_MAX);
    table::print_head(dir, plan, &bulk_sizes)?;
    let mut results = Results::default();
    for &Puts { writers, objects, turns } in &plan.puts {
        eprintln!("drawing {objects} objects");
        let corpus = draw(objects, &plan.sizes).await?;
        for turn in 0..plan.rounds * turns {
            puts(dir, &corpus, writers, (turn, plan), &mut results).await?;
        }
    }
    eprintln!("drawing {} objects", plan.bulk_objects);
    let corpus = draw(plan.bulk_objects, &bulk_sizes).await?;
    table::print_compressibility(&corpus)?;
    let ids = dir.join("ids");
    reader::write_lists(&corpus, &ids)?;
    for round in 0..plan.rounds {
        bulk(dir, &corpus, &ids, plan, round, &mut results).await?;
    }
    table::print(&results);
    Ok(())
}

async fn draw(objects: u64, sizes: &Sizes) -> Outcome<Arc<Corpus>> {
    let recipe = Recipe { seed: SEED, objects, sizes: sizes.clone() };
    Ok(Arc::new(tokio::task::spawn_blocking(move || Corpus::draw(&recipe)).await??))
}

/// Who goes when in a round.
fn turns(round: usize, only: &[Contender]) -> Vec<Contender> {
    let mut engines = vec![
        Contender::Redb,
        Contender::Fjall,
        #[cfg(feature = "rocksdb")]
        Contender::Rocksdb,
    ];
    let count = engines.len();
    engines.rotate_left(round % count);
    // Our store and the bare loop go first, in the middle or last.
    let place = round % (count + 1);
    engines.splice(place..place, [Contender::Ours, Contender::Bare]);
    engines.retain(|contender| only.is_empty() || only.contains(contender));
    engines
}

/// A directory for one turn, empty at its beginning and gone after it.
fn turn_dir(dir: &Path, contender: Contender) -> Outcome<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix(contender.name()).tempdir_in(dir)?)
}

async fn puts(
    dir: &Path,
    corpus: &Arc<Corpus>,
    writers: usize,
    (turn, plan): (usize, &Plan),
    results: &mut Results,
) -> Outcome<()> {
    let objects: Vec<Object> = corpus.blocks.iter().flat_map(|block| block.objects()).collect();
    let jobs: Arc<dyn Jobs> = Arc::new(Singly(objects));
    let what = match writers {
        1 => "durable puts, 1 writer".to_owned(),
        _ => format!("durable puts, {writers} writers"),
    };
    let mut groups = corpus.objects;
    for contender in turns(turn, &plan.only) {
        eprintln!("turn {}: {what}: {}", turn + 1, contender.name());
        let dir = turn_dir(dir, contender)?;
        system::warm_memory(corpus.payload_bytes * MEMORY_PER_PAYLOAD)?;
        let load = with_engine!(
            contender,
            E => {
                let engine = Arc::new(E::open(dir.path(), LOAD_CACHE_BYTES).await?);
                let load = put_all(&engine, jobs.clone(), writers).await?;
                only(engine)?.close().await?;
                load
            },
            bare => append_all(dir.path(), corpus, groups).await?
        );
        if contender == Contender::Ours {
            groups = load.syncs.unwrap_or(groups);
        }
        enter_load(
            results,
            contender,
            &what,
            corpus,
            &load,
            Target { ahead: 1.0, share_of_bare: (writers == 64).then_some(0.7), figure: None },
        );
        for (unit, share) in [("p50 ms", 0.50), ("p99 ms", 0.99)] {
            let row = (unit, Better::Neither, Target::default());
            results.enter(contender, &what, row, load.latency_ms(share));
        }
    }
    Ok(())
}

fn enter_load(
    results: &mut Results,
    contender: Contender,
    what: &str,
    corpus: &Corpus,
    load: &Load,
    target: Target,
) {
    let seconds = load.elapsed.as_secs_f64();
    let rate = ("objects/s", Better::Higher, target);
    results.enter(contender, what, rate, corpus.objects as f64 / seconds);
    let bytes = ("MB/s", Better::Neither, Target::default());
    results.enter(contender, what, bytes, corpus.payload_bytes as f64 / 1e6 / seconds);
    if let Some(syncs) = load.syncs {
        let count = ("fdatasyncs", Better::Neither, Target::default());
        results.enter(contender, what, count, syncs as f64);
    }
}

/// The engine, when nobody else holds it any more.
fn only<E>(engine: Arc<E>) -> Outcome<E> {
    Arc::into_inner(engine).ok_or_else(|| "a writer outlived its load".into())
}

async fn bulk(
    dir: &Path,
    corpus: &Arc<Corpus>,
    ids: &Path,
    plan: &Plan,
    round: usize,
    results: &mut Results,
) -> Outcome<()> {
    let jobs: Arc<dyn Jobs> = Arc::new(InBlocks(corpus.clone()));
    let what = format!("bulk load of {} objects", corpus.objects);
    let mut groups = corpus.blocks.len() as u64;
    for contender in turns(round, &plan.only) {
        eprintln!("round {}: {what}: {}", round + 1, contender.name());
        let dir = turn_dir(dir, contender)?;
        system::warm_memory(corpus.payload_bytes * MEMORY_PER_PAYLOAD)?;
        let load = with_engine!(
            contender,
            E => {
                let engine = Arc::new(E::open(dir.path(), LOAD_CACHE_BYTES).await?);
                let load = put_all(&engine, jobs.clone(), BULK_WRITERS).await?;
                engine.settle().await?;
                only(engine)?.close().await?;
                load
            },
            bare => append_all(dir.path(), corpus, groups).await?
        );
        if contender == Contender::Ours {
            groups = load.syncs.unwrap_or(groups);
            claimed(dir.path(), corpus, results).await?;
        }
        let target = Target { ahead: 3.0, ..Target::default() };
        enter_load(results, contender, &what, corpus, &load, target);
        let occupied = system::disk_bytes(dir.path())? as f64 / corpus.payload_bytes as f64;
        let ahead = Target { ahead: 1.0, ..Target::default() };
        let row = ("bytes/byte", Better::Lower, ahead);
        results.enter(contender, "disk per byte of payload", row, occupied);
        eprintln!("round {}: gets: {}", round + 1, contender.name());
        let seed = SEED + round as u64;
        let task = reader::Task::new(contender, dir.path(), ids, plan.gets, seed);
        match contender {
            Contender::Bare => enter_present(results, contender, &reader::start(&task).await?),
            _ => {
                enter_reading(results, contender, corpus, &reader::start(&task).await?);
                enter_openings(results, contender, &reader::open_times(&task).await?);
            }
        }
    }
    Ok(())
}

/// The load once more into another store of ours, as a replica gets it: every id is to be
/// computed from the data that came with it, which is no engine's business but ours.
async fn claimed(beside: &Path, corpus: &Arc<Corpus>, results: &mut Results) -> Outcome<()> {
    let parent = beside.parent().ok_or("a turn has a directory of its own")?;
    let dir = turn_dir(parent, Contender::Ours)?;
    system::warm_memory(corpus.payload_bytes * MEMORY_PER_PAYLOAD)?;
    let engine = Arc::new(Ours::open(dir.path(), LOAD_CACHE_BYTES).await?);
    let load = put_all(&engine, Arc::new(InClaimedBlocks(corpus.clone())), BULK_WRITERS).await?;
    only(engine)?.close().await?;
    let rate = corpus.objects as f64 / load.elapsed.as_secs_f64();
    let row = ("objects/s", Better::Neither, Target::default());
    results.enter(Contender::Ours, "bulk load, ids computed on the clock", row, rate);
    Ok(())
}

fn enter_reading(results: &mut Results, contender: Contender, corpus: &Corpus, reading: &Reading) {
    enter_present(results, contender, &reading.present);
    let ahead = Target { ahead: 1.0, ..Target::default() };
    let mut enter = |what: &str, unit, better, target, figure| {
        results.enter(contender, what, (unit, better, target), figure);
    };
    let told = Target::default();
    let absent = "gets of absent ids, 1 thread";
    enter(absent, "gets/s", Better::Higher, ahead, reading.absent.rate());
    enter(absent, "read calls/get", Better::Neither, told, reading.absent.calls());
    let small = Target { figure: Some(3.0), ..ahead };
    let objects = corpus.objects as f64;
    let resident = "memory, resident";
    let opened = reading.open_bytes as f64 / objects;
    enter(resident, "bytes/object when open", Better::Neither, told, opened);
    let peak = reading.peak_bytes as f64 / objects;
    enter(resident, "bytes/object, peak", Better::Lower, small, peak);
}

fn enter_openings(results: &mut Results, contender: Contender, times: &[Duration]) {
    let target = Target { ahead: 3.0, ..Target::default() };
    let times = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    let row = ("ms", Better::Lower, target);
    let median = median(times).expect("there are some");
    results.enter(contender, "open until the first get is answered", row, median);
}

fn enter_present(results: &mut Results, contender: Contender, gets: &Gets) {
    let what = "random gets from page cache, 1 thread";
    let target = Target { ahead: 1.0, figure: Some(GETS_PER_SECOND), ..Target::default() };
    results.enter(contender, what, ("gets/s", Better::Higher, target), gets.rate());
    let calls = ("read calls/get", Better::Neither, Target::default());
    results.enter(contender, what, calls, gets.calls());
}
