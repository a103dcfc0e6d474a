//! Pushes, as transcripts: the updates, what became of each, the refs afterwards.

use gitstratum_core::limits::{PURGED_AT_ONCE_MAX, REFLOG_ENTRIES_MAX};
use gitstratum_core::object::ObjectId;

use crate::command::{Expected, NewTarget, Operation, Push, RefUpdate};
use crate::entity::RepositoryLimits;
use crate::fixture::*;
use crate::ids::RepositoryId;
use crate::{Advice, Answer, CatalogError, Outcome, Query};

const MAIN: &str = "refs/heads/main";

#[test]
fn an_update_is_done_only_if_the_ref_is_as_expected() {
    let mut machine = Machine::with_repository();
    assert_eq!(machine.push(push(vec![make(MAIN, 1)])), ["ok"]);
    let moves = |expected, digit| push(vec![update(MAIN, expected, object(digit))]);
    for (push, said) in [
        (moves(Expected::Absent, 2), "it is #1, and not absent as the update expects"),
        (moves(Expected::Object(oid(2)), 3), "it is #1, and not #2 as the update expects"),
        (moves(Expected::Object(oid(1)), 2), "ok"),
        (moves(Expected::Object(oid(1)), 3), "it is #2, and not #1 as the update expects"),
        (moves(Expected::Any, 4), "ok"),
        (moves(Expected::Object(oid(4)), 4), "ok"),
    ] {
        assert_eq!(machine.push(push), [said]);
    }
    let missing = update("refs/heads/x", Expected::Object(oid(1)), object(2));
    assert_eq!(
        machine.push(push(vec![missing, delete("refs/heads/x")])),
        ["the push updates it more than once", "the push updates it more than once"]
    );
    let missing = update("refs/heads/x", Expected::Object(oid(1)), NewTarget::Deleted);
    assert_eq!(
        machine.push(push(vec![missing, delete("refs/heads/y")])),
        ["it is absent, and not #1 as the update expects", "ok"]
    );
    assert_eq!(machine.refs(), ["HEAD ref refs/heads/main", "refs/heads/main #4"]);
}

#[test]
fn an_atomic_push_is_done_whole_or_not_at_all() {
    let mut machine = Machine::with_repository();
    machine.push(push(vec![make(MAIN, 1)]));
    let updates = || {
        vec![
            make("refs/heads/a", 2),
            update(MAIN, Expected::Object(oid(9)), object(2)),
            delete("refs/heads/none"),
        ]
    };
    let before = machine.state.clone();
    let aborted = "another update of this atomic push was refused";
    let moved = "it is #1, and not #9 as the update expects";
    let packed = Push { packs: vec![pack(1)], ..atomic(updates()) };
    assert_eq!(machine.push(packed), [aborted, moved, aborted]);
    assert_eq!(machine.state.counts().packs, 0);
    assert_eq!(machine.state.last_event(), before.last_event());
    assert_eq!(machine.state.repository(RepositoryId(1)), before.repository(RepositoryId(1)));
    assert_eq!(machine.refs(), ["HEAD ref refs/heads/main", "refs/heads/main #1"]);
    // The same, each for itself.
    let packed = Push { packs: vec![pack(1)], ..push(updates()) };
    assert_eq!(machine.push(packed), ["ok", moved, "ok"]);
    assert_eq!(machine.state.repository(RepositoryId(1)).unwrap().packs, 1);
    assert_eq!(
        machine.refs(),
        ["HEAD ref refs/heads/main", "refs/heads/a #2", "refs/heads/main #1"]
    );
}

#[test]
fn a_ref_is_no_directory_of_another() {
    let mut machine = Machine::with_repository();
    machine.push(push(vec![make("refs/heads/a/b", 1), make("refs/heads/a-b", 1)]));
    let conflict = |name| format!("it and {name}, which is there already, cannot both be refs");
    for (name, existing) in [
        ("refs/heads/a", "refs/heads/a/b"),
        ("refs/heads/a/b/c/d", "refs/heads/a/b"),
        ("refs/heads", "refs/heads/a-b"),
    ] {
        assert_eq!(machine.push(push(vec![make(name, 2)])), [conflict(existing)]);
    }
    // Within one push the first one wins, but for deletions, which come before all others.
    assert_eq!(
        machine.push(push(vec![make("refs/x/y", 2), make("refs/x", 2)])),
        ["ok".to_owned(), conflict("refs/x/y")]
    );
    let swap = vec![make("refs/heads/a", 3), delete("refs/heads/a/b")];
    assert_eq!(machine.push(atomic(swap)), ["ok", "ok"]);
    let swap = vec![make("refs/heads/a/c", 3), delete("refs/heads/a")];
    assert_eq!(machine.push(push(swap)), ["ok", "ok"]);
    assert_eq!(
        machine.refs(),
        ["HEAD ref refs/heads/main", "refs/heads/a-b #1", "refs/heads/a/c #3", "refs/x/y #2"]
    );
}

