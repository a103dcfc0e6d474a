//! `controls`: weakened pools must fail the scenarios that name them.
//!
//! A scenario that a weakened pool passes with every seed proves nothing about what that
//! pool lacks; nor does one that the same pool fails when nothing is taken away from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::CommandError;
use super::output::Progress;
use crate::runner::{in_parallel, run_weakened};
use crate::scenario::{Control, Plan, load_all};
use crate::verdict::Verdict;

/// Exit code when a weakened pool passes.
const EXIT_PROVES_NOTHING: u8 = 1;

/// How a weakened pool was found out.
struct Caught {
    seed: u64,
    /// The first of what was wrong, in words.
    why: String,
    /// What the seed shows.
    shows: Shows,
}

/// What a run that did not pass shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// What the pool lacks.
    Weakness,
    /// Nothing: the pool fails when it lacks nothing, too.
    Nothing,
    /// That the code is wrong: it panicked.
    Panic,
}

/// Runs every scenario with each of its controls until a seed catches it.
pub(super) fn controls(
    paths: &[PathBuf],
    seeds: Range<u64>,
    jobs: usize,
) -> Result<u8, CommandError> {
    let plans = load_all(paths)?;
    let mut items: Vec<(&Plan, Control)> = Vec::new();
    for plan in &plans {
        items.extend(plan.controls.iter().map(|control| (plan, *control)));
    }
    let mut found: BTreeMap<(&str, Control), Option<Caught>> = BTreeMap::new();
    let mut progress = Progress::new(items.len());
    in_parallel(
        &items,
        jobs,
        |&(plan, control)| first_that_catches(plan, control, &seeds),
        |&(plan, control), caught| {
            found.insert((&plan.name, control), caught);
            progress.step();
            true
        },
    );
    progress.finish();
    Ok(print(&plans, &seeds, &found))
}

/// The first seed that shows the weakness; failing that, the first with which the run did
/// not pass.
fn first_that_catches(plan: &Plan, control: Control, seeds: &Range<u64>) -> Option<Caught> {
    let mut first = None;
    for seed in seeds.clone() {
        let run = run_weakened(plan, control, seed);
        let shows = match run.verdict {
            Verdict::Pass => continue,
            Verdict::Panicked => Shows::Panic,
            Verdict::Fail | Verdict::Stuck => {
                let whole = run_weakened(plan, Control::Whole, seed);
                if whole.verdict == Verdict::Pass { Shows::Weakness } else { Shows::Nothing }
            }
        };
        let why = run.violations.first().map(ToString::to_string).unwrap_or_default();
        let caught = Caught { seed, why, shows };
        if shows != Shows::Nothing {
            return Some(caught);
        }
        first.get_or_insert(caught);
    }
    first
}

fn print(
    plans: &[Plan],
    seeds: &Range<u64>,
    found: &BTreeMap<(&str, Control), Option<Caught>>,
) -> u8 {
    let mut code = 0;
    for ((name, control), caught) in found {
        match caught {
            Some(Caught { seed, why, shows: Shows::Weakness }) => {
                println!("{name:<28} {control:<18} caught by seed {seed}: {why}");
            }
            Some(Caught { seed, why, shows: Shows::Nothing }) => {
                println!(
                    "{name:<28} {control:<18} fails with seed {seed}, but so does a pool that lacks \
                     nothing: this proves nothing: {why}"
                );
                code = code.max(EXIT_PROVES_NOTHING);
            }
            Some(Caught { seed, why, shows: Shows::Panic }) => {
                println!("{name:<28} {control:<18} PANICKED with seed {seed}: {why}");
                code = code.max(Verdict::Panicked.exit_code());
            }
            None => {
                println!("{name:<28} {control:<18} PASSES with every seed: this proves nothing");
                code = code.max(EXIT_PROVES_NOTHING);
            }
        }
    }
    for plan in plans.iter().filter(|plan| plan.controls.is_empty()) {
        println!("{:<28} names no control", plan.name);
    }
    let weak = |caught: &&Caught| caught.shows == Shows::Weakness;
    let caught = found.values().flatten().filter(weak).count();
    println!(
        "{caught} of {} weakened pools were caught by seeds {}..{}",
        found.len(),
        seeds.start,
        seeds.end
    );
    code
}
