//! I2 Intact: a get returns the bytes that were put, or none.

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Outcome, Wanted};

/// Gets that returned other bytes, judged by the testbed's own hash of what the client
/// machine was given; during the run and in the final inspection.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in history.get_answers() {
        if let Some(problem) = problem(object, outcome) {
            let message = format!("{} got {}: {problem}", operation.client, object.id);
            violations.push(Violation { rule: "I2 intact", class: Class::Safety, at_us, message });
        }
    }
    for (_, object, _, at_us) in history.put_answers() {
        let Some((_, outcome)) = history.inspected.get(object.id.as_str()) else { continue };
        if let Some(problem) = problem(object, outcome) {
            let message = format!("the inspection got {}: {problem}", object.id);
            violations.push(Violation { rule: "I2 intact", class: Class::Safety, at_us, message });
        }
    }
    violations
}

fn problem(object: &Wanted, outcome: &Outcome) -> Option<String> {
    let Outcome::Found { bytes, content } = outcome else { return None };
    match &object.content {
        None => Some(format!("{bytes} bytes, of an object that nobody ever put")),
        Some(expected) if *bytes == object.bytes && content == expected => None,
        Some(expected) => Some(format!(
            "{bytes} bytes with contents {content}, where {} bytes with contents {expected} \
             were put",
            object.bytes
        )),
    }
}
