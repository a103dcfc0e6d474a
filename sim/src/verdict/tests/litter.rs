//! Chunks that nobody owns, and packs whose chunks are gone.

use super::*;
use crate::trace::{GitSetting, HeldPack};

/// A trace in which the repository has packs `a` and `b`, and each node holds so many chunks of
/// packs.
fn seen(stores: &[(&str, &[(&str, u64)])]) -> Trace {
    let mut trace = Trace::begin();
    trace.set(|setting| {
        setting.git = Some(GitSetting {
            answer_within_us: SECOND,
            pushes_min: 0,
            fetches_min: 0,
            swept_within_us: Some(3600 * SECOND),
        });
    });
    trace.add("n1", Event::PacksOwned { packs: text(&["a", "b"]) });
    for (node, held) in stores {
        let held = held.iter().map(|(pack, chunks)| {
            let (pack, chunks) = ((*pack).to_owned(), *chunks);
            HeldPack { pack, repository: 1, chunks }
        });
        trace.add(node, Event::PacksHeld { packs: held.collect() });
    }
    trace
}

#[track_caller]
fn check(stores: &[(&str, &[(&str, u64)])], expected: &[(Class, &str)]) {
    let mut trace = seen(stores);
    trace.end();
    let found = judge(&trace.records);
    let found: Vec<_> = found.iter().map(|it| (it.rule, it.class, it.message.as_str())).collect();
    let expected: Vec<_> =
        expected.iter().map(|(class, message)| ("I14 no litter", *class, *message)).collect();
    assert_eq!(found, expected);
}

const BOTH: &[(&str, u64)] = &[("a", 3), ("b", 1)];

#[test]
fn chunks_that_have_an_owner_stay_on_all_replicas() {
    check(&[("n1", BOTH), ("n2", BOTH), ("n3", BOTH)], &[]);
}

#[test]
fn a_chunk_without_an_owner_is_litter() {
    let litter: &[(&str, u64)] = &[("a", 3), ("b", 1), ("c", 2), ("d", 1)];
    let words = "60 min after the last fault n2 still has 3 chunks of 2 packs that no repository has, \
                 such as c of repository 1";
    check(&[("n1", BOTH), ("n2", litter), ("n3", BOTH)], &[(Class::Liveness, words)]);
}

#[test]
fn a_pack_that_has_an_owner_must_not_be_collected() {
    let one: &[(&str, u64)] = &[("a", 3)];
    let words = "a repository has pack b, and no node any chunk of it";
    check(&[("n1", one), ("n2", one), ("n3", one)], &[(Class::Safety, words)]);
    let part: &[(&str, u64)] = &[("a", 2), ("b", 1)];
    let words = r#"pack a is whole on ["n1", "n3"] alone"#;
    check(&[("n1", BOTH), ("n2", part), ("n3", BOTH)], &[(Class::Liveness, words)]);
}

#[test]
fn a_store_that_nobody_looked_into_proves_nothing() {
    let words = "nobody looked what n3 holds";
    let rest = r#"pack a is whole on ["n1", "n2"] alone"#;
    let more = r#"pack b is whole on ["n1", "n2"] alone"#;
    let all = [(Class::Liveness, words), (Class::Liveness, rest), (Class::Liveness, more)];
    check(&[("n1", BOTH), ("n2", BOTH)], &all);
}
