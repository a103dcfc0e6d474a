//! `sweep`: many scenarios, many seeds.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::CommandError;
use super::output::{Progress, print_run, timed, verdict_line};
use crate::runner::{Run, in_parallel, run_checked, run_once};
use crate::scenario::{Plan, load_all};
use crate::verdict::Verdict;

/// What came of one scenario.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// The failing run with the lowest seed.
    first: Option<(u64, Run)>,
    digests: BTreeMap<u64, String>,
    /// Wall time of all seeds; each is run once or twice.
    wall: Duration,
}

/// Runs every scenario with every seed, and prints the first failure of each scenario or
/// one line for all.
pub(super) fn sweep(
    paths: &[PathBuf],
    seeds: Range<u64>,
    once: bool,
    jobs: usize,
) -> Result<u8, CommandError> {
    let plans = load_all(paths)?;
    let one_run = if once { run_once } else { run_checked };
    let items = pairs(&plans, &seeds);
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut progress = Progress::new(items.len());
    in_parallel(
        &items,
        jobs,
        |&(plan, seed)| timed(|| one_run(plan, seed)),
        |&(plan, seed), (mut run, wall)| {
            let tally = tallies.entry(&plan.name).or_default();
            tally.wall += wall;
            tally.digests.insert(seed, run.digest.clone());
            if run.verdict == Verdict::Pass {
                tally.passed += 1;
            } else {
                tally.failed += 1;
                // Thousands of traces would fill the memory, and nobody asked for them.
                run.trace = Vec::new();
                if tally.first.as_ref().is_none_or(|(first, _)| seed < *first) {
                    tally.first = Some((seed, run));
                }
            }
            progress.step();
            true
        },
    );
    progress.finish();
    print(&plans, &seeds, &tallies)
}

/// Every scenario with every seed; the scenarios take turns.
pub(super) fn pairs<'a>(plans: &'a [Plan], seeds: &Range<u64>) -> Vec<(&'a Plan, u64)> {
    seeds.clone().flat_map(|seed| plans.iter().map(move |plan| (plan, seed))).collect()
}

fn print(
    plans: &[Plan],
    seeds: &Range<u64>,
    tallies: &BTreeMap<&str, Tally>,
) -> Result<u8, CommandError> {
    let mut out = std::io::stdout();
    for (name, Tally { passed, failed, wall, .. }) in tallies {
        let a_run = wall.as_secs_f64() / (passed + failed) as f64;
        writeln!(out, "{name}: {passed} passed, {failed} failed, {a_run:.2} s each")?;
    }
    let failures = plans.iter().filter_map(|plan| {
        let tally = tallies.get(plan.name.as_str())?;
        tally.first.as_ref().map(|(seed, run)| (plan, *seed, run))
    });
    let mut worst = None;
    for (plan, seed, run) in failures {
        print_run(plan, seed, run)?;
        worst = worst.max(Some(severity(run.verdict)));
    }
    if let Some((_, code)) = worst {
        return Ok(code);
    }
    let mut all = Sha256::new();
    for digest in tallies.values().flat_map(|tally| tally.digests.values()) {
        all.update(digest);
    }
    let runs: usize = tallies.values().map(|tally| tally.passed).sum();
    writeln!(out, "all {runs} runs passed")?;
    let of = if plans.len() == 1 { &plans[0].name } else { "all" };
    let seeds = format!("{}..{}", seeds.start, seeds.end);
    let line = verdict_line(Verdict::Pass, of, &seeds, &hex::encode(all.finalize()));
    writeln!(out, "{line}")?;
    Ok(0)
}

/// Verdicts by how much they matter, with their exit codes.
pub(super) fn severity(verdict: Verdict) -> (u8, u8) {
    let rank = match verdict {
        Verdict::Pass => 0,
        Verdict::Stuck => 1,
        Verdict::Fail => 2,
        Verdict::Panicked => 3,
    };
    (rank, verdict.exit_code())
}