#[test]
fn what_no_ref_can_be_is_refused_with_its_reason() {
    let mut machine = Machine::with_repository();
    let sha256 = ObjectId::from_bytes(&[1; 32]).unwrap();
    let to = |id| NewTarget::Object { id, peeled: None };
    let symbolic = |name: &str| NewTarget::Symbolic(name.to_owned());
    let cases: Vec<(RefUpdate, &str)> = vec![
        (
            make("refs/heads/a..b", 1),
            "\"refs/heads/a..b\" cannot be the name of a ref: it has \"..\" in it",
        ),
        (
            make("main", 1),
            "\"main\" cannot be the name of a ref: it is neither \"HEAD\" nor begins with \"refs/\"",
        ),
        (make("refs/hidden/x", 1), "it is hidden by \"refs/hidden\""),
        (make("refs/hidden", 1), "it is hidden by \"refs/hidden\""),
        (make("refs/hiddenx", 1), "ok"),
        (delete("HEAD"), "HEAD cannot be deleted: point it elsewhere"),
        (update("refs/heads/s", Expected::Any, symbolic(MAIN)), "only HEAD can be a symbolic ref"),
        (
            update("HEAD", Expected::Any, symbolic("HEAD")),
            "HEAD points to refs under \"refs/\", and not to HEAD",
        ),
        (make("refs/heads/z", 0), "an id of zeros is no object: a ref is deleted by saying so"),
    ];
    let (updates, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let heads = updates.iter().filter(|update| update.name == "HEAD").count();
    assert_eq!(heads, 2);
    for (update, expected) in updates.into_iter().zip(expected) {
        assert_eq!(machine.push(push(vec![update])), [expected]);
    }
    let other = update("refs/heads/o", Expected::Any, to(sha256));
    let said = machine.push(push(vec![other]));
    assert!(said[0].ends_with("is no id of sha1, which the repository's objects have"), "{said:?}");
    // For those who keep hidden refs.
    let kept = Push { may_update_hidden: true, ..push(vec![make("refs/hidden/x", 1)]) };
    assert_eq!(machine.push(kept), ["ok"]);
}

#[test]
fn head_is_a_ref_that_is_moved_and_detached_like_others() {
    let mut machine = Machine::with_repository();
    let symbolic = |name: &str| NewTarget::Symbolic(name.to_owned());
    let from_main = Expected::Symbolic(MAIN.to_owned());
    let moves = update("HEAD", from_main.clone(), symbolic("refs/heads/dev"));
    assert_eq!(machine.push(push(vec![moves.clone()])), ["ok"]);
    assert_eq!(
        machine.push(push(vec![moves])),
        ["it is ref refs/heads/dev, and not ref refs/heads/main as the update expects"]
    );
    let detached = update("HEAD", Expected::Any, object(5));
    assert_eq!(machine.push(push(vec![detached])), ["ok"]);
    assert_eq!(machine.refs(), ["HEAD #5"]);
}

#[test]
fn a_push_goes_by_the_generation_in_which_it_was_found_complete() {
    let mut machine = Machine::with_repository();
    let stale = Push { generation: 3, ..push(vec![make(MAIN, 1)]) };
    let error = machine.apply(Operation::Push(stale)).unwrap_err();
    assert_eq!(error.advice(), Advice::ReadAgain);
    assert!(matches!(error, CatalogError::Generation { given: 3, generation: 0, .. }));
    // Nothing has to be complete for a deletion.
    let deletion = Push { generation: 3, ..push(vec![delete(MAIN)]) };
    assert_eq!(machine.push(deletion), ["ok"]);
}

#[test]
fn packs_are_kept_if_any_update_is_done() {
    let mut machine = Machine::with_repository();
    let with = |packs, updates| Push { packs, ..push(updates) };
    let refused = || vec![update(MAIN, Expected::Object(oid(1)), object(2))];
    machine.push(with(vec![pack(1)], refused()));
    assert_eq!(machine.state.counts().packs, 0);
    machine.push(with(vec![pack(1), pack(1)], vec![make(MAIN, 1)]));
    machine.push(with(vec![pack(1), pack(2)], vec![delete("refs/heads/none")]));
    let ids: Vec<_> = machine.state.packs(RepositoryId(1)).map(|pack| pack.id.0[0]).collect();
    assert_eq!(ids, [1, 2]);
    let page = |after, max| {
        let query = Query::Packs { repository: RepositoryId(1), after, max };
        let Answer::Packs { generation: 0, packs, next } = machine.state.answer(&query) else {
            panic!("packs of generation 0");
        };
        (packs.iter().map(|pack| pack.id.0[0]).collect::<Vec<_>>(), next)
    };
    let (first, next) = page(None, 1);
    assert_eq!((first, next), (vec![1], Some(pack(1).id)));
    assert_eq!(page(next, 1), (vec![2], None));
    // An hour is not long, and seven are.
    let begun = |at_ms: u64| {
        let mut id = [9; 32];
        id[..8].copy_from_slice(&at_ms.to_be_bytes());
        crate::entity::Pack { id: crate::ids::PackId(id), ..pack(1) }
    };
    let hour_ms = 3_600_000;
    machine.at_ms = 100 * hour_ms;
    let old = with(vec![begun(93 * hour_ms)], vec![make("refs/heads/old", 1)]);
    let reason = machine.refused(Operation::Push(old));
    assert!(reason.contains("what it brought is kept no longer"), "{reason}");
    assert!(begun(93 * hour_ms).id.is_expired(machine.state.clock_ms()));
    let new = with(vec![begun(99 * hour_ms)], vec![make("refs/heads/new", 1)]);
    assert_eq!(machine.push(new.clone()), ["ok"]);
    // One that is had may be named again, however old it is.
    machine.at_ms = 200 * hour_ms;
    let again = Push { updates: vec![make("refs/heads/again", 1)], ..new };
    assert_eq!(machine.push(again), ["ok"]);
    let other = crate::entity::Pack { bytes: 7, ..pack(1) };
    let reason = machine.refused(Operation::Push(with(vec![other], vec![make("refs/a/b", 1)])));
    assert!(reason.ends_with("is there already, and described otherwise"), "{reason}");
}

#[test]
fn a_ref_keeps_its_last_updates() {
    let mut machine = Machine::with_repository();
    for digit in 1..=9 {
        machine.at_ms = 1_000 * u64::from(digit);
        machine.push(push(vec![update(MAIN, Expected::Any, object(digit))]));
    }
    for digit in (1..=9).cycle().take(REFLOG_ENTRIES_MAX + 2) {
        machine.push(push(vec![update(MAIN, Expected::Any, object(digit))]));
    }
    let held = machine.state.reference(RepositoryId(1), MAIN).unwrap();
    let updates: Vec<_> = held.updates().collect();
    assert_eq!(updates.len(), REFLOG_ENTRIES_MAX);
    assert_eq!(updates[0].new, &held.target);
    for pair in updates.windows(2) {
        assert_eq!(pair[0].old, Some(pair[1].new));
    }
    assert_eq!((updates[0].who, updates[0].at_ms, updates[0].message), ("ann", 9_000, "push"));
    machine.push(push(vec![delete(MAIN)]));
    machine.push(push(vec![make(MAIN, 1)]));
    let held = machine.state.reference(RepositoryId(1), MAIN).unwrap();
    assert_eq!(held.updates().map(|update| update.old.is_some()).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_repositorys_own_bounds_hold() {
    let mut machine = Machine::new();
    let Operation::CreateRepository(mut create) = create("small") else { unreachable!() };
    let limits =
        RepositoryLimits { refs_max: Some(2), push_bytes_max: Some(1500), ..Default::default() };
    create.limits = limits;
    machine.done(Operation::CreateRepository(create));
    assert_eq!(
        machine.push(push(vec![make("refs/heads/a", 1), make("refs/heads/b", 1)])),
        ["ok", "refs of the repository: 3 is over the limit of 2"]
    );
    // What is deleted first makes room.
    let swap = vec![make("refs/heads/b", 1), delete("refs/heads/a")];
    assert_eq!(machine.push(atomic(swap)), ["ok", "ok"]);
    let large = Push { packs: vec![pack(1), pack(2)], ..push(vec![delete("refs/heads/b")]) };
    assert_eq!(
        machine.refused(Operation::Push(large)),
        "the packs of the push have 2000 bytes, over the repository's limit of 1500"
    );
    assert_eq!(machine.refused(Operation::Push(push(Vec::new()))), "the push updates no ref");
}

#[test]
fn a_large_repository_is_purged_in_steps() {
    let mut machine = Machine::with_repository();
    for at in 0..2 {
        let updates = (0..PURGED_AT_ONCE_MAX).map(|n| make(&format!("refs/{at}/{n}"), 1)).collect();
        machine.push(push(updates));
    }
    let repository = RepositoryId(1);
    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 0 });
    let purge = Operation::PurgeRepository { repository };
    assert_eq!(machine.done(purge.clone()), Outcome::Purged { finished: false });
    assert_eq!(machine.done(purge.clone()), Outcome::Purged { finished: false });
    assert_eq!(machine.done(purge.clone()), Outcome::Purged { finished: true });
    assert_eq!(machine.state.counts().refs, 0);
    assert_eq!(machine.refused(purge), "there is no repository 1");
}
