//! What is left of drawn scenarios, by failures that are made up.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::explore;

/// A drawn plan with many steps.
fn drawn() -> Plan {
    let plans = (0..200).map(|seed| explore::plan(seed, Path::new("explored")));
    plans.max_by_key(|plan| plan.steps.len()).expect("some are drawn")
}

fn shrink_by(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Shrunk {
    shrink(plan, 2, |plans| Some(plans.iter().map(&fails).collect()), |_, _| {})
}

#[test]
fn nothing_is_left_that_the_failure_does_not_need() {
    let plan = drawn();
    assert!(plan.steps.len() >= 6, "{} steps are few to begin with", plan.steps.len());
    let needed = [plan.steps[1].clone(), plan.steps[plan.steps.len() - 2].clone()];
    let at_least = Duration::from_secs(3);
    let fails = |plan: &Plan| {
        needed.iter().all(|step| plan.steps.contains(step)) && *plan.workload.duration >= at_least
    };
    let shrunk = shrink_by(&plan, fails);
    assert!(shrunk.complete && fails(&shrunk.plan));
    assert_eq!(shrunk.plan.steps, needed);
    assert!(*shrunk.plan.workload.duration < 2 * at_least);
    assert_eq!(shrunk.plan.cluster.write_quorum, plan.cluster.write_quorum);
    assert_eq!(shrunk.plan.expect, plan.expect);
}

#[test]
fn its_file_says_the_same_and_no_more_than_that() {
    let plan = drawn();
    let shrunk = shrink_by(&plan, |plan| plan.steps.len() >= 2);
    assert_eq!(Plan::parse(&plan.path, &shrunk.text).unwrap(), shrunk.plan);
    assert!(shrunk.text.lines().count() < shrunk.plan.to_toml().lines().count());
    for part in ["[network]", "[disk]", "[catalog]", "[store]"] {
        assert!(!shrunk.text.contains(part), "{part} is not needed:\n{}", shrunk.text);
    }
}

/// Of two nodes one votes, so that to lose its disk is to lose the majority.
#[test]
fn what_was_within_the_budget_stays_within_it() {
    let wipes_one = |plan: &Plan| {
        plan.steps.iter().any(|step| match &step.action {
            Action::Wipe { nodes } => nodes == &["n1"] || nodes == &["n2"],
            _ => false,
        })
    };
    let plans = (0..5_000).map(|seed| explore::plan(seed, Path::new("explored")));
    let mut plans = plans.filter(|plan| plan.cluster.replicas == 2 && plan.cluster.nodes > 3);
    let plan = plans.find(|plan| wipes_one(plan) && within_budget(plan)).expect("one is drawn");
    let shrunk = shrink_by(&plan, wipes_one);
    assert!(within_budget(&shrunk.plan));
    assert_eq!((shrunk.plan.steps.len(), shrunk.plan.cluster.nodes), (1, 3));
}

#[test]
fn when_the_time_is_over_what_was_reached_is_given() {
    let plan = drawn();
    let mut left = 10;
    let in_time = |plans: &[Plan]| {
        left -= 1;
        (left > 0).then(|| plans.iter().map(|plan| !plan.steps.is_empty()).collect())
    };
    let shrunk = shrink(&plan, 1, in_time, |_, _| {});
    assert!(!shrunk.complete && shrunk.tried == 9);
    assert!(!shrunk.plan.steps.is_empty() && shrunk.plan.steps.len() < plan.steps.len());
}
