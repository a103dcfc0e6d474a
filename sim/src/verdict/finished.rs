//! Liveness: the run came to its end, and every node came up and stayed up.

use super::history::History;
use super::{Class, Violation};
use crate::trace::Event;

/// What kept the run from ending as it should.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for record in history.trace {
        let actor = &record.actor;
        let (rule, message) = match &record.event {
            Event::Stuck { phase } => {
                ("expect.stuck_after", format!("the run had not ended, in phase {phase:?}"))
            }
            Event::Exited { reason } => ("nodes run", format!("{actor} stopped: {reason}")),
            Event::NotReady => ("nodes run", format!("{actor} did not listen in time")),
            Event::InspectionFailed { reason } => ("nodes run", format!("{actor}: {reason}")),
            Event::Panicked { message } => ("no panic", message.clone()),
            _ => continue,
        };
        let class = Class::Liveness;
        violations.push(Violation { rule, class, at_us: record.at_us, message });
    }
    if !history.ended && violations.is_empty() {
        let at_us = history.trace.last().map_or(0, |record| record.at_us);
        let message = "the trace has no end and no reason for that".to_owned();
        violations.push(Violation { rule: "nodes run", class: Class::Liveness, at_us, message });
    }
    violations
}
