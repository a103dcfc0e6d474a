//! `gitstratum import` of a repository, with the bare loop over the same bytes before it
//! and after.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Cluster, PROGRAM};
use crate::{Outcome, bare, process};

/// How often the client's memory is looked at; the kernel keeps the peak between.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Rate that `import` must reach, unless half of the bare loop's is less.
const TARGET_OBJECTS_PER_S: f64 = 5000.0;

/// Imports `repo` into a fresh cluster and prints all figures.
pub async fn measure(repo: &Path, dir: &Path) -> Outcome<()> {
    let sizes = object_sizes(repo)?;
    let objects = sizes.len() as f64;
    let bytes = sizes.iter().sum::<usize>() as f64;
    println!("importing {}: {objects} objects, {:.1} MB", repo.display(), bytes / 1e6);

    let cluster = Cluster::start(&dir.join("import")).await?;
    let client = cluster.client(0).await?;
    let before = cluster.totals(&client).await?;
    let bare_before = bare::append_loop(&dir.join("bare"), &sizes)?;
    let (elapsed, client_peak_kib) = run_import(repo, &cluster.peers).await?;
    let bare_after = bare::append_loop(&dir.join("bare"), &sizes)?;
    let after = cluster.totals(&client).await?;

    println!();
    println!("{:<34} {:>10} {:>9} {:>8}", "import", "objects/s", "MB/s", "s");
    let row = |name: &str, elapsed: Duration| {
        let seconds = elapsed.as_secs_f64();
        let rate = objects / seconds;
        println!("{name:<34} {rate:>10.0} {:>9.1} {seconds:>8.1}", bytes / 1e6 / seconds);
        rate
    };
    let first = row("bare loop ×3, before", bare_before);
    let rate = row("cluster", elapsed);
    let second = row("bare loop ×3, after", bare_after);
    let half_of_bare = (first + second) / 4.0;
    let target = TARGET_OBJECTS_PER_S.min(half_of_bare);
    let reached = if rate >= target { "reached" } else { "MISSED" };
    println!("target {target:.0} objects/s: {reached}");
    println!(
        "fsyncs {}; disk bytes per payload byte {:.2}",
        after.syncs - before.syncs,
        (after.disk_bytes - before.disk_bytes) as f64 / bytes
    );
    println!("peak memory: client {:.0} MiB", client_peak_kib as f64 / 1024.0);
    for (number, peak_kib) in cluster.peaks_kib().into_iter().enumerate() {
        println!("             node n{} {:.0} MiB", number + 1, peak_kib as f64 / 1024.0);
    }
    for (number, metrics) in cluster.metrics(&client).await?.into_iter().enumerate() {
        println!(
            "             node n{} holds {} objects",
            number + 1,
            metrics.count("gitstratum_store_objects")
        );
    }
    Ok(())
}

/// Sizes of all objects of a repository, as `import` sends them.
fn object_sizes(repo: &Path) -> Outcome<Vec<usize>> {
    let listed = process::output(Command::new("git").arg("-C").arg(repo).args([
        "cat-file",
        "--batch-all-objects",
        "--unordered",
        "--batch-check=%(objectsize)",
    ]))?;
    Ok(listed.lines().map(str::parse).collect::<Result<_, _>>()?)
}

/// Runs the command to its end; how long it took, and its peak memory in KiB.
async fn run_import(repo: &Path, peers: &[String]) -> Outcome<(Duration, u64)> {
    let begun = Instant::now();
    let mut child = Command::new(PROGRAM)
        .arg("import")
        .arg(repo)
        .args(["bench", "--peers", &peers.join(",")])
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()?;
    let peak_kib = watch(&mut child).await?;
    Ok((begun.elapsed(), peak_kib))
}

async fn watch(child: &mut Child) -> Outcome<u64> {
    let mut peak_kib = 0;
    loop {
        peak_kib = process::peak_memory_kib(child.id()).unwrap_or(0).max(peak_kib);
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                return Err(format!("import: {status}").into());
            }
            return Ok(peak_kib);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
