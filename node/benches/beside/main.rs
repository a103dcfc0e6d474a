//! Compare-and-swap and put benchmarks: refs of the catalog beside keys of etcd, and objects of the
//! cluster beside keys of etcd and redis.
//!
//! All are three processes on this machine with their data on the same disk, and every change is
//! flushed before it is acknowledged. They take turns in every round, and ratios are of one round,
//! because disks and neighbours differ more from minute to minute than stores do. README.md says how
//! to run it and what it prints.

mod bare;
mod contender;
mod crash;
mod etcd;
mod load;
mod nodes;
mod process;
mod puts;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use contender::Contender;
use etcd::Etcd;
use load::{Load, Turn};
use nodes::Nodes;
use table::{Row, Side};

/// What fails here fails the benchmark as a whole.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What may fail so.
pub type Outcome<T> = Result<T, Error>;

#[derive(Parser)]
struct Options {
    /// The node's program, built with `--release`.
    #[arg(long)]
    program: Option<PathBuf>,
    /// etcd's program.
    #[arg(long, default_value = "etcd")]
    etcd: PathBuf,
    /// The server of redis. It is asked for nothing but puts.
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
    /// Measure durable puts of 4 KiB instead of updates and reads of refs.
    #[arg(long)]
    puts: bool,
    /// Where data goes: a real file system, not memory. What it holds of an earlier run is removed.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How long a turn is measured, after a warm-up.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Turns of each load.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How often each leader is killed.
    #[arg(long, default_value_t = 3)]
    crashes: usize,
    /// Only loads whose names have one of these words in them.
    #[arg(long, value_name = "WORD,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave all others out, for whoever works on a figure.
    #[arg(long)]
    alone: bool,
}

impl Options {
    /// Whether a load of this name is asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).ok_or("no workspace")?;
    let program = options.program.clone().unwrap_or_else(|| root.join("target/release/gitstratum"));
    let dir = options.dir.clone().unwrap_or_else(|| root.join("target/bench-data/beside"));
    let dir = process::fresh_directory(&dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(async {
        tokio::select! {
            biased;
            measured = run(&options, &program, &dir) => measured,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    });
    // Its servers have ended with what `run` held.
    std::fs::remove_dir_all(&dir)?;
    measured
}

async fn run(options: &Options, program: &Path, dir: &Path) -> Outcome<()> {
    println!("{}; data in {}", process::machine()?, dir.display());
    if options.puts {
        return puts::run(options, program, dir).await;
    }
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    println!("{}", process::version(program)?);
    contenders.push(Box::new(Nodes::start(program, &dir.join("nodes")).await?));
    if !options.alone {
        println!("{}", process::version(&options.etcd)?);
        contenders.push(Box::new(Etcd::start(&options.etcd, &dir.join("etcd")).await?));
    }
    let loads: Vec<&Load> = Load::ALL.iter().filter(|load| options.wants(load.name)).collect();
    let turn_time = Duration::from_secs(options.seconds);
    let row = |load: &&Load| Row::new(load.name, contenders.iter().map(|one| one.name()));
    let mut rows: Vec<Row> = loads.iter().map(row).collect();
    let mut flushes = Vec::new();
    for round in 0..options.rounds {
        flushes.push(bare::flushes(dir, turn_time / 2).await?);
        for (load, row) in loads.iter().zip(&mut rows) {
            for place in in_turn(round, contenders.len()) {
                let turn: Turn = load.run(&*contenders[place], turn_time).await?;
                row.take(place, turn);
            }
        }
        eprintln!("round {} of {} is over", round + 1, options.rounds);
    }
    table::print(&flushes, rows, None);
    if options.crashes > 0 && options.wants(crash::NAME) {
        let mut sides: Vec<Side<Duration>> =
            contenders.iter().map(|one| Side::of(one.name())).collect();
        for crash in 0..options.crashes {
            for place in in_turn(crash, contenders.len()) {
                sides[place].push(crash::measure(&mut *contenders[place], crash).await?);
            }
        }
        table::print_crashes(sides);
    }
    Ok(())
}

/// Who comes first changes from round to round.
fn in_turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + round) % count)
}
