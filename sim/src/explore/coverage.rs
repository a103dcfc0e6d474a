//! Coverage: which verbs runs had, and which of them met in one run.

use std::collections::{BTreeMap, BTreeSet};

use crate::scenario::Plan;

/// What only ends something.
const MENDING: [&str; 4] = ["heal", "release", "resume", "start"];

/// Verbs of the scenario language, by the runs that had them.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Runs with each verb.
    pub verbs: BTreeMap<String, usize>,
    pairs: BTreeSet<(String, String)>,
}

impl Coverage {
    /// One more run, of this plan.
    pub fn add(&mut self, plan: &Plan) {
        let verbs: BTreeSet<String> = plan.steps.iter().map(|step| step.action.verb()).collect();
        let strikes: Vec<String> =
            verbs.into_iter().filter(|verb| !MENDING.contains(&verb.as_str())).collect();
        for (index, verb) in strikes.iter().enumerate() {
            *self.verbs.entry(verb.clone()).or_default() += 1;
            let others = strikes[index + 1..].iter();
            self.pairs.extend(others.map(|other| (verb.clone(), other.clone())));
        }
    }

    /// How many pairs of verbs met in one run, and how many pairs there are of those that any run had.
    pub fn pairs(&self) -> (usize, usize) {
        let verbs = self.verbs.len();
        (self.pairs.len(), verbs * verbs.saturating_sub(1) / 2)
    }
}
