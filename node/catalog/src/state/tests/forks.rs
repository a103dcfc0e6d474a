//! Forks: what a new repository has of another one, and what it has of its own.

use gitstratum_core::limits::{REFS_PER_FORK_MAX, REFS_PER_PUSH_MAX};

use crate::Outcome;
use crate::command::{Expected, NewTarget, Operation, Push};
use crate::fixture::*;
use crate::ids::RepositoryId;

fn fork(name: &str) -> Operation {
    Operation::ForkRepository { repository: RepositoryId(1), name: name.to_owned() }
}

fn refs(machine: &Machine, repository: u64) -> Vec<String> {
    let refs = machine.state.references(RepositoryId(repository));
    refs.map(|(name, held)| format!("{name} {}", held.target)).collect()
}

fn packs(machine: &Machine, repository: u64) -> Vec<u8> {
    machine.state.packs(RepositoryId(repository)).map(|pack| pack.id.0[0]).collect()
}

#[test]
fn a_fork_begins_as_its_origin_is_and_goes_its_own_way() {
    let mut machine = Machine::with_repository();
    let updates = vec![
        make("refs/heads/main", 1),
        update(
            "refs/tags/v1",
            Expected::Absent,
            NewTarget::Object { id: oid(3), peeled: Some(oid(1)) },
        ),
        update("HEAD", Expected::Any, NewTarget::Symbolic("refs/heads/x".to_owned())),
    ];
    machine.push(Push { packs: vec![pack(6)], ..push(updates) });
    assert_eq!(machine.done(fork("copy")), Outcome::Created { repository: RepositoryId(2) });
    assert_eq!(refs(&machine, 2), refs(&machine, 1));
    assert_eq!((packs(&machine, 1), packs(&machine, 2)), (vec![6], vec![6]));
    let copy = machine.state.repository(RepositoryId(2)).unwrap();
    assert_eq!((copy.refs, copy.packs, copy.name.as_str()), (3, 1, "copy"));
    assert_eq!(copy.hidden_refs, ["refs/hidden"], "settings come along");
    let tag = machine.state.reference(RepositoryId(2), "refs/tags/v1").unwrap();
    assert_eq!(tag.peeled.as_deref(), Some(&oid(1)));
    let said: Vec<_> = tag.updates().map(|update| update.message.to_owned()).collect();
    assert_eq!(said, ["forked from project"]);

    let to_copy = Push {
        repository: RepositoryId(2),
        packs: vec![pack(7)],
        ..push(vec![make("refs/heads/y", 2)])
    };
    machine.push(to_copy);
    assert_eq!((packs(&machine, 1), packs(&machine, 2)), (vec![6], vec![6, 7]));
    assert_eq!(machine.refs().len(), 3, "what is pushed to a fork is not in its origin");
    let repository = RepositoryId(1);
    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 0 });
    machine.done(Operation::PurgeRepository { repository });
    assert_eq!(packs(&machine, 2), [6, 7], "nor does it go with its origin");
}

#[test]
fn a_fork_is_refused_without_a_name_of_its_own_or_a_live_origin() {
    let mut machine = Machine::with_repository();
    assert_eq!(machine.refused(fork("project")), "repository 1 has the name project already");
    machine.refused(fork("project/beneath"));
    machine.refused(fork("a//b"));
    let repository = RepositoryId(1);
    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 100 });
    machine.refused(fork("copy"));
    let none = Operation::ForkRepository { repository: RepositoryId(9), name: "x".to_owned() };
    assert_eq!(machine.refused(none), "there is no repository 9");
}

#[test]
fn a_repository_of_too_many_refs_is_not_forked_by_one_command() {
    let mut machine = Machine::with_repository();
    let mut number = 0;
    while number < REFS_PER_FORK_MAX {
        let end = (number + REFS_PER_PUSH_MAX as u64).min(REFS_PER_FORK_MAX);
        machine.push(push((number..end).map(|n| make(&format!("refs/n/{n}"), 1)).collect()));
        number = end;
    }
    // With HEAD it is one too many.
    let refused = machine.refused(fork("copy"));
    assert!(refused.contains("100001") && refused.contains("100000"), "{refused}");
    machine.push(push(vec![update("refs/n/0", Expected::Any, NewTarget::Deleted)]));
    machine.done(fork("copy"));
    assert_eq!(machine.state.references(RepositoryId(2)).count() as u64, REFS_PER_FORK_MAX);
}
