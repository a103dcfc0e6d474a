//! `controls`: what is broken must fail the scenarios that name it.
//!
//! A scenario that a control passes with every seed proves nothing about what that control
//! lacks; nor does one that fails when nothing is taken away: from the testbed's own pool where
//! the control is one, and from the product where it is not.
//!
//! A panic is no verdict. Where a control has the nodes' disks lie, it may be what an assertion made
//! of that, and another seed has to show the weakness to a checker; so does the trace up to the
//! panic, since what it shows of safety stays true. Elsewhere a panic says that the code is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::CommandError;
use super::output::Progress;
use crate::runner::{Run, in_parallel, run_once, run_weakened};
use crate::scenario::{Control, Plan, Weakens, load_all};
use crate::verdict::{Class, Verdict};

/// Exit code when a control passes.
const EXIT_PROVES_NOTHING: u8 = 1;

/// How a control was found out.
struct Caught {
    seed: u64,
    /// The first of what was wrong, in words, and what else was.
    why: String,
    /// What the seed shows.
    shows: Shows,
}

/// What a run that did not pass shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// What is lacking.
    Weakness,
    /// Nothing: it fails when nothing is lacking, too.
    Nothing,
    /// That the code is wrong: it panicked.
    Panic,
}

/// Runs every scenario with each of its controls until a seed catches it; with `each_once`, each
/// control with that scenario alone which is likely to take the least.
pub(super) fn controls(
    paths: &[PathBuf],
    seeds: Range<u64>,
    each_once: bool,
    jobs: usize,
) -> Result<u8, CommandError> {
    let mut plans = load_all(paths)?;
    if each_once {
        leave_each_to_one(&mut plans);
    }
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
    print(&plans, &seeds, &found)
}

/// Leaves each control to the one scenario, of those that name it, whose load lasts shortest on the
/// fewest machines; to the first of several. Scenarios that are left with none go.
fn leave_each_to_one(plans: &mut Vec<Plan>) {
    let mut least: BTreeMap<Control, (Duration, usize)> = BTreeMap::new();
    for (index, plan) in plans.iter().enumerate() {
        let machines = u32::try_from(plan.cluster.nodes).unwrap_or(u32::MAX);
        let size = plan.workload.duration.saturating_mul(machines);
        for control in &plan.controls {
            let least = least.entry(*control).or_insert((size, index));
            *least = (*least).min((size, index));
        }
    }
    for (index, plan) in plans.iter_mut().enumerate() {
        plan.controls.retain(|control| least[control].1 == index);
    }
    plans.retain(|plan| !plan.controls.is_empty());
}

/// The first seed that shows the weakness; failing that, the first with which the run did
/// not pass.
fn first_that_catches(plan: &Plan, control: Control, seeds: &Range<u64>) -> Option<Caught> {
    let mut first: Option<Caught> = None;
    for seed in seeds.clone() {
        let run = run_weakened(plan, control, seed);
        let is_shown = run.violations.iter().any(|violation| violation.class == Class::Safety);
        let shows = match run.verdict {
            Verdict::Pass => continue,
            Verdict::Panicked if !is_shown || control.weakens() != Weakens::Nodes => Shows::Panic,
            Verdict::Panicked | Verdict::Fail | Verdict::Stuck => {
                let whole = match control.weakens() {
                    Weakens::Pool => run_weakened(plan, Control::Whole, seed),
                    Weakens::Client | Weakens::Nodes => run_once(plan, seed),
                };
                if whole.verdict == Verdict::Pass { Shows::Weakness } else { Shows::Nothing }
            }
        };
        let caught = Caught { seed, why: words(&run), shows };
        let goes_on = match shows {
            Shows::Weakness => false,
            Shows::Nothing => true,
            Shows::Panic => control.weakens() == Weakens::Nodes,
        };
        if !goes_on {
            return Some(caught);
        }
        if first.as_ref().is_none_or(|first| first.shows != Shows::Panic) {
            first = Some(caught);
        }
    }
    first
}

/// The first violation of a run, and the other rules that were broken.
fn words(run: &Run) -> String {
    let Some(first) = run.violations.first() else { return String::new() };
    let others: BTreeSet<&str> = run.violations.iter().map(|violation| violation.rule).collect();
    let others: Vec<&str> = others.into_iter().filter(|rule| *rule != first.rule).collect();
    match others.is_empty() {
        true => first.to_string(),
        false => format!("{first} (and: {})", others.join(", ")),
    }
}

fn print(
    plans: &[Plan],
    seeds: &Range<u64>,
    found: &BTreeMap<(&str, Control), Option<Caught>>,
) -> Result<u8, CommandError> {
    let mut out = std::io::stdout();
    let mut code = 0;
    for ((name, control), caught) in found {
        match caught {
            Some(Caught { seed, why, shows: Shows::Weakness }) => {
                writeln!(out, "{name:<28} {control:<18} caught by seed {seed}: {why}")?;
            }
            Some(Caught { seed, why, shows: Shows::Nothing }) => {
                writeln!(
                    out,
                    "{name:<28} {control:<18} fails with seed {seed}, but also when nothing is \
                     lacking: this proves nothing: {why}"
                )?;
                code = code.max(EXIT_PROVES_NOTHING);
            }
            Some(Caught { seed, why, shows: Shows::Panic }) => {
                writeln!(out, "{name:<28} {control:<18} PANICKED with seed {seed}: {why}")?;
                code = code.max(Verdict::Panicked.exit_code());
            }
            None => {
                writeln!(
                    out,
                    "{name:<28} {control:<18} PASSES with every seed: this proves nothing"
                )?;
                code = code.max(EXIT_PROVES_NOTHING);
            }
        }
    }
    for plan in plans.iter().filter(|plan| plan.controls.is_empty()) {
        writeln!(out, "{:<28} names no control", plan.name)?;
    }
    let weak = |caught: &&Caught| caught.shows == Shows::Weakness;
    let caught = found.values().flatten().filter(weak).count();
    writeln!(
        out,
        "{caught} of {} controls were caught by seeds {}..{}",
        found.len(),
        seeds.start,
        seeds.end
    )?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_is_left_to_the_smallest_scenario_that_names_it() {
        let scenarios = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
        let all = load_all(&[scenarios]).expect("they are right");
        let mut left = all.clone();
        leave_each_to_one(&mut left);
        let named = |plans: &[Plan]| -> Vec<Control> {
            plans.iter().flat_map(|plan| plan.controls.clone()).collect()
        };
        let each: BTreeSet<Control> = named(&all).into_iter().collect();
        assert!(named(&all).len() > 2 * each.len(), "most are named by several");
        let mut once = named(&left);
        once.sort_unstable();
        assert_eq!(once, Vec::from_iter(each), "every control, and none twice");
        for plan in &left {
            for control in &plan.controls {
                let size = |plan: &Plan| *plan.workload.duration * plan.cluster.nodes as u32;
                let naming = all.iter().filter(|other| other.controls.contains(control));
                let least = naming.map(size).min().expect("some scenario names it");
                assert_eq!(size(plan), least, "{control} by {}", plan.name);
            }
        }
    }
}
