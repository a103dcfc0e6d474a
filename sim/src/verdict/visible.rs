//! I3 Visible: a get after an acknowledged put never says "not found", and "not found" is
//! said only on the word of enough replicas.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Outcome, Wanted};

/// Wrong or ill-founded "not found"s.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let mut acked_at_us: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (_, object, outcome, at_us) in history.put_answers() {
        if matches!(outcome, Outcome::Acked { .. }) {
            acked_at_us.entry(&object.id).or_default().insert(at_us);
        }
    }
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in history.get_answers() {
        let Outcome::NotFound { absent } = outcome else { continue };
        let mut complain = |message| {
            violations.push(Violation { rule: "I3 visible", class: Class::Safety, at_us, message });
        };
        let client = operation.client;
        // An answer in the very microsecond of the call's beginning may be the later one.
        let acks = acked_at_us.get(object.id.as_str()).into_iter().flatten();
        let stands = |acked: &&u64| {
            let deletions = history.deletions_since(&object.id, **acked);
            **acked < operation.began_us
                && deletions.min_by_key(|it| it.began_us).is_none_or(|it| at_us < it.began_us)
        };
        if let Some(acked) = acks.copied().find(|acked| stands(&acked)) {
            let ago_us = operation.began_us - acked;
            complain(format!(
                "{client} was told that {} does not exist, which was acknowledged {ago_us} us \
                 before it asked; absent on {absent:?}",
                object.id
            ));
        }
        let proves = |placed: &Wanted| {
            let said_so: BTreeSet<&String> =
                absent.iter().filter(|node| placed.replicas.contains(node)).collect();
            said_so.len() + placed.write_quorum > placed.replicas.len()
        };
        if !proves(object) && !operation.moved(object).is_some_and(proves) {
            complain(format!(
                "{client} was told that {} does not exist on the word of {absent:?} alone, of \
                 its replicas {:?}; with W = {} of N = {} that proves nothing",
                object.id,
                object.replicas,
                object.write_quorum,
                object.replicas.len()
            ));
        }
    }
    violations
}
