//! What a large catalog takes: memory, a clone, a snapshot, reading it back, and updates while a
//! clone is held.
//!
//! `cargo run -p gitstratum-catalog --example million [-- REPOSITORIES]`: repositories of five
//! refs each, `HEAD` included, made by commands as a cluster would. Memory is what the process has
//! resident, and beside the time that passed stands the time on a processor, both by Linux's
//! `/proc`: on a busy machine only the second says much.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gitstratum_catalog::command::{
    Command, CreateRepository, Expected, NewTarget, Operation, Push, RefUpdate, Request,
};
use gitstratum_catalog::encode::{SnapshotReader, snapshot};
use gitstratum_catalog::entity::{Pack, RepositoryLimits};
use gitstratum_catalog::ids::{ClientId, PackId, RepositoryId};
use gitstratum_catalog::{Reply, State, dump};
use gitstratum_core::object::{HashAlgorithm, ObjectId};

const REPOSITORIES: u64 = 1_000_000;
const UPDATES: u64 = 20_000;
const REFS: [&str; 4] =
    ["refs/heads/main", "refs/heads/feature/login", "refs/tags/v1.0.0", "refs/pull/17/head"];

fn main() {
    let repositories = std::env::args().nth(1).map_or(REPOSITORIES, |count| {
        count.parse().expect("the argument is a number of repositories")
    });
    let empty = resident_bytes();
    let watch = Stopwatch::start();
    let mut state = State::new(0);
    let mut position = 0;
    for id in 1..=repositories {
        for operation in [create(id), push(id, 0)] {
            apply(&mut state, &mut position, operation);
        }
    }
    let counts = state.counts();
    println!("{} repositories, {} refs, {} packs", counts.repositories, counts.refs, counts.packs);
    watch.report("made by commands", &format!("{} commands", 2 * repositories));
    let full = resident_bytes();
    println!(
        "{:>28} {} MB, {} bytes a repository",
        "memory",
        (full - empty) >> 20,
        (full - empty) / repositories
    );

    let watch = Stopwatch::start();
    let held = state.clone();
    watch.report("clone", "");
    let alone = percentiles(&mut state, &mut position, repositories, 0);
    println!("{:>28} {alone}", "an update after the clone");
    println!("{:>28} {} MB", "memory with the clone", (resident_bytes() - empty) >> 20);
    drop(held);
    let alone = percentiles(&mut state, &mut position, repositories, 1);
    println!("{:>28} {alone}", "an update without one");

    let watch = Stopwatch::start();
    let frames: Vec<Vec<u8>> = snapshot(&state).collect();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let largest = frames.iter().map(Vec::len).max().unwrap_or(0);
    let text = format!("{} MB in {} frames, of at most {largest} bytes", bytes >> 20, frames.len());
    watch.report("snapshot", &text);

    let before = resident_bytes();
    let watch = Stopwatch::start();
    let mut reader = SnapshotReader::default();
    for frame in &frames {
        reader.add(frame).expect("frames that were just made are read");
    }
    let back = reader.finish().expect("all frames came");
    watch.report("read back", &format!("{} MB of memory", (resident_bytes() - before) >> 20));
    assert!(back == state, "a state comes back from its snapshot");
    drop((back, frames));

    let watch = Stopwatch::start();
    let mut text = Vec::new();
    dump::dump(&state, &mut text).expect("memory takes what is written to it");
    watch.report("dump", &format!("{} MB", text.len() >> 20));
    let watch = Stopwatch::start();
    black_box(dump::load(&text[..]).expect("a dump that was just made is read"));
    watch.report("load", "");
}

#[expect(clippy::disallowed_methods, reason = "a measurement goes by the machine's clock")]
fn now() -> Instant {
    Instant::now()
}

/// What a step takes.
struct Stopwatch {
    began: Instant,
    on_processor: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch { began: now(), on_processor: on_processor() }
    }

    fn report(self, what: &str, more: &str) {
        let passed = self.began.elapsed();
        let on_processor = on_processor().saturating_sub(self.on_processor);
        println!("{what:>28} {passed:.3?} ({on_processor:.3?} on a processor) {more}");
    }
}

/// Time of this thread on a processor; 0 where the system does not say.
fn on_processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Applies a command; says how long that took.
fn apply(state: &mut State, position: &mut u64, operation: Operation) -> Duration {
    *position += 1;
    let request = Request { client: ClientId([1; 16]), number: *position };
    let at_ms = 1_700_000_000_000 + *position;
    let command =
        Command { group: 0, request, at_ms, who: "ann@example.org".to_owned(), operation };
    let began = now();
    let reply = state.apply(*position, command);
    let took = began.elapsed();
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    took
}

/// Updates of one ref in repositories far from each other.
fn percentiles(state: &mut State, position: &mut u64, repositories: u64, round: u64) -> String {
    let mut took: Vec<Duration> = (0..UPDATES)
        .map(|n| push(1 + (n + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) % repositories, n + 1))
        .map(|operation| apply(state, position, operation))
        .collect();
    took.sort_unstable();
    let at = |percent: usize| took[took.len() * percent / 100];
    format!("p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), took[took.len() - 1])
}

fn create(id: u64) -> Operation {
    Operation::CreateRepository(CreateRepository {
        name: format!("team-{}/project-{id}", id % 1000),
        object_format: HashAlgorithm::Sha1,
        default_branch: REFS[0].to_owned(),
        description: String::new(),
        limits: RepositoryLimits::default(),
        hidden_refs: Vec::new(),
    })
}

/// The first push makes four refs and brings a pack; later ones move one ref.
fn push(id: u64, number: u64) -> Operation {
    let target = |at: usize| {
        let mut bytes = [at as u8 + 1; 20];
        bytes[..8].copy_from_slice(&id.to_be_bytes());
        bytes[8..16].copy_from_slice(&number.to_be_bytes());
        let id = ObjectId::from_bytes(&bytes).expect("an id has 20 bytes");
        NewTarget::Object { id, peeled: None }
    };
    let update = |at: usize| RefUpdate {
        name: REFS[at].to_owned(),
        expected: if number == 0 { Expected::Absent } else { Expected::Any },
        new: target(at),
    };
    let mut pack = [7; 32];
    pack[..8].copy_from_slice(&id.to_be_bytes());
    let pack =
        Pack { id: PackId(pack), bytes: 100_000, objects: 200, chunks: 1, source: vec![1; 40] };
    let first = number == 0;
    Operation::Push(Push {
        repository: RepositoryId(id),
        generation: 0,
        atomic: false,
        may_update_hidden: false,
        updates: (0..if first { REFS.len() } else { 1 }).map(update).collect(),
        packs: if first { vec![pack] } else { Vec::new() },
        message: "push".to_owned(),
    })
}

/// Resident memory of this process; 0 where the system does not say.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
