//! I9 Deterministic: the same binary, scenario and seed give the same trace.

use super::{Class, Violation};
use crate::trace::{Record, first_difference};

/// Compares two runs of one seed, record by record.
pub fn deterministic(one: &[Record], other: &[Record]) -> Vec<Violation> {
    let lines = |trace: &[Record]| trace.iter().map(Record::line).collect::<Vec<_>>();
    let (ours, theirs) = (lines(one), lines(other));
    let difference =
        first_difference(ours.iter().map(String::as_str), theirs.iter().map(String::as_str));
    let Some((line, ours, theirs)) = difference else { return Vec::new() };
    let at_us = one.get(line - 1).or(one.last()).map_or(0, |record| record.at_us);
    vec![Violation {
        rule: "I9 deterministic",
        class: Class::Safety,
        at_us,
        message: format!(
            "two runs of the same seed differ in line {line} of the trace:\n  {ours}\n  {theirs}"
        ),
    }]
}
