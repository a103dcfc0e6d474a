//! The commands of `gitstratum-sim`, their output and exit codes.
//!
//! Results go to standard output, progress and errors to standard error. A run's last
//! line is its verdict; on anything but pass the line before it replays the run.

mod bench;
mod controls;
mod determinism;
mod explore;
mod log;
mod output;
mod recovery;
mod run;
mod shrink;
mod sweep;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::scenario::{self, Plan, ScenarioError};

/// Exit code of a wrong scenario file or command line.
const EXIT_USAGE: u8 = 2;
/// Exit code where standard output takes no more.
const EXIT_UNWRITTEN: u8 = 1;
/// Where scenarios are when no path is given.
const SCENARIOS: &str = "scenarios";
/// Where those about connections are.
const POOL_SCENARIOS: &str = "scenarios/pool";

/// GitStratum on simulated machines: every run is replayed by its scenario and its seed.
#[derive(Debug, Parser)]
#[command(name = "gitstratum-sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the scenarios.
    List {
        /// Scenario files, or directories of them.
        #[arg(value_name = "PATH", default_value = SCENARIOS)]
        paths: Vec<PathBuf>,
    },
    /// Print a scenario as it is understood: a scenario file with every field in it.
    Show {
        /// The scenario, as for `run`.
        scenario: PathBuf,
    },
    /// Run one scenario with one seed, twice, and judge it.
    Run {
        /// The scenario file, or its name in `scenarios` or a directory below it; `FILE:NAME`
        /// is one of several scenarios of a file.
        scenario: PathBuf,
        /// What decides all that the scenario leaves open.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Write what happened as JSON lines.
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// Write a page to look at.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Print what the nodes log, with the simulated time, on standard error: `debug`, or levels
        /// by room as `warn,gitstratum_cluster=debug`. The run is not repeated then.
        #[arg(long, value_name = "LEVELS", value_parser = log::levels)]
        log: Option<String>,
        /// Do not run it a second time to compare.
        #[arg(long)]
        once: bool,
    },
    /// Run scenarios over many seeds, each twice, and print the first failure of each.
    Sweep {
        #[command(flatten)]
        many: Many,
        /// Judge one run of each seed and compare it with no second: twice the seeds in the
        /// time. That a seed always gives the same run is then left to `determinism`.
        #[arg(long)]
        once: bool,
    },
    /// Run every seed twice in this process and once in another, and compare the traces.
    Determinism {
        #[command(flatten)]
        many: Many,
        /// Run each once in this process, after others, and once in one that runs nothing else: what
        /// runs share, and what differs from process to process, still shows.
        #[arg(long)]
        once: bool,
    },
    /// Run scenarios with their controls, each of which lacks a protection and must fail.
    ///
    /// A control is a pool, a client or a cluster without it. It is run with one seed after
    /// another until a run does not pass, and that seed is printed. Exit code 1 when one passes
    /// with every seed: its scenario then proves nothing about that protection.
    Controls {
        #[command(flatten)]
        many: Many,
        /// Run each control with one of the scenarios that name it, the smallest, instead of with all:
        /// that every checker sees what it is there for, in a fraction of the time.
        #[arg(long)]
        each_once: bool,
    },
    /// Draw scenarios that nobody wrote, and run each once.
    ///
    /// A seed decides cluster, load and faults, within what the promises allow: fewer than W disks are
    /// lost, and all that can heal is healed in the end. Prints which faults the runs had, and what
    /// failed, by its cause; a run that failed is written as a scenario file, which `run` replays with
    /// the same seed. Exit code 0 when all passed.
    Explore {
        /// The seeds, the last one not included.
        #[arg(long, value_name = "A..B", value_parser = seeds)]
        seeds: Range<u64>,
        /// Runs at a time; as many as there are processors when not given.
        #[arg(long)]
        jobs: Option<usize>,
        /// Where scenario files are written.
        #[arg(long, value_name = "DIR", default_value = "explored")]
        dir: PathBuf,
        /// Write those of runs that passed, too.
        #[arg(long)]
        keep: bool,
    },
    /// Make a scenario that fails as small as it gets.
    ///
    /// Takes away steps, machines, load and everything else for as long as the run fails for the same
    /// reason, and writes what is left as a scenario file. Quorums and expectations stay, and a run that
    /// lost no more disks than the promises allow still does not. Exit code 0 when it is written, 2 when
    /// the scenario passes with that seed.
    Shrink {
        /// The scenario, as for `run`.
        scenario: PathBuf,
        /// The seed with which it fails.
        #[arg(long)]
        seed: u64,
        /// Where the file goes; `NAME-shrunk.toml` beside the scenario when not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How long it may take: what is left by then is written.
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        within: u64,
        /// Runs at a time; as many as there are processors when not given.
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Print how soon peers are used again, with our pool and with a naive one.
    ///
    /// For each scenario: the time from the event to the first success, the calls that
    /// failed between, objects written to a wrong peer, and connections dialled. It judges
    /// nothing: `sweep` and `controls` do.
    Recovery {
        /// Scenario files, or directories of them.
        #[arg(value_name = "PATH", default_value = POOL_SCENARIOS)]
        paths: Vec<PathBuf>,
        /// The seeds, the last one not included.
        #[arg(long, value_name = "A..B", value_parser = seeds, default_value = "0..10")]
        seeds: Range<u64>,
        /// Runs at a time; as many as there are processors when not given.
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Measure the simulator: calls per second under load, simulated seconds when idle.
    Bench,
}

/// Many scenarios and many seeds.
#[derive(Debug, Args)]
struct Many {
    /// Scenario files, or directories of them.
    #[arg(value_name = "PATH", default_value = SCENARIOS)]
    paths: Vec<PathBuf>,
    /// The seeds, the last one not included.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// Runs at a time; as many as there are processors when not given.
    #[arg(long)]
    jobs: Option<usize>,
}

/// Why a command could not do its work; a verdict is never one of these.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// A scenario file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Standard output takes no more.
    #[error("write to standard output: {0}")]
    Output(#[from] std::io::Error),
    /// What failed when it was tried passes.
    #[error("{} failed when it was tried, and passes: see `determinism`", .0.display())]
    Differs(PathBuf),
    /// The other process of a comparison gave nothing to compare.
    #[error("the other process: {0}")]
    OtherProcess(String),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error),
    };
    let code = match arguments.command {
        Command::List { paths } => list(&paths),
        Command::Show { scenario } => show(&scenario),
        Command::Run { scenario, seed, trace, report, log, once } => {
            let once = once || log.is_some();
            run::run(&run::Options { scenario, seed, trace, report, log, once })
        }
        Command::Sweep { many: Many { paths, seeds, jobs }, once } => {
            sweep::sweep(&paths, seeds, once, jobs_or_all(jobs))
        }
        Command::Determinism { many: Many { paths, seeds, jobs }, once } => {
            determinism::determinism(&paths, seeds, once, jobs_or_all(jobs))
        }
        Command::Controls { many: Many { paths, seeds, jobs }, each_once } => {
            controls::controls(&paths, seeds, each_once, jobs_or_all(jobs))
        }
        Command::Explore { seeds, jobs, dir, keep } => {
            let jobs = jobs_or_all(jobs);
            explore::explore(&explore::Options { seeds, jobs, dir, keep })
        }
        Command::Shrink { scenario, seed, out, within, jobs } => {
            let (within, jobs) = (Duration::from_secs(within), jobs_or_all(jobs));
            shrink::shrink(&shrink::Options { scenario, seed, out, within, jobs })
        }
        Command::Recovery { paths, seeds, jobs } => {
            recovery::recovery(&paths, seeds, jobs_or_all(jobs))
        }
        Command::Bench => bench::bench(),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => not_done(&error),
    }
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn not_parsed(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    match (error.exit_code(), printed) {
        (0, Ok(())) => ExitCode::SUCCESS,
        (0, Err(error)) => not_done(&error.into()),
        _ => ExitCode::from(EXIT_USAGE),
    }
}

