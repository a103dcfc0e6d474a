//! `shrink`: the smallest scenario that fails for the same reason.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::output::{self, Deadline};
use super::{CommandError, find};
use crate::runner::{in_parallel, run_once};
use crate::scenario::Plan;
use crate::shrink::shrink as shrink_plan;
use crate::verdict::Verdict;

/// What `shrink` is asked for.
pub(super) struct Options {
    /// The scenario file or its name.
    pub(super) scenario: PathBuf,
    /// The seed with which it fails.
    pub(super) seed: u64,
    /// Where the file goes that is left; beside the scenario if not given.
    pub(super) out: Option<PathBuf>,
    /// How long it may take.
    pub(super) within: Duration,
    /// Runs at a time.
    pub(super) jobs: usize,
}

/// Makes a scenario smaller for as long as it fails for the same reason, and writes what is left.
pub(super) fn shrink(options: &Options) -> Result<u8, CommandError> {
    let Options { seed, jobs, .. } = *options;
    let plan = find(&options.scenario)?;
    let whole = run_once(&plan, seed);
    let Some(first) = whole.violations.first() else {
        output::note(format_args!("{} passes with seed {seed}", plan.path.display()));
        output::print_run(&plan, seed, &whole)?;
        return Ok(super::EXIT_USAGE);
    };
    let cause = first.cause();
    output::note(format_args!("it fails by: {first}"));
    let deadline = Deadline::new(options.within);
    let fails = |plans: &[Plan]| {
        if deadline.passed() {
            return None;
        }
        let indexed: Vec<(usize, &Plan)> = plans.iter().enumerate().collect();
        let mut verdicts = vec![false; plans.len()];
        in_parallel(
            &indexed,
            jobs,
            |(_, plan)| run_once(plan, seed).violations.iter().any(|it| it.cause() == cause),
            |(index, _), failed| {
                verdicts[*index] = failed;
                true
            },
        );
        Some(verdicts)
    };
    let plan = to_be_written_at(plan, options.out.as_deref());
    let shrunk = shrink_plan(&plan, jobs, fails, |left, fields| {
        let (steps, nodes) = (left.steps.len(), left.cluster.nodes);
        output::note(format_args!("steps: {steps}, nodes: {nodes}, fields: {fields}"));
    });
    let plan = shrunk.plan;
    let run = run_once(&plan, seed);
    let origin = format!("Shrunk from {}", options.scenario.display());
    output::write_scenario(&origin, seed, &plan, &shrunk.text, &run)?;
    if !shrunk.complete {
        output::note("the time was over: more may be taken away, by `shrink` of what is left");
    }
    let (steps, tried) = (plan.steps.len(), shrunk.tried);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: steps left: {steps}, scenarios tried: {tried}", plan.path.display())?;
    drop(out);
    output::print_run(&plan, seed, &run)?;
    match run.verdict {
        Verdict::Pass => Err(CommandError::Differs(plan.path)),
        _ => Ok(0),
    }
}

/// The plan under the name and path of the file that it will be written to, which must be alike
/// for `run` to read it: `out`, or `NAME-shrunk.toml` beside what it is made from.
fn to_be_written_at(plan: Plan, out: Option<&Path>) -> Plan {
    let path = out.map_or_else(
        || plan.path.with_file_name(format!("{}-shrunk.toml", plan.name)),
        Path::to_owned,
    );
    let name = stem(&path);
    Plan { path, name, ..plan }
}

/// The name of a file without its folder and extension.
fn stem(path: &Path) -> String {
    path.file_stem().map_or("scenario".into(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore;

    #[test]
    fn what_is_written_can_be_read_where_it_is_written() {
        let drawn = explore::plan(7, Path::new("explored"));
        for out in [None, Some(Path::new("elsewhere/smaller.toml"))] {
            let plan = to_be_written_at(drawn.clone(), out);
            assert_ne!(plan.path, drawn.path);
            assert_eq!(Plan::parse(&plan.path, &plan.to_toml()).unwrap(), plan);
        }
    }
}
