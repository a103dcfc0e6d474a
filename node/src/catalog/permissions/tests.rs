//! Which tokens are enough for what.

use gitstratum_catalog::command::{
    CreateRepository, CreateToken, EndRestore, JoinNode, Push, Refound,
};
use gitstratum_catalog::entity::{Access, NodeState, Pack, RepositoryLimits};
use gitstratum_catalog::ids::{ClientId, DirectoryId, PackId, TokenHash, TokenId};
use gitstratum_catalog::{Command, Reply, Request};
use gitstratum_core::object::HashAlgorithm;

use super::*;
use crate::catalog::GROUP;

const TEAM: RepositoryId = RepositoryId(1);
const OTHER: RepositoryId = RepositoryId(2);
const NONE: RepositoryId = RepositoryId(7);

fn create(name: &str) -> Operation {
    Operation::CreateRepository(CreateRepository {
        name: name.to_owned(),
        object_format: HashAlgorithm::Sha1,
        default_branch: "refs/heads/main".to_owned(),
        description: String::new(),
        limits: RepositoryLimits::default(),
        hidden_refs: Vec::new(),
    })
}

/// With `team/project` and `other`.
fn state() -> State {
    let mut state = State::new(GROUP);
    for (number, name) in (1..).zip(["team/project", "other"]) {
        let request = Request { client: ClientId([1; 16]), number };
        let (who, operation) = ("test".to_owned(), create(name));
        let command = Command { group: GROUP, request, at_ms: 1, who, operation };
        assert!(matches!(state.apply(number, command), Reply::Done(_)));
    }
    state
}

fn grant(scope: Scope, prefix: &str) -> Grant {
    Grant { token: 3, description: "ci".to_owned(), scope, prefix: prefix.to_owned() }
}

fn push(repository: RepositoryId, packs: Vec<Pack>) -> Operation {
    Operation::Push(Push {
        repository,
        generation: 0,
        atomic: false,
        may_update_hidden: false,
        updates: Vec::new(),
        packs,
        message: String::new(),
    })
}

fn pack() -> Pack {
    Pack { id: PackId([1; 32]), bytes: 1, objects: 1, chunks: 1, source: Vec::new() }
}

fn configure(repository: RepositoryId, public: Option<bool>) -> Operation {
    Operation::ConfigureRepository(ConfigureRepository {
        repository,
        default_branch: Some("refs/heads/main".to_owned()),
        description: None,
        limits: None,
        hidden_refs: None,
        public,
    })
}

fn join() -> Operation {
    let (directory, address) = (DirectoryId([1; 16]), "127.0.0.1:1".to_owned());
    Operation::JoinNode(JoinNode { node: "n9".to_owned(), directory, address, program: None })
}

fn token() -> Operation {
    Operation::CreateToken(CreateToken {
        hash: TokenHash([1; 32]),
        description: String::new(),
        access: Access::Admin,
        prefix: "team".to_owned(),
        expires_at_ms: None,
    })
}

fn rename(repository: RepositoryId, name: &str) -> Operation {
    Operation::RenameRepository { repository, name: name.to_owned() }
}

fn fork(repository: RepositoryId, name: &str) -> Operation {
    Operation::ForkRepository { repository, name: name.to_owned() }
}