/// Says why there is no result, unless nobody reads any more: then the command just ends.
fn not_done(error: &CommandError) -> ExitCode {
    match error {
        CommandError::Output(source) if source.kind() == std::io::ErrorKind::BrokenPipe => {}
        _ => output::note(format_args!("gitstratum-sim: {error}")),
    }
    ExitCode::from(match error {
        CommandError::Output(_) => EXIT_UNWRITTEN,
        _ => EXIT_USAGE,
    })
}

fn jobs_or_all(jobs: Option<usize>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    jobs.unwrap_or_else(all).max(1)
}

/// Reads `A..B`.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds such as 0..500");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let range: Range<u64> =
        first.parse().map_err(|_| wrong())?..end.parse().map_err(|_| wrong())?;
    if range.is_empty() {
        return Err(format!("{text:?} holds no seed"));
    }
    Ok(range)
}

fn list(paths: &[PathBuf]) -> Result<u8, CommandError> {
    let mut out = std::io::stdout().lock();
    for plan in scenario::load_all(paths)? {
        writeln!(out, "{:<24} {}", plan.name, plan.description)?;
    }
    Ok(0)
}

fn show(scenario: &Path) -> Result<u8, CommandError> {
    let text = find(scenario)?.to_toml();
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

/// A scenario by its file, or by its name.
fn find(scenario: &Path) -> Result<Plan, CommandError> {
    let is_name = scenario.components().count() == 1 && !scenario.exists();
    match scenario.to_str() {
        Some(name) if is_name && !name.contains(':') => {
            Ok(scenario::load_named(Path::new(SCENARIOS), name.trim_end_matches(".toml"))?)
        }
        _ => Ok(Plan::load(scenario)?),
    }
}
