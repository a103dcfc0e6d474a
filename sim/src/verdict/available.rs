//! Liveness: with a quorum of its replicas in reach, an operation succeeds.
//!
//! One dead replica of three must not fail a put. This is also where a client that never
//! dials a node again shows: for the rule, a node that is back counts as in reach once
//! `expect.recover_within` has passed.

use super::facts::{Facts, Operation};
use super::{Class, Violation};
use crate::trace::{Outcome, Wanted};

/// Operations that failed with a quorum in reach from beginning to end.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let Some(setting) = facts.setting else { return Vec::new() };
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in facts.put_answers().chain(facts.get_answers()) {
        let (needed, error) = match outcome {
            Outcome::PutFailed { error, .. } => (setting.write_quorum, error),
            Outcome::Unavailable { error } => (setting.read_quorum, error),
            _ => continue,
        };
        let in_reach = in_reach(facts, operation, object, at_us);
        if in_reach.len() < needed {
            continue;
        }
        violations.push(Violation {
            rule: "quorum in reach",
            class: Class::Liveness,
            at_us,
            message: format!(
                "{:?} of {} by {} failed though {in_reach:?} of its replicas {:?} were in \
                 reach all the time: {error}",
                operation.call, object.id, operation.client, object.replicas
            ),
        });
    }
    violations
}

fn in_reach<'a>(
    facts: &Facts<'_>,
    operation: &Operation<'_>,
    object: &'a Wanted,
    ended_us: u64,
) -> Vec<&'a String> {
    let began_us = operation.began_us;
    let stays =
        |node: &&String| facts.reachable_throughout(node, operation.client, began_us, ended_us);
    object.replicas.iter().filter(stays).collect()
}
