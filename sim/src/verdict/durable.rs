//! I1 Durable: every acknowledged put is readable after every machine lost its power.

use super::history::History;
use super::{Class, Violation};
use crate::trace::Outcome;

/// Acknowledged objects, but for those that were to be deleted, that the final inspection could not read. A run that never came
/// to be inspected is for the liveness checkers to complain of.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    if !history.ended {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in history.put_answers() {
        let Outcome::Acked { replicas } = outcome else { continue };
        if history.is_condemned(&object.id, at_us) {
            continue;
        }
        let found = match history.inspected.get(object.id.as_str()) {
            Some((_, Outcome::Found { .. })) => continue,
            Some((holders, other)) => {
                format!("held by {holders:?} after the power loss, and a get says {other:?}")
            }
            None => "never looked at again".to_owned(),
        };
        violations.push(Violation {
            rule: "I1 durable",
            class: Class::Safety,
            at_us,
            message: format!(
                "{} was told that {} is stored on {replicas:?}: {found}",
                operation.client, object.id
            ),
        });
    }
    violations
}