#[test]
fn commands_take_scopes_and_prefixes() {
    let state = state();
    let state_of =
        |node: &str| Operation::SetNodeState { node: node.to_owned(), state: NodeState::Removed };
    // The least scope without a prefix, and the least with the prefix "team"; none is enough for what
    // has no scope.
    let (write, admin, never) = (Some(Scope::Write), Some(Scope::Admin), None);
    for (operation, whole, within) in [
        (create("team/new"), write, write),
        (create("team"), write, write),
        (create("teamwork"), write, never),
        (create("new"), write, never),
        (create("/../team/new"), write, never),
        (push(TEAM, Vec::new()), write, write),
        (push(TEAM, vec![pack()]), write, never),
        (push(OTHER, Vec::new()), write, never),
        (push(NONE, Vec::new()), write, never),
        (fork(TEAM, "team/copy"), write, write),
        (fork(OTHER, "team/copy"), write, never),
        (fork(TEAM, "copy"), write, never),
        (rename(TEAM, "team/old"), admin, admin),
        (rename(TEAM, "old"), admin, never),
        (rename(OTHER, "team/old"), admin, never),
        (configure(TEAM, Some(true)), admin, admin),
        (configure(OTHER, Some(true)), admin, never),
        (configure(TEAM, None), write, write),
        (configure(OTHER, None), write, never),
        (Operation::DeleteRepository { repository: TEAM, keep_for_ms: 1 }, admin, admin),
        (Operation::DeleteRepository { repository: OTHER, keep_for_ms: 1 }, admin, never),
        (Operation::UndeleteRepository { repository: TEAM, name: None }, admin, admin),
        (Operation::PurgeRepository { repository: TEAM }, admin, never),
        (token(), admin, never),
        (Operation::RevokeToken { token: TokenId(1) }, admin, never),
        (Operation::EndRestore(EndRestore { repositories: Vec::new() }), admin, never),
        (join(), admin, never),
        (state_of("n1"), admin, never),
        (Operation::AdvanceClock, never, never),
        (
            Operation::Refound(Refound {
                node: "n1".to_owned(),
                directory: DirectoryId([1; 16]),
                address: "127.0.0.1:1".to_owned(),
                forgets_others: true,
            }),
            never,
            never,
        ),
    ] {
        for scope in [Scope::Read, Scope::Write, Scope::Admin] {
            for (prefix, least) in [("", whole), ("team", within)] {
                let checked = check_operation(&grant(scope, prefix), &operation, &state);
                let is_enough = least.is_some_and(|least| scope >= least);
                assert_eq!(checked.is_ok(), is_enough, "{scope} {prefix:?} {operation:?}");
                if let Err(NotAllowed(reason)) = checked {
                    assert!(reason.contains("access token 3 (\"ci\")"), "{reason}");
                }
            }
        }
    }
}

#[test]
fn questions_are_answered_of_what_a_token_is_for() {
    let state = state();
    let names =
        |prefix: &str| Query::Repositories { prefix: prefix.to_owned(), after: None, max: 9 };
    let named = |name: &str| Query::Repository { name: name.to_owned() };
    let packs = |repository| Query::Packs { repository, after: None, max: 9 };
    let refs = |repository| Query::Refs { repository, prefix: String::new(), after: None, max: 9 };
    let (read, admin, never) = (Some(Scope::Read), Some(Scope::Admin), None);
    for (query, whole, within) in [
        (names("team/"), read, read),
        (names("team"), read, never),
        (names("teamwork/"), read, never),
        (names(""), read, never),
        (named("team/project"), read, read),
        (named("other"), read, never),
        (named("none"), read, never),
        (refs(TEAM), read, read),
        (refs(OTHER), read, never),
        (refs(NONE), read, never),
        (packs(TEAM), read, read),
        (packs(OTHER), read, never),
        (Query::Nodes, read, read),
        (Query::Layout, read, read),
        (Query::DeletedRepositories, read, never),
        (Query::Events { since: 0, max: 1 }, read, never),
        (Query::Tokens, admin, never),
        (Query::Dump { of: None, skip: 0 }, admin, never),
    ] {
        for scope in [Scope::Read, Scope::Write, Scope::Admin] {
            for (prefix, least) in [("", whole), ("team", within)] {
                let checked = check_query(&grant(scope, prefix), &query, &state);
                let is_enough = least.is_some_and(|least| scope >= least);
                assert_eq!(checked.is_ok(), is_enough, "{scope} {prefix:?} {query:?}");
            }
        }
    }
    // What is there and what is not are refused in the same words.
    let reason = |query| check_query(&grant(Scope::Read, "team"), &query, &state).unwrap_err();
    assert_eq!(reason(named("other")), reason(named("none")));
    assert_eq!(reason(refs(OTHER)), reason(refs(NONE)));
}
