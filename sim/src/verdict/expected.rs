//! Liveness: the scenario's own expectations of how much gets done.

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Event, Outcome};

/// Expectations that the run did not meet.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let Some(setting) = history.setting else { return Vec::new() };
    let at_us = history.trace.last().map_or(0, |record| record.at_us);
    let mut offered: u64 = 0;
    let mut acked: u64 = 0;
    for (_, _, outcome, _) in history.put_answers() {
        offered += 1;
        acked += u64::from(matches!(outcome, Outcome::Acked { .. }));
    }
    let mut violations = Vec::new();
    let mut complain = |rule, message, at_us| {
        violations.push(Violation { rule, class: Class::Liveness, at_us, message });
    };
    if acked < setting.puts_acked_min {
        let least = setting.puts_acked_min;
        let message = format!("{acked} puts acknowledged, not {least}");
        complain("expect.puts_acked_min", message, at_us);
    }
    if (acked as f64) < setting.put_share_min * offered as f64 {
        let least = setting.put_share_min;
        let message = format!("{acked} of {offered} puts acknowledged, a share below {least}");
        complain("expect.put_share_min", message, at_us);
    }
    let (mut compactions, mut deletions) = (0, 0);
    for record in history.trace {
        match &record.event {
            Event::Compacted { replaced } => compactions += replaced,
            Event::Deleted { objects, .. } => deletions += objects,
            Event::FaultMissed { wanted } => {
                let message = format!("{} has not {wanted} to damage: nothing was", record.actor);
                complain("step", message, record.at_us);
            }
            _ => {}
        }
    }
    if let Some(least) = setting.compactions_min.filter(|least| compactions < *least) {
        let message = format!("compaction replaced {compactions} segments, not {least}");
        complain("expect.compactions_min", message, at_us);
    }
    if let Some(least) = setting.deletions_min.filter(|least| deletions < *least) {
        let message = format!("{deletions} objects were deleted, not {least}");
        complain("expect.deletions_min", message, at_us);
    }
    violations
}
