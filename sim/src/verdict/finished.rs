//! Liveness: the run came to its end, and every node came up and stayed up.
//!
//! A node that is started while it may open no files, or its disk is full, may say so and end: whoever
//! watches it starts it again. One that serves has to go on whatever its disk does.

use std::collections::BTreeSet;

use super::history::History;
use super::{Class, Violation};
use crate::trace::Event;

/// What kept the run from ending as it should.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let (mut starting, mut troubled) = (BTreeSet::new(), BTreeSet::new());
    for record in history.trace {
        let actor = &record.actor;
        match &record.event {
            Event::Started { .. } => drop(starting.insert(actor)),
            Event::Ready => drop(starting.remove(actor)),
            Event::Disk { .. } => drop(troubled.insert(actor)),
            Event::DiskReleased => drop(troubled.remove(actor)),
            _ => {}
        }
        let (rule, message) = match &record.event {
            Event::Stuck { phase } => {
                ("expect.stuck_after", format!("the run had not ended, in phase {phase:?}"))
            }
            Event::Exited { .. } if starting.contains(actor) && troubled.contains(actor) => {
                continue;
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
