//! I8 Fenced: who left the layout stores nothing any more.
//!
//! Safety: once a node has taken a layout in which it is not active, it stores for no
//! request that began later, unless a newer layout in which it is active was given out by
//! then. Liveness: once any node has taken such a layout, within the time allowed for
//! recovery no put counts the node that left, though nobody told that node, nor the clients.

use std::collections::BTreeSet;

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Event, Outcome};

/// A layout that a node took.
struct Taken<'a> {
    node: &'a str,
    at_us: u64,
    version: u64,
    active: &'a [String],
}

/// Puts that count a node which had left.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let taken: Vec<Taken<'_>> = history
        .trace
        .iter()
        .filter_map(|record| match &record.event {
            Event::LayoutTaken { version, active } => {
                let (node, at_us, version) = (record.actor.as_str(), record.at_us, *version);
                Some(Taken { node, at_us, version, active })
            }
            _ => None,
        })
        .collect();
    let recovery_us = history.setting.map_or(0, |setting| setting.recover_within_us);
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in history.put_answers() {
        let (Outcome::Acked { replicas } | Outcome::PutFailed { replicas, .. }) = outcome else {
            continue;
        };
        let counted: BTreeSet<&String> = replicas.iter().collect();
        for node in counted {
            // What any caller may go by when this ends, and know better than the node.
            let given_out = taken.iter().filter(|taken| taken.at_us <= at_us);
            let back = given_out
                .filter(|taken| taken.active.contains(node))
                .map(|taken| taken.version)
                .max();
            let left = |taken: &&Taken<'_>| {
                !taken.active.contains(node) && back.is_none_or(|back| back < taken.version)
            };
            let knew = taken
                .iter()
                .filter(left)
                .find(|taken| taken.node == node && taken.at_us <= operation.began_us);
            let spread = taken
                .iter()
                .filter(left)
                .find(|taken| taken.at_us + recovery_us <= operation.began_us);
            let (class, told) = match (knew, spread) {
                (Some(taken), _) => (Class::Safety, taken),
                (None, Some(taken)) => (Class::Liveness, taken),
                (None, None) => continue,
            };
            violations.push(Violation {
                rule: "I8 fenced",
                class,
                at_us,
                message: format!(
                    "{} put {} and counts {node}, which is not active in layout {}; {} has that \
                     since {} us",
                    operation.client, object.id, told.version, told.node, told.at_us
                ),
            });
        }
    }
    violations
}
