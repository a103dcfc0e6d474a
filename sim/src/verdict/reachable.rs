//! I12 Reachable: what a clone or a fetch brings is closed under reachability, and byte-exact.
//!
//! Clients compute the ids of what they get from its bytes. So a byte that was changed shows as an
//! object that nobody made.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::git::{GitHistory, Request};
use super::history::History;
use super::{Class, Violation};
use crate::trace::{GitCall, GitObject, GitOutcome};

const RULE: &str = "I12 reachable";

/// Fetches that brought something else, or too little.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let git = GitHistory::of(history.trace);
    git.requests.iter().filter_map(|request| check_one(&git.objects, request)).collect()
}

fn check_one(made: &BTreeMap<&str, &GitObject>, request: &Request<'_>) -> Option<Violation> {
    let (at_us, outcome) = request.answer?;
    let problem = match (request.call, outcome) {
        (_, GitOutcome::Damaged { error }) => Some(error.clone()),
        (GitCall::Fetch { wants, haves, depth }, GitOutcome::Fetched { objects, shallow }) => {
            let fetched = Fetched { made, objects, shallow };
            fetched.problem(wants, haves, *depth)
        }
        _ => None,
    }?;
    let Request { op, client, node, repository, .. } = request;
    let message = format!("request {op} of {client} to {node} about {repository}: {problem}");
    Some(Violation { rule: RULE, class: Class::Safety, at_us, message })
}

/// What a fetch brought.
struct Fetched<'a> {
    made: &'a BTreeMap<&'a str, &'a GitObject>,
    objects: &'a [String],
    shallow: &'a [String],
}

impl Fetched<'_> {
    fn problem(&self, wants: &[String], haves: &[String], depth: Option<u32>) -> Option<String> {
        if let Some(id) = self.objects.iter().find(|id| !self.made.contains_key(id.as_str())) {
            return Some(format!("object {id} has bytes that nobody made"));
        }
        let mut there: BTreeSet<&str> = self.objects.iter().map(String::as_str).collect();
        there.extend(self.reach(haves.iter().map(String::as_str), &BTreeSet::new()).into_keys());
        let shallow: BTreeSet<&str> = self.shallow.iter().map(String::as_str).collect();
        let reached = self.reach(wants.iter().map(String::as_str), &shallow);
        if let Some((id, (_, by))) = reached.iter().find(|(id, _)| !there.contains(*id)) {
            return Some(format!("object {id} is missing, which {by} names"));
        }
        shallow.iter().find_map(|id| {
            let Some((distance, _)) = reached.get(id) else {
                return Some(format!("shallow commit {id} is reached by nothing that was wanted"));
            };
            let expected = depth.map(|depth| depth.saturating_sub(1));
            let problem = || format!("commit {id} at distance {distance} has no parents");
            (Some(*distance) != expected).then(problem)
        })
    }

    /// All that these reach but for the parents of `shallow`, each with how many commits away it
    /// is and what names it.
    fn reach<'i>(
        &'i self,
        from: impl Iterator<Item = &'i str>,
        shallow: &BTreeSet<&str>,
    ) -> BTreeMap<&'i str, (u32, &'i str)> {
        let mut reached: BTreeMap<&str, (u32, &str)> = BTreeMap::new();
        let mut waiting: VecDeque<(&str, u32, &str)> = from.map(|id| (id, 0, "a ref")).collect();
        while let Some((id, distance, by)) = waiting.pop_front() {
            // The nearest comes first: what is at the same distance is put before what is farther.
            if reached.contains_key(id) {
                continue;
            }
            reached.insert(id, (distance, by));
            let Some(object) = self.made.get(id) else { continue };
            for name in &object.names {
                waiting.push_front((name, distance, id));
            }
            if !shallow.contains(id) {
                for parent in &object.parents {
                    waiting.push_back((parent, distance + 1, id));
                }
            }
        }
        reached
    }
}
