//! A cluster of three real node processes on this machine, beside what its disk can do
//! bare: `cargo bench -p gitstratum --bench cluster -- --dir DIR [--repo REPO]`.
//!
//! N = 3, W = 2, fsync on. Everything is measured in one run, because disks differ more
//! from hour to hour than stores do. The bare figures write the same bytes as often as
//! the cluster does, with nothing else to do.

mod bare;
mod cluster;
mod heal;
mod import;
mod observers;
mod overhead;
mod process;
mod puts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use cluster::Cluster;

/// What can fail here fails the benchmark as a whole.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Replicas, as in the cluster measured: every byte is written this often.
pub const REPLICAS: usize = 3;

/// Data of a put in the put benchmark.
pub const PUT_BYTES: usize = 4096;

#[derive(Parser)]
struct Options {
    /// Where data goes: a real file system, not memory. What it holds of an earlier run
    /// is removed.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The repository to import; one of some 52,000 objects is made otherwise.
    #[arg(long)]
    repo: Option<PathBuf>,
    /// How long each put benchmark runs.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Leave the import out.
    #[arg(long)]
    puts_only: bool,
    /// Instead of all else: put so many objects, delete a node's data, and see it refilled
    /// while a client writes.
    #[arg(long, value_name = "OBJECTS")]
    heal: Option<usize>,
    /// Instead of all else: puts to nodes that nobody watches, beside some whose metrics are
    /// scraped, some that trace, and some that speak mutual TLS.
    #[arg(long)]
    overhead: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let dir = options.dir.clone().unwrap_or_else(|| root.join("target/bench-data"));
    std::fs::create_dir_all(&dir)?;
    let dir = dir.canonicalize()?;
    let file_system = process::file_system(&dir)?;
    if ["tmpfs", "ramfs"].contains(&file_system.as_str()) {
        return Err(format!("{} is {file_system}: give a --dir on a disk", dir.display()).into());
    }
    println!("data in {} ({file_system}); N = 3, W = 2, fsync on", dir.display());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(root, &dir, &options))
}

async fn run(root: &Path, dir: &Path, options: &Options) -> Outcome<()> {
    let seconds = Duration::from_secs(options.seconds);
    if let Some(objects) = options.heal {
        let mut cluster = Cluster::start(&dir.join("heal")).await?;
        return heal::measure(&mut cluster, objects).await;
    }
    if options.overhead {
        return overhead::measure(&dir.join("overhead"), seconds).await;
    }
    if !options.puts_only {
        let repo = match &options.repo {
            Some(repo) => repo.clone(),
            None => made_repo(root, dir)?,
        };
        import::measure(&repo, dir).await?;
    }
    println!();
    println!(
        "{:<34} {:>8} {:>9} {:>9} {:>13} {:>13}",
        "durable 4 KiB puts", "puts/s", "p50 ms", "p99 ms", "flushes/put", "disk/payload"
    );
    let cluster = Cluster::start(&dir.join("puts")).await?;
    puts::measure(&cluster, "cluster, 1 client", 1, 1, 0.., seconds).await?.print();
    puts::measure(&cluster, "cluster, 64 clients", 64, 1, 1000.., seconds).await?.print();
    puts::measure(&cluster, "cluster, 64 callers of 1 client", 1, 64, 2000.., seconds)
        .await?
        .print();
    drop(cluster);
    bare::logs(&dir.join("bare"), "bare: 3 group-commit logs, 64", 64, seconds).await?.print();
    Ok(())
}

fn made_repo(root: &Path, dir: &Path) -> Outcome<PathBuf> {
    let repo = dir.join("repo.git");
    if !repo.exists() {
        println!("making a repository");
        process::output(std::process::Command::new(root.join("ci/make-repo")).arg(&repo))?;
    }
    Ok(repo)
}
