//! `explore`: scenarios that nobody wrote.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::CommandError;
use super::output::{Progress, verdict_line, write_scenario};
use super::sweep::severity;
use crate::explore::{self, Coverage};
use crate::runner::{Run, in_parallel, run_once};
use crate::scenario::Plan;
use crate::trace::{Event, Outcome, Phase, Record};
use crate::verdict::Verdict;

/// What `explore` is asked for.
pub(super) struct Options {
    /// The seeds, the last one not included.
    pub(super) seeds: Range<u64>,
    /// Runs at a time.
    pub(super) jobs: usize,
    /// Where scenario files are written.
    pub(super) dir: PathBuf,
    /// Whether those of runs are written that passed, too.
    pub(super) keep: bool,
}

/// A run that did not pass.
struct Failure {
    verdict: Verdict,
    /// What was broken first, without who and how many, and with them.
    cause: String,
    message: String,
    /// Its scenario.
    file: PathBuf,
}

/// What came of all runs.
#[derive(Default)]
struct Found {
    coverage: Coverage,
    passed: usize,
    /// Runs in which something was acknowledged after the first fault.
    worked: usize,
    /// By seed.
    failures: BTreeMap<u64, Failure>,
    digests: BTreeMap<u64, String>,
}

/// Draws a scenario from each seed and runs it once; writes those that fail as files.
pub(super) fn explore(options: &Options) -> Result<u8, CommandError> {
    let seeds: Vec<u64> = options.seeds.clone().collect();
    let mut found = Found::default();
    let mut progress = Progress::new(seeds.len());
    let mut unwritten = None;
    in_parallel(
        &seeds,
        options.jobs,
        |&seed| {
            let plan = explore::plan(seed, &options.dir);
            let run = run_once(&plan, seed);
            (acked_under_faults(&plan, &run.trace), plan, run)
        },
        |&seed, (worked, plan, run)| {
            found.worked += usize::from(worked);
            found.add(seed, &plan, &run);
            progress.step();
            let is_wanted = options.keep || run.verdict != Verdict::Pass;
            if is_wanted && unwritten.is_none() {
                unwritten =
                    write_scenario("Drawn by `explore`", seed, &plan, &plan.to_toml(), &run).err();
            }
            unwritten.is_none()
        },
    );
    progress.finish();
    match unwritten {
        Some(error) => Err(error),
        None => Ok(found.print(options)?),
    }
}

impl Found {
    fn add(&mut self, seed: u64, plan: &Plan, run: &Run) {
        self.coverage.add(plan);
        self.digests.insert(seed, run.digest.clone());
        if run.verdict == Verdict::Pass {
            self.passed += 1;
            return;
        }
        let first = run.violations.first();
        let (cause, message) = first.map(|it| (it.cause(), it.to_string())).unwrap_or_default();
        let (verdict, file) = (run.verdict, plan.path.clone());
        self.failures.insert(seed, Failure { verdict, cause, message, file });
    }

    /// How many failed by each cause, with the lowest seed that did.
    fn causes(&self) -> BTreeMap<&str, (usize, u64, &Failure)> {
        let mut causes = BTreeMap::new();
        for (seed, failure) in &self.failures {
            causes.entry(failure.cause.as_str()).or_insert((0, *seed, failure)).0 += 1;
        }
        causes
    }

    fn print(&self, options: &Options) -> io::Result<u8> {
        let mut out = io::stdout().lock();
        let runs = self.digests.len();
        for (verb, runs) in &self.coverage.verbs {
            writeln!(out, "{verb:<16} in {runs} runs")?;
        }
        let (met, all) = self.coverage.pairs();
        writeln!(out, "{met} of {all} pairs of them met in a run")?;
        let share = 100.0 * self.worked as f64 / runs as f64;
        writeln!(out, "{share:.0} % of runs acknowledged puts after the first fault")?;
        for (runs, seed, Failure { message, file, .. }) in self.causes().into_values() {
            writeln!(out, "{runs} runs failed alike, the first with seed {seed}: {message}")?;
            writeln!(out, "cargo sim run {} --seed {seed}", file.display())?;
        }
        let verdicts = self.failures.values().map(|failure| failure.verdict);
        let worst = verdicts.max_by_key(|verdict| severity(*verdict)).unwrap_or(Verdict::Pass);
        writeln!(out, "{} of {runs} runs passed", self.passed)?;
        let mut all = Sha256::new();
        self.digests.values().for_each(|digest| all.update(digest));
        let seeds = format!("{}..{}", options.seeds.start, options.seeds.end);
        let line = verdict_line(worst, "explored", &seeds, &hex::encode(all.finalize()));
        writeln!(out, "{line}")?;
        Ok(worst.exit_code())
    }
}

/// Whether a put was acknowledged under load after the first fault struck.
fn acked_under_faults(plan: &Plan, trace: &[Record]) -> bool {
    let Some(first) = plan.steps.first() else { return false };
    let after_us = first.when.earliest().as_micros() as u64;
    let began = |record: &Record| record.event == Event::Phase { phase: Phase::Load };
    let over = |record: &&Record| record.event != Event::Phase { phase: Phase::Recover };
    let Some(began) = trace.iter().position(began) else { return false };
    let struck_us = trace[began].at_us + after_us;
    let mut under_faults = trace[began..].iter().take_while(over).filter(|it| it.at_us > struck_us);
    let acks = |record: &Record| match &record.event {
        Event::OpFinished { outcomes, .. } => {
            outcomes.iter().any(|outcome| matches!(outcome, Outcome::Acked { .. }))
        }
        _ => false,
    };
    under_faults.any(acks)
}
