//! Restoring repositories and tokens from a backup of another catalog.

use gitstratum_core::limits::RESTORE_LEASE;

use crate::command::{
    BeginRestore, EndRestore, EndedRestore, Operation, RestoreRecords, RestoreToken, RestoredRef,
};
use crate::entity::{Access, Change, Ref, Repository, Token};
use crate::fixture::*;
use crate::ids::{RepositoryId, TokenHash, TokenId};
use crate::{Outcome, State, dump};

const NUMBER: RepositoryId = RepositoryId(1);

/// The first step for a repository of that state.
fn begin(of: &State, number: RepositoryId, keeps_number: bool) -> BeginRestore {
    let repository = Repository::clone(of.repository(number).unwrap());
    let position = of.position();
    BeginRestore { repository, cluster: "there".to_owned(), number, position, keeps_number }
}

/// Its packs and refs, for the one of this number here.
fn records(of: &State, number: RepositoryId, repository: RepositoryId) -> Operation {
    let packs = of.packs(number).map(|pack| (**pack).clone()).collect();
    let refs = of.references(number).map(|(name, held)| {
        let value = Ref::clone(held);
        RestoredRef { name: name.to_string(), value }
    });
    Operation::RestoreRecords(RestoreRecords { repository, packs, refs: refs.collect() })
}

fn end(repositories: &[(u64, Option<u64>)]) -> Operation {
    let ended = repositories.iter().map(|&(repository, deleted_for_ms)| EndedRestore {
        repository: RepositoryId(repository),
        deleted_for_ms,
    });
    Operation::EndRestore(EndRestore { repositories: ended.collect() })
}

/// What a state says of a repository, its provenance apart.
fn said(state: &State, number: RepositoryId) -> (Repository, Vec<(String, Ref)>, Vec<String>) {
    let repository = Repository::clone(state.repository(number).unwrap());
    let refs = state.references(number);
    let refs = refs.map(|(name, held)| (name.to_string(), Ref::clone(held))).collect();
    let packs = state.packs(number).map(|pack| format!("{pack:?}")).collect();
    (Repository { restored: None, ..repository }, refs, packs)
}

#[test]
fn a_repository_is_restored_with_all_it_had_and_has_no_name_before() {
    let there = rich().state;
    let mut here = Machine::new();
    // Long after its packs were begun: a push that names them is refused then.
    here.at_ms = 1 << 41;
    here.done(Operation::BeginRestore(begin(&there, NUMBER, true)));
    assert!(here.state.repository_named("project").is_none());
    here.done(records(&there, NUMBER, NUMBER));
    let undelete = Operation::UndeleteRepository { repository: NUMBER, name: None };
    let refused = here.refused(undelete);
    assert!(refused.contains("is being restored and not whole yet"), "{refused}");
    let refused = here.refused(Operation::Push(push(vec![make("refs/heads/x", 1)])));
    assert!(refused.contains("was deleted"), "{refused}");
    // A step that is given again changes nothing.
    let before = said(&here.state, NUMBER);
    here.done(records(&there, NUMBER, NUMBER));
    assert_eq!(said(&here.state, NUMBER), before);

    here.done(end(&[(1, None)]));
    assert_eq!(said(&here.state, NUMBER), said(&there, NUMBER));
    assert_eq!(here.state.repository_named("project").unwrap().0, NUMBER);
    let restored = here.state.repository(NUMBER).unwrap().restored.clone().unwrap();
    assert!(!restored.under_way && restored.position == there.position());
    let events = here.state.events_since(0, 10).unwrap();
    assert!(
        matches!(&events[0].change, Change::RepositoryRestored { name, .. } if name.as_str() == "project")
    );
    let refused = here.refused(end(&[(1, None)]));
    assert!(refused.contains("not being restored"), "{refused}");

    let mut text = Vec::new();
    dump::dump(&here.state, &mut text).unwrap();
    let loaded = dump::load(&*text).unwrap();
    assert_eq!(said(&loaded, NUMBER), said(&there, NUMBER));
}

