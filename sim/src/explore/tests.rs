//! What is drawn: that it can be written and read again, and that it stays within the budget.

use std::collections::BTreeSet;

use super::*;
use crate::scenario::Action;

const SEEDS: u64 = 400;

fn plans() -> impl Iterator<Item = Plan> {
    (0..SEEDS).map(|seed| plan(seed, Path::new("explored")))
}

#[test]
fn what_is_drawn_is_a_scenario_file() {
    for plan in plans() {
        let read = Plan::parse(&plan.path, &plan.to_toml());
        assert_eq!(read.as_ref(), Ok(&plan), "{}", plan.to_toml());
    }
}

#[test]
fn a_seed_gives_the_same_scenario_and_others_give_others() {
    let again: Vec<Plan> = plans().collect();
    assert!(plans().eq(again.iter().cloned()));
    let steps: BTreeSet<String> = again.iter().map(|plan| format!("{:?}", plan.steps)).collect();
    assert!(steps.len() > SEEDS as usize * 9 / 10);
}

#[test]
fn fewer_than_w_disks_are_lost_and_no_majority_of_those_who_vote() {
    let mut lost_most = 0;
    for plan in plans() {
        let lost = plan.steps.iter().filter(|step| matches!(step.action, Action::Wipe { .. }));
        let (lost, active) = (lost.count(), plan.cluster.active.unwrap_or(plan.cluster.nodes));
        let voters = if active.is_multiple_of(2) { active - 1 } else { active };
        assert!(lost < plan.cluster.write_quorum && lost <= voters / 2, "{}", plan.to_toml());
        lost_most = lost_most.max(lost);
    }
    assert_eq!(lost_most, 2, "the budget is used");
}

#[test]
fn every_kind_of_fault_is_drawn_and_meets_others() {
    let mut coverage = Coverage::default();
    plans().for_each(|plan| coverage.add(&plan));
    assert_eq!(coverage.verbs.len(), 21, "{:?}", coverage.verbs);
    let (met, all) = coverage.pairs();
    assert!(met * 10 > all * 8, "{met} of {all}");
}
