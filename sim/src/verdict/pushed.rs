//! I13 Pushed: whatever was acknowledged is in every clone that begins later, through any node.
//!
//! That the refs which clients are told fit one order is I10; here it is said of single refs, in
//! words that name the push. That a clone has all that its refs reach is I12; here, that there is
//! one to be had when the faults are over.

use std::collections::BTreeMap;

use super::git::{GitHistory, Request};
use super::history::History;
use super::{Class, Violation};
use crate::trace::{CLONER, Delivery, GitCall, GitOutcome, GitUpdate, RefVerdict};

const RULE: &str = "I13 pushed";

/// Pushes that are not in what was told later, and repositories that cannot be cloned any more.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let git = GitHistory::of(history.trace);
    let mut violations = lost(&git);
    violations.extend(git.requests.iter().filter_map(done_in_part));
    violations.extend(not_cloned(&git, history));
    violations
}

/// What a push did to a ref, or may have done.
struct Update<'a> {
    request: &'a Request<'a>,
    new: Option<&'a str>,
    /// When it was certainly done.
    done_us: Option<u64>,
}

/// By repository and ref, in the order in which they were asked.
type Updates<'a> = BTreeMap<(&'a str, &'a str), Vec<Update<'a>>>;

fn updates<'a>(git: &'a GitHistory<'a>) -> Updates<'a> {
    let mut all: Updates<'_> = BTreeMap::new();
    for request in &git.requests {
        let GitCall::Push { updates, .. } = request.call else { continue };
        for (place, GitUpdate { name, new, .. }) in updates.iter().enumerate() {
            let done_us = match request.answer {
                Some((at_us, GitOutcome::Pushed { verdicts })) => match verdicts.get(place) {
                    Some(RefVerdict::Applied) => Some(at_us),
                    _ => continue,
                },
                Some((_, GitOutcome::NotDone { .. } | GitOutcome::NoRepository)) => continue,
                _ => None,
            };
            let update = Update { request, new: new.as_deref(), done_us };
            all.entry((request.repository, name)).or_default().push(update);
        }
    }
    all
}

/// Refs that were told as something which an acknowledged push had replaced by then.
fn lost(git: &GitHistory<'_>) -> Vec<Violation> {
    let updates = updates(git);
    let mut violations = Vec::new();
    for request in &git.requests {
        let Some((at_us, GitOutcome::Refs { refs })) = request.answer else { continue };
        for ((repository, name), updates) in &updates {
            if *repository != request.repository {
                continue;
            }
            let told = refs.get(*name).map(String::as_str);
            // The last one that was acknowledged before it was asked.
            let before = updates.iter().filter(|it| it.done_us < Some(request.asked_us));
            let before = before.filter(|it| it.done_us.is_some());
            let Some(last) = before.max_by_key(|it| it.done_us) else { continue };
            let may_follow = |other: &Update<'_>| {
                let ended_us = other.done_us.unwrap_or(u64::MAX);
                other.new == told
                    && other.request.asked_us < at_us
                    && ended_us >= last.request.asked_us
            };
            if last.new == told || updates.iter().any(may_follow) {
                continue;
            }
            let text = |value: Option<&str>| value.unwrap_or("absent").to_owned();
            let (push, pushed, told) = (last.request.op, text(last.new), text(told));
            let Request { op, client, node, .. } = request;
            let message = format!(
                "request {op} of {client} is told by {node} that {name} of {repository} is {told}; \
                 push {push} made it {pushed}, was acknowledged before, and nothing that may have \
                 come after it made it so"
            );
            violations.push(Violation { rule: RULE, class: Class::Safety, at_us, message });
        }
    }
    violations
}

/// A push that was acknowledged although its objects were not all there.
fn done_in_part(request: &Request<'_>) -> Option<Violation> {
    let GitCall::Push { delivery: Delivery::Incomplete, updates, .. } = request.call else {
        return None;
    };
    let (at_us, GitOutcome::Pushed { verdicts }) = request.answer? else { return None };
    let accepted = |place: usize| {
        verdicts.get(place) == Some(&RefVerdict::Applied) && updates[place].new.is_some()
    };
    (0..updates.len()).any(accepted).then(|| {
        let Request { op, client, node, .. } = request;
        let message = format!("push {op} of {client} lacked an object, and {node} acknowledged it");
        Violation { rule: RULE, class: Class::Safety, at_us, message }
    })
}

/// Clones that did not come about although the faults were over. A node whose disk was replaced is no
/// member of the catalog under its old id, so it has no repositories to give.
fn not_cloned(git: &GitHistory<'_>, history: &History<'_>) -> Vec<Violation> {
    let mut last: BTreeMap<_, &Request<'_>> = BTreeMap::new();
    let is_member = |request: &&Request<'_>| !history.replaced.contains_key(request.node);
    let clones = git.requests.iter().filter(|request| request.client == CLONER);
    for request in clones.filter(is_member) {
        last.insert((request.phase, request.repository, request.node), request);
    }
    let failed = |request: &&Request<'_>| {
        let (at_us, why) = match request.answer {
            Some((_, GitOutcome::Refs { .. } | GitOutcome::Fetched { .. })) => return None,
            Some((_, GitOutcome::NoRepository)) => return None,
            Some((at_us, outcome)) => (at_us, format!("{outcome:?}")),
            None => (request.asked_us, "no answer".to_owned()),
        };
        let Request { repository, node, phase, .. } = request;
        let message = format!(
            "no clone of {repository} through {node} when the faults were over ({phase:?}): {why}"
        );
        Some(Violation { rule: RULE, class: Class::Safety, at_us, message })
    };
    last.values().filter_map(failed).collect()
}
