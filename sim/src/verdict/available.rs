//! Liveness: with a quorum of its replicas in reach, an operation succeeds.
//!
//! One dead replica of three must not fail a put. This is also where a client that never
//! dials a node again shows: for the rule, a node that is back counts as in reach once
//! `expect.recover_within` has passed.
//!
//! A layout that comes into force during a call moves its objects. Then a quorum must be in reach
//! by every layout that the call may have gone by: the ones of its beginning, those of its end,
//! and what was between, which those of its end still name.
//!
//! A get of what nobody has put before asks for more: "not found" wants a quorum that proves it. A
//! node that began with an empty disk among others says that its "absent" proves nothing until it
//! was compared with all of them, however long one of them is away. It is not counted there.

use super::history::{History, Operation};
use super::{Class, Violation};
use crate::trace::{Outcome, Wanted};

/// Operations that failed with a quorum in reach from beginning to end.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(setting) = history.setting else { return Vec::new() };
    let mut violations = Vec::new();
    let recovery_us = setting.recover_within_us;
    for Failure { operation, object, error, at_us, in_reach } in failures(history, recovery_us) {
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

/// An object of an operation that failed with a quorum of its replicas in reach.
pub(super) struct Failure<'a> {
    pub(super) operation: &'a Operation<'a>,
    pub(super) object: &'a Wanted,
    pub(super) error: &'a String,
    pub(super) at_us: u64,
    pub(super) in_reach: Vec<&'a String>,
}

/// All of them, where a node that is back counts as in reach after `recovery_us`.
pub(super) fn failures<'a>(history: &'a History<'a>, recovery_us: u64) -> Vec<Failure<'a>> {
    let mut failures = Vec::new();
    let acked = history.first_acked();
    for (operation, object, outcome, at_us) in history.put_answers().chain(history.get_answers()) {
        let (Outcome::PutFailed { error, .. } | Outcome::Unavailable { error }) = outcome else {
            continue;
        };
        let (client, began_us) = (operation.client, operation.began_us);
        let is_put = operation.call.is_put();
        let was_acked = acked.get(object.id.as_str()).is_some_and(|&acked| acked <= began_us);
        let wants_proof = !is_put && !was_acked;
        let stays = |node: &&String| {
            history.reachable_after(recovery_us, (node, client), began_us, at_us)
                && !(wants_proof && history.began_empty(node, at_us))
        };
        let in_reach: Vec<&String> = object.replicas.iter().filter(stays).collect();
        let count = |nodes: &[String]| nodes.iter().filter(stays).count();
        let reaches = |placed: &Wanted, earlier_too: bool| {
            let needed = if is_put { placed.write_quorum } else { placed.read_quorum };
            let mut earlier = placed.earlier.iter().filter(|_| earlier_too);
            count(&placed.replicas) >= needed
                && earlier.all(|(nodes, read_quorum)| count(nodes) >= needed.max(*read_quorum))
        };
        // The object may have been put by any layout that is not settled, so a get needs a quorum
        // of each of them. A put goes by one after the other as they come.
        let began = reaches(object, !is_put);
        if began && operation.moved(object).is_none_or(|moved| reaches(moved, true)) {
            failures.push(Failure { operation, object, error, at_us, in_reach });
        }
    }
    failures
}
