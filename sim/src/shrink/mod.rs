//! Shrinking: the smallest scenario that fails for the same reason.
//!
//! A run that failed by accident of a long schedule is made shorter for as long as it fails: steps,
//! then whole parts of the scenario, numbers, single fields, and what is within a step. Chunks are
//! tried first and then what is in them. (Zeller and Hildebrandt, "Simplifying and isolating
//! failure-inducing input", IEEE TSE 28(2), 2002.)
//!
//! Invariant: quorums and expectations stay as they are, and a scenario whose lost disks were within
//! the budget of the promises stays within it. So what is left is a finding, if it was one before.

mod document;
mod passes;

#[cfg(test)]
mod tests;

use crate::scenario::{Action, Plan};
use document::Document;
use passes::PASSES;

/// What is left of a scenario.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The scenario.
    pub plan: Plan,
    /// Its file: the fields that the failure needs, and those that have no default.
    pub text: String,
    /// Scenarios that were tried.
    pub tried: usize,
    /// Whether nothing more can be taken away; `false` when the time was over.
    pub complete: bool,
}

/// Makes a scenario that fails as small as it gets. `fails` says of each of several scenarios, which
/// it may run at the same time, whether it fails for the same reason, or `None` when the time is over;
/// it is given `at_once` of them, or fewer. `progress` is shown what is left, and in how many fields,
/// whenever that becomes less.
pub fn shrink(
    plan: &Plan,
    at_once: usize,
    mut fails: impl FnMut(&[Plan]) -> Option<Vec<bool>>,
    mut progress: impl FnMut(&Plan, usize),
) -> Shrunk {
    let was_within = within_budget(plan);
    let mut left = Document::of(plan);
    let (mut tried, mut complete) = (0, true);
    'all: loop {
        let before = left.clone();
        for pass in PASSES {
            let mut next = 0;
            loop {
                let smaller = pass(&left);
                // What was tried before this one failed to fail, and so it does again, most likely.
                let candidates = smaller.into_iter().enumerate().skip(next);
                let candidates = candidates.filter_map(|(place, document)| {
                    let plan = document.plan(&plan.path)?;
                    (!was_within || within_budget(&plan)).then_some((place, document, plan))
                });
                let batch: Vec<_> = candidates.take(at_once.max(1)).collect();
                let Some((last, ..)) = batch.last() else { break };
                next = last + 1;
                let plans: Vec<Plan> = batch.iter().map(|(.., plan)| plan.clone()).collect();
                let Some(verdicts) = fails(&plans) else {
                    complete = false;
                    break 'all;
                };
                tried += plans.len();
                let failed = batch.into_iter().zip(verdicts).find(|(_, failed)| *failed);
                if let Some(((place, document, plan), _)) = failed {
                    left = document;
                    // In its place is what came after it.
                    next = place;
                    progress(&plan, left.fields());
                }
            }
        }
        if left == before {
            break;
        }
    }
    let plan = left.plan(&plan.path).expect("it was read before it was tried");
    Shrunk { text: left.text(&plan), plan, tried, complete }
}

/// Whether no more disks are lost than the promises allow.
fn within_budget(plan: &Plan) -> bool {
    let wiped = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Wipe { nodes } => Some(nodes.len()),
        _ => None,
    });
    wiped.sum::<usize>() <= plan.cluster.disks_lost_max()
}
