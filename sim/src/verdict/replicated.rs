//! Liveness: an acknowledged put reaches every replica that was in reach, not only the W
//! that were waited for.
//!
//! A writer that targets the first W only, one that drops the others once W have
//! answered, and one that no longer dials a node that was away are all caught here, by
//! what the nodes hold in the end.

use super::history::History;
use super::{Class, Violation};
use crate::trace::Outcome;

/// Replicas without an object that they were in reach to receive.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(setting) = history.setting else { return Vec::new() };
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in history.put_answers() {
        if !matches!(outcome, Outcome::Acked { .. }) || history.is_condemned(&object.id, at_us) {
            continue;
        }
        let Some((holders, _)) = history.inspected.get(object.id.as_str()) else { continue };
        let began_us = operation.began_us;
        // What goes on after the answer may take as long as a request may.
        let done_us = at_us.max(began_us + setting.request_timeout_us);
        let lacking: Vec<&String> = object
            .replicas
            .iter()
            .filter(|node| !holders.contains(node))
            // Who left the layout has to refuse; and what another had received it may have lost,
            // and must not have made up.
            .filter(|node| !history.may_lack(node, &object.id, done_us))
            // By a newer layout than the caller's it was no replica by then, and refused.
            .filter(|node| {
                history.is_placed(node, &object.id) || !history.layout_spreads(began_us, done_us)
            })
            .filter(|node| history.reachable_throughout(node, operation.client, began_us, done_us))
            .collect();
        if !lacking.is_empty() {
            violations.push(Violation {
                rule: "replicas in reach",
                class: Class::Liveness,
                at_us,
                message: format!(
                    "{} put by {} never came to {lacking:?}, in reach all the time; held by \
                     {holders:?}",
                    object.id, operation.client
                ),
            });
        }
    }
    violations
}