#[test]
fn a_number_is_kept_where_it_was_never_given_and_else_one_past_both() {
    let there = rich().state;
    let mut here = Machine::with_repository();
    let renamed = |mut begin: BeginRestore, name: &str| {
        begin.repository.name = crate::names::RepositoryName::parse(name).unwrap();
        Operation::BeginRestore(begin)
    };
    let refused = here.refused(renamed(begin(&there, NUMBER, true), "x"));
    assert!(refused.contains("numbers up to 1 were given"), "{refused}");
    let mut far = begin(&there, NUMBER, false);
    far.number = RepositoryId(7);
    let made = here.done(renamed(far, "x"));
    assert_eq!(made, Outcome::Created { repository: RepositoryId(8) });
    // So no number is given later whose place has chunks of the other cluster's repository.
    assert_eq!(here.done(create("next")), Outcome::Created { repository: RepositoryId(9) });
    let mut out_of_sight = begin(&there, NUMBER, false);
    out_of_sight.number = RepositoryId(u64::MAX);
    let refused = here.refused(renamed(out_of_sight, "y"));
    assert!(refused.contains("over the limit"), "{refused}");
}

#[test]
fn names_are_given_to_all_or_to_none_and_deletions_go_on() {
    let there = rich().state;
    let mut here = Machine::new();
    for number in [1, 2, 3] {
        here.done(Operation::BeginRestore(begin(&there, RepositoryId(number), true)));
    }
    here.done(create("team/a"));
    let refused = here.refused(end(&[(1, None), (2, None), (3, Some(500))]));
    assert!(refused.contains("has the name team/a already"), "{refused}");
    assert!(here.state.repository_named("project").is_none());

    let rename = Operation::RenameRepository { repository: RepositoryId(4), name: "b".to_owned() };
    here.done(rename);
    here.done(end(&[(1, None), (2, None), (3, Some(500))]));
    assert!(here.state.repository_named("team/a").is_some());
    let deleted = here.state.repository(RepositoryId(3)).unwrap().deleted.unwrap();
    assert_eq!(deleted.until_ms, here.at_ms + 500);
    here.done(Operation::UndeleteRepository { repository: RepositoryId(3), name: None });
}

#[test]
fn what_nobody_goes_on_with_is_purged_a_lease_after_the_last_step() {
    let there = rich().state;
    let mut here = Machine::new();
    let lease_ms = RESTORE_LEASE.as_millis() as u64;
    here.done(Operation::BeginRestore(begin(&there, NUMBER, true)));
    here.at_ms += lease_ms - 1;
    here.done(records(&there, NUMBER, NUMBER));
    here.at_ms += lease_ms - 1;
    let purge = || Operation::PurgeRepository { repository: NUMBER };
    assert!(here.refused(purge()).contains("is kept until"));
    here.at_ms += 1;
    here.done(purge());
    assert_eq!(here.state.counts().packs + here.state.counts().refs, 0);
    assert!(here.refused(records(&there, NUMBER, NUMBER)).contains("there is no repository"));
}

#[test]
fn a_record_that_cannot_be_is_refused_with_all_that_came_beside_it() {
    let there = rich().state;
    let mut here = Machine::new();
    here.done(Operation::BeginRestore(begin(&there, NUMBER, true)));
    let Operation::RestoreRecords(mut wrong) = records(&there, NUMBER, NUMBER) else {
        unreachable!("it gives records")
    };
    let beneath = "refs/heads/main/x".to_owned();
    let value = wrong.refs.last().unwrap().value.clone();
    wrong.refs.push(RestoredRef { name: beneath, value });
    let refused = here.refused(Operation::RestoreRecords(wrong));
    assert!(refused.contains("cannot both be refs"), "{refused}");
    assert_eq!(here.state.counts().packs, 0);
}

#[test]
fn a_token_keeps_its_number_or_gets_the_next_and_is_there_once() {
    let mut here = Machine::new();
    let token = |description: &str| Token {
        description: description.to_owned(),
        access: Access::Read,
        prefix: String::new(),
        created_at_ms: 5,
        expires_at_ms: None,
    };
    let restore = |id, hash| {
        let (id, hash) = (TokenId(id), TokenHash([hash; 32]));
        Operation::RestoreToken(RestoreToken { id, hash, token: token("ci") })
    };
    for (id, hash, given) in [(4, 1, 4), (2, 2, 5), (9, 1, 4), (9, 3, 9)] {
        let made = Outcome::TokenCreated { token: TokenId(given) };
        assert_eq!(here.done(restore(id, hash)), made);
    }
    let (_, held) = here.state.tokens().next().unwrap();
    assert_eq!(*held, token("ci"), "with the time of its making");
}
