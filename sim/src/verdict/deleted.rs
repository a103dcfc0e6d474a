//! What was deleted stays deleted: no crash, and no compaction that forgets a tombstone too
//! soon, brings an object back.
//!
//! Judged where each object has one replica. With more, one that was told later, or was away,
//! may have given it back to another by repair, and rightly so.

use std::collections::BTreeMap;

use super::history::{Deletion, History};
use super::{Class, Violation};
use crate::trace::{Outcome, Wanted};

/// Objects that were there after their replica had deleted them.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    if history.setting.is_none_or(|setting| setting.replicas != 1) {
        return Vec::new();
    }
    let mut violations = Vec::new();
    let mut complain = |at_us, message| {
        let (rule, class) = ("deleted stays deleted", Class::Safety);
        violations.push(Violation { rule, class, at_us, message });
    };
    let mut put_us: BTreeMap<&str, u64> = BTreeMap::new();
    for operation in history.operations.values().filter(|operation| operation.call.is_put()) {
        for object in operation.objects {
            let last_us = put_us.entry(&object.id).or_default();
            // What never ended may still come.
            *last_us = operation.ended_us.unwrap_or(u64::MAX).max(*last_us);
        }
    }
    // When all replicas of an object had deleted it that nobody put since.
    let deleted_us = |object: &Wanted| {
        let put_us = put_us.get(object.id.as_str()).copied().unwrap_or_default();
        let by_all = |deletion: &&Deletion<'_>| {
            let done = |node: &String| deletion.done_by.contains(node.as_str());
            put_us < deletion.began_us && object.replicas.iter().all(done)
        };
        history.deletions_since(&object.id, put_us).find(by_all).map(|deletion| deletion.over_us)
    };
    for (operation, object, outcome, at_us) in history.get_answers() {
        if let Some(deleted_us) = deleted_us(object)
            && deleted_us < operation.began_us
            && matches!(outcome, Outcome::Found { .. })
        {
            let ago_us = operation.began_us - deleted_us;
            let (client, id) = (operation.client, &object.id);
            complain(at_us, format!("{client} got {id}, deleted {ago_us} us before it asked"));
        }
    }
    let puts = history.put_answers().map(|(_, object, ..)| (object.id.as_str(), object));
    for (id, object) in puts.collect::<BTreeMap<_, _>>() {
        let Some(deleted_us) = deleted_us(object) else { continue };
        let Some((holders, outcome)) = history.inspected.get(id) else { continue };
        if !holders.is_empty() || matches!(outcome, Outcome::Found { .. }) {
            complain(deleted_us, format!("{id} was deleted, and {holders:?} had it in the end"));
        }
    }
    violations
}
