//! The store beside redb, fjall, rocksdb and a bare append loop, in one go and in turns on
//! the same directory: `cargo bench --manifest-path node/benches/engines/Cargo.toml`.
//!
//! Every contender gets the same objects in the same order and acknowledges a put only
//! when a flush has covered it. A round is one turn of everybody; the table holds the
//! medians of the rounds. README.md says how to read it.

mod compression;
mod contenders;
mod corpus;
mod load;
mod maintenance;
mod reader;
mod results;
mod rounds;
mod sizes;
mod system;
mod table;
mod ten_million;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};

use contenders::Contender;
use rounds::Plan;
use sizes::Sizes;

/// What can fail here fails the benchmark as a whole.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long writers that an error interrupted may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Parser)]
#[command(about = "Our store beside other engines")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where data goes: a directory on a real file system. What is made in it is removed.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A repository whose objects' sizes are used instead of the table's.
    #[arg(long)]
    repo: Option<PathBuf>,
    /// Objects of the bulk load.
    #[arg(long)]
    bulk: Option<u64>,
    /// Gets of each kind.
    #[arg(long)]
    gets: Option<usize>,
    /// Turns of every contender.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only these take part, which shortens the way to a figure while one works on it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contender>,
    /// Small figures, to see that everything works; the ratios mean little.
    #[arg(long)]
    quick: bool,
    /// Ten million objects of 256 bytes in our store, and nothing else.
    #[arg(long)]
    ten_million: bool,
    /// Deletion, compaction and scrub in our store, and what puts and gets notice of them.
    #[arg(long)]
    maintenance: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// What compressing every object of a repository by itself would save, and cost.
    Compression(compression::Task),
    /// Opens one contender's store and reads from it; started by the benchmark itself.
    #[command(hide = true)]
    Read(reader::Task),
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    match &options.command {
        Some(Command::Read(task)) => reader::run(task),
        Some(Command::Compression(task)) => compression::run(task),
        None => measure(&options),
    }
}

fn measure(options: &Options) -> Outcome<()> {
    let data = match &options.dir {
        Some(dir) => dir.clone(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data"),
    };
    std::fs::create_dir_all(&data)?;
    let data = data.canonicalize()?;
    let file_system = system::file_system(&data)?;
    if ["tmpfs", "ramfs"].contains(&file_system.as_str()) {
        return Err(format!("{} is {file_system}: give a --dir on a disk", data.display()).into());
    }
    // Dropped last, and with it go all files, however this ends.
    let scratch = tempfile::Builder::new().prefix("engines-").tempdir_in(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(until_interrupted(scratch.path(), options));
    // After an error, writers may still be at work in there.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    outcome
}

async fn until_interrupted(scratch: &Path, options: &Options) -> Outcome<()> {
    let run = async {
        match (options.ten_million, options.maintenance) {
            (true, _) => ten_million::run(scratch, options.quick).await,
            (_, true) => maintenance::run(scratch, options.quick).await,
            _ => rounds::run(scratch, &plan(options)?).await,
        }
    };
    tokio::select! {
        biased;
        outcome = run => outcome,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err("interrupted".into())
        }
    }
}

fn plan(options: &Options) -> Outcome<Plan> {
    let sizes = match &options.repo {
        Some(repository) => Sizes::of_repository(repository)?,
        None => Sizes::table(),
    };
    let mut plan = if options.quick { Plan::quick(sizes) } else { Plan::full(sizes) };
    plan.bulk_objects = options.bulk.unwrap_or(plan.bulk_objects);
    plan.gets = options.gets.unwrap_or(plan.gets);
    plan.rounds = options.rounds.unwrap_or(plan.rounds);
    plan.only = options.only.clone();
    if plan.bulk_objects == 0 || plan.gets == 0 || plan.rounds == 0 {
        return Err("--bulk, --gets and --rounds are at least 1".into());
    }
    Ok(plan)
}
