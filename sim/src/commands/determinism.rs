//! `determinism`: the same seed, here twice or once, and once in a process that runs nothing else.
//!
//! Other runs lie before a run in this process, and between two of the same seed, so that anything a
//! process shares between runs would show.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

use super::CommandError;
use super::output::Progress;
use super::sweep::pairs;
use crate::runner::{in_parallel, run_once};
use crate::scenario::{Plan, load_all};
use crate::trace::{Record, first_difference};
use crate::verdict::Verdict;

/// Compares all runs; prints the first difference of the first seed that has one.
pub(super) fn determinism(
    paths: &[PathBuf],
    seeds: Range<u64>,
    once: bool,
    jobs: usize,
) -> Result<u8, CommandError> {
    let plans = load_all(paths)?;
    let mut items = pairs(&plans, &seeds);
    let (runs, words) = match once {
        true => (2, "two runs each, one here and one in another process"),
        false => (3, "three runs each, two here and one in another process"),
    };
    let mut progress = Progress::new(items.len() * runs);
    let mut firsts: BTreeMap<(String, u64), String> = BTreeMap::new();
    in_parallel(
        &items,
        jobs,
        |&(plan, seed)| run_once(plan, seed).digest,
        |&(plan, seed), digest| {
            firsts.insert((plan.name.clone(), seed), digest);
            progress.step();
            true
        },
    );
    items.reverse();
    let mut differing: BTreeMap<(u64, &str), (&Plan, &str)> = BTreeMap::new();
    let mut failure = None;
    in_parallel(
        &items,
        jobs,
        |&(plan, seed)| {
            let again = (!once).then(|| run_once(plan, seed).digest);
            (again, digest_elsewhere(plan, seed))
        },
        |&(plan, seed), (again, elsewhere)| {
            let first = &firsts[&(plan.name.clone(), seed)];
            let key = (seed, plan.name.as_str());
            match elsewhere {
                Err(error) => failure = Some(error),
                Ok(elsewhere) if elsewhere != *first => {
                    differing.insert(key, (plan, "in another process"));
                }
                Ok(_) => {}
            }
            if again.is_some_and(|again| again != *first) {
                differing.insert(key, (plan, "in the same process"));
            }
            (1..runs).for_each(|_| progress.step());
            failure.is_none()
        },
    );
    progress.finish();
    if let Some(error) = failure {
        return Err(error);
    }
    let mut out = std::io::stdout();
    let Some(((seed, name), (plan, place))) = differing.first_key_value() else {
        writeln!(
            out,
            "{} seeds of {} scenarios: {words}, no difference",
            seeds.end - seeds.start,
            plans.len()
        )?;
        return Ok(0);
    };
    writeln!(out, "{} of {} seeds differ; the first:", differing.len(), items.len())?;
    writeln!(out, "{name}, seed {seed}, differs {place}")?;
    print_difference(plan, *seed, &mut out)?;
    let path = plan.path.display();
    writeln!(out, "cargo sim determinism {path} --seeds {seed}..{}", seed + 1)?;
    Ok(Verdict::Fail.exit_code())
}

/// Runs the seed in another process and takes the digest from its verdict line. A run that does not
/// pass is an error: nobody else may run this seed.
fn digest_elsewhere(plan: &Plan, seed: u64) -> Result<String, CommandError> {
    let output = elsewhere(plan, seed, &[])?;
    let verdict = output.lines().last().unwrap_or_default();
    let Some((_, digest)) = verdict.split_once("digest=") else {
        let printed = format!("printed no digest for seed {seed}: {output:?}");
        return Err(CommandError::OtherProcess(printed));
    };
    match verdict.starts_with("verdict=pass ") {
        true => Ok(digest.to_owned()),
        false => Err(CommandError::OtherProcess(format!("seed {seed} does not pass: {verdict}"))),
    }
}

fn elsewhere(plan: &Plan, seed: u64, more: &[&str]) -> Result<String, CommandError> {
    let failed = |error: std::io::Error| CommandError::OtherProcess(error.to_string());
    let output = Command::new(std::env::current_exe().map_err(failed)?)
        .arg("run")
        .arg(&plan.path)
        .args(["--once", "--seed", &seed.to_string()])
        .args(more)
        .output()
        .map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where the other process leaves its trace.
#[allow(clippy::disallowed_methods, reason = "the testbed's own file, outside the worlds")]
fn trace_path() -> PathBuf {
    std::env::temp_dir().join(format!("gitstratum-sim-{}.jsonl", std::process::id()))
}

/// Runs the seed here and elsewhere once more, and prints the first line that differs.
fn print_difference(plan: &Plan, seed: u64, out: &mut impl Write) -> Result<(), CommandError> {
    let lines = |trace: &[Record]| trace.iter().map(Record::line).collect::<Vec<_>>();
    let (one, two) = (lines(&run_once(plan, seed).trace), lines(&run_once(plan, seed).trace));
    let path = trace_path();
    elsewhere(plan, seed, &["--trace", &path.display().to_string()])?;
    let three = std::fs::read_to_string(&path)
        .map_err(|error| CommandError::OtherProcess(format!("its trace: {error}")))?;
    // Left behind, it is one small file in the directory for such files.
    let _ = std::fs::remove_file(&path);
    let here = || one.iter().map(String::as_str);
    let difference = first_difference(here(), two.iter().map(String::as_str))
        .or_else(|| first_difference(here(), three.lines()));
    match difference {
        Some((line, ours, theirs)) => writeln!(out, "line {line}:\n  {ours}\n  {theirs}")?,
        None => writeln!(out, "run once more, it does not differ")?,
    }
    Ok(())
}
