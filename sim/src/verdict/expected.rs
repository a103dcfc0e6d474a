//! Liveness: the scenario's own expectations of how much gets done.

use super::facts::Facts;
use super::{Class, Violation};
use crate::trace::{Event, Outcome};

/// Expectations that the run did not meet.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let Some(setting) = facts.setting else { return Vec::new() };
    let at_us = facts.trace.last().map_or(0, |record| record.at_us);
    let mut offered: u64 = 0;
    let mut acked: u64 = 0;
    for (_, _, outcome, _) in facts.put_answers() {
        offered += 1;
        acked += u64::from(matches!(outcome, Outcome::Acked { .. }));
    }
    let mut violations = Vec::new();
    let mut complain = |rule, message| {
        violations.push(Violation { rule, class: Class::Liveness, at_us, message });
    };
    if acked < setting.puts_acked_min {
        let least = setting.puts_acked_min;
        complain("expect.puts_acked_min", format!("{acked} puts acknowledged, not {least}"));
    }
    if (acked as f64) < setting.put_share_min * offered as f64 {
        let least = setting.put_share_min;
        complain(
            "expect.put_share_min",
            format!("{acked} of {offered} puts acknowledged, a share below {least}"),
        );
    }
    let (mut compactions, mut deletions) = (0, 0);
    for record in facts.trace {
        match record.event {
            Event::Compacted { replaced } => compactions += replaced,
            Event::Deleted { objects, .. } => deletions += objects,
            _ => {}
        }
    }
    if let Some(least) = setting.compactions_min.filter(|least| compactions < *least) {
        let message = format!("compaction replaced {compactions} segments, not {least}");
        complain("expect.compactions_min", message);
    }
    if let Some(least) = setting.deletions_min.filter(|least| deletions < *least) {
        let message = format!("{deletions} objects were deleted, not {least}");
        complain("expect.deletions_min", message);
    }
    violations
}
