//! Liveness: a Git request to a node that can be reached is answered, if only by a refusal, and
//! enough of them by what was asked for.

use super::git::GitHistory;
use super::history::History;
use super::{Class, Violation};
use crate::trace::{GitCall, GitOutcome, Phase, RefVerdict};

/// Requests without an answer, pushes refused when all was well, and expectations not met.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(setting) = history.setting.and_then(|setting| setting.git.as_ref()) else {
        return Vec::new();
    };
    let git = GitHistory::of(history.trace);
    let mut violations = Vec::new();
    let mut complain = |rule, at_us, message| {
        violations.push(Violation { rule, class: Class::Liveness, at_us, message });
    };
    let (mut pushes, mut fetches) = (0, 0);
    for request in &git.requests {
        let Some((at_us, outcome)) = request.answer else { continue };
        match (request.call, outcome) {
            (GitCall::Push { .. }, GitOutcome::Pushed { verdicts }) => {
                pushes += u64::from(verdicts.contains(&RefVerdict::Applied));
            }
            (_, GitOutcome::Fetched { .. }) => fetches += 1,
            (_, GitOutcome::TimedOut) => {
                let (node, client, asked_us) = (request.node, request.client, request.asked_us);
                if history.reachable_throughout(node, client, asked_us, at_us) {
                    let message = format!(
                        "request {} of {client} had no answer from {node} in {} s",
                        request.op,
                        setting.answer_within_us / 1_000_000
                    );
                    complain("git.answer_within", at_us, message);
                }
            }
            (
                GitCall::Push { .. } | GitCall::Refs { .. },
                GitOutcome::NotDone { error } | GitOutcome::Unknown { error },
            ) if request.phase == Some(Phase::Settled)
                // It is no member of the catalog any more.
                && !history.replaced.contains_key(request.node) =>
            {
                let message = format!(
                    "request {} of {} was refused by {} when all was well: {error}",
                    request.op, request.client, request.node
                );
                complain("I13 pushed", at_us, message);
            }
            _ => {}
        }
    }
    let at_us = history.trace.last().map_or(0, |record| record.at_us);
    if history.ended && pushes < setting.pushes_min {
        let message = format!("{pushes} pushes acknowledged, not {}", setting.pushes_min);
        complain("git.pushes_min", at_us, message);
    }
    if history.ended && fetches < setting.fetches_min {
        let message = format!("{fetches} fetches brought a pack, not {}", setting.fetches_min);
        complain("git.fetches_min", at_us, message);
    }
    violations
}
