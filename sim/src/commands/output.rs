//! What runs say, and the bar that shows how far they are.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::CommandError;
use crate::runner::Run;
use crate::scenario::Plan;
use crate::verdict::Verdict;

/// Violations of one run that are printed; the trace has what led to the others.
const VIOLATIONS_PRINTED_MAX: usize = 10;
/// Plain progress lines are at least this far apart.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// A bar is drawn anew at most this often.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// Prints violations, the replay command on anything but pass, and the verdict line.
pub(super) fn print_run(plan: &Plan, seed: u64, run: &Run) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for violation in run.violations.iter().take(VIOLATIONS_PRINTED_MAX) {
        writeln!(out, "{violation}")?;
    }
    let more = run.violations.len().saturating_sub(VIOLATIONS_PRINTED_MAX);
    if more > 0 {
        let last_us = run.violations.iter().map(|violation| violation.at_us).max();
        let last_s = last_us.unwrap_or(0) / 1_000_000;
        writeln!(out, "and {more} more, the last at {last_s} s")?;
    }
    if run.verdict != Verdict::Pass {
        writeln!(out, "cargo sim run {} --seed {seed}", plan.path.display())?;
    }
    let line = verdict_line(run.verdict, &plan.name, &seed.to_string(), &run.digest);
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a run's scenario to the plan's path, with where it comes from and what it showed above it.
pub(super) fn write_scenario(
    origin: &str,
    seed: u64,
    plan: &Plan,
    scenario: &str,
    run: &Run,
) -> Result<(), CommandError> {
    let mut text = format!("# {origin}. To be run with --seed {seed}.\n");
    for violation in run.violations.iter().take(3) {
        text.extend(violation.to_string().lines().map(|line| format!("# {line}\n")));
    }
    text.push_str(scenario);
    let dir = plan.path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&plan.path, text))
        .map_err(|source| CommandError::Write { path: plan.path.clone(), source })
}

/// A line for whoever watches, on standard error: where nobody does, nothing is held up.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The last line of every run.
pub(super) fn verdict_line(verdict: Verdict, scenario: &str, seed: &str, digest: &str) -> String {
    format!("verdict={} scenario={scenario} seed={seed} digest={digest}", verdict.word())
}

/// How far a sweep is: a bar on a terminal, a line now and then elsewhere.
pub(super) struct Progress {
    total: usize,
    done: usize,
    began: Instant,
    shown: Option<Instant>,
    on_terminal: bool,
}

#[allow(clippy::disallowed_methods, reason = "wall time, of someone who waits")]
fn now() -> Instant {
    Instant::now()
}

/// Does `work` and says how long it took, in wall time.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = now();
    let done = work();
    (done, began.elapsed())
}

/// When somebody who waits has waited long enough, in wall time.
pub(super) struct Deadline {
    began: Instant,
    within: Duration,
}

impl Deadline {
    /// So long from now.
    pub(super) fn new(within: Duration) -> Self {
        Deadline { began: now(), within }
    }

    /// Whether it is over.
    pub(super) fn passed(&self) -> bool {
        self.began.elapsed() > self.within
    }
}

impl Progress {
    /// Nothing done of `total` runs.
    pub(super) fn new(total: usize) -> Self {
        let on_terminal = io::stderr().is_terminal();
        Progress { total, done: 0, began: now(), shown: None, on_terminal }
    }

    /// One more is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        let interval = if self.on_terminal { BAR_INTERVAL } else { PROGRESS_INTERVAL };
        let last = self.shown.unwrap_or(self.began);
        if now() - last < interval {
            return;
        }
        self.shown = Some(now());
        let elapsed = (now() - self.began).as_secs_f64();
        let left = elapsed / self.done as f64 * (self.total - self.done) as f64;
        let Progress { done, total, .. } = self;
        let text = format!("{done}/{total} runs, {elapsed:.0} s, {left:.0} s left");
        if self.on_terminal {
            let filled = *done * 30 / *total;
            let bar = "#".repeat(filled) + &"-".repeat(30 - filled);
            // A terminal that went away shows no bar.
            let _ = write!(io::stderr(), "\r[{bar}] {text}   ");
        } else {
            note(text);
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn finish(&self) {
        if self.on_terminal && self.shown.is_some() {
            let _ = write!(io::stderr(), "\r{:90}\r", "");
        }
    }
}
