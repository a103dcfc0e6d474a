//! Repositories: names, deletion, settings, lists.

use crate::command::{ConfigureRepository, Operation};
use crate::fixture::*;
use crate::ids::RepositoryId;
use crate::{Outcome, State};

fn rename(repository: u64, name: &str) -> Operation {
    Operation::RenameRepository { repository: RepositoryId(repository), name: name.to_owned() }
}

fn named(state: &State) -> Vec<String> {
    let page = state.repositories("", None, 1000);
    page.repositories.iter().map(|(id, held)| format!("{id} {}", held.name)).collect()
}

#[test]
fn a_path_is_a_repository_or_a_group() {
    let mut machine = Machine::new();
    machine.done(create("team/project"));
    machine.done(create("team-2"));
    let both = |one, other| {
        format!(
            "{one} and {other}, which is there already, cannot both be repositories: a path is a \
             repository or a group of repositories, and not both"
        )
    };
    assert_eq!(machine.refused(create("team")), both("team", "team/project"));
    let beneath = "team/project/x/y";
    assert_eq!(machine.refused(create(beneath)), both(beneath, "team/project"));
    assert_eq!(
        machine.refused(create("team/project")),
        "repository 1 has the name team/project already"
    );
    // It stands in nobody's way but others'.
    machine.done(rename(1, "team"));
    machine.done(rename(1, "team/project/x"));
    machine.done(create("team/project/y"));
    assert_eq!(
        machine.refused(rename(1, "team/project/y/z")),
        both("team/project/y/z", "team/project/y")
    );
    assert_eq!(named(&machine.state), ["2 team-2", "1 team/project/x", "3 team/project/y"]);
}

#[test]
fn a_name_that_was_freed_is_anothers_and_ids_are_not() {
    let mut machine = Machine::with_repository();
    machine.done(rename(1, "old"));
    assert_eq!(machine.done(create("project")), Outcome::Created { repository: RepositoryId(2) });
    let repository = RepositoryId(2);
    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 0 });
    machine.done(Operation::PurgeRepository { repository });
    assert_eq!(machine.done(create("project")), Outcome::Created { repository: RepositoryId(3) });
    assert_eq!(machine.refused(rename(2, "x")), "there is no repository 2");
}

#[test]
fn a_deletion_can_be_undone_until_its_time_is_over() {
    let mut machine = Machine::with_repository();
    machine.push(push(vec![make("refs/heads/main", 1)]));
    let repository = RepositoryId(1);
    let undelete = |name: Option<&str>| Operation::UndeleteRepository {
        repository,
        name: name.map(str::to_owned),
    };
    assert_eq!(machine.refused(undelete(None)), "repository 1 is not deleted");
    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 100 });
    let deleted = "repository 1 was deleted; that can be undone until 1100";
    assert_eq!(machine.refused(rename(1, "x")), deleted);
    assert_eq!(machine.refused(Operation::Push(push(vec![make("refs/heads/x", 1)]))), deleted);
    let purge = Operation::PurgeRepository { repository };
    assert_eq!(machine.refused(purge.clone()), "repository 1 is kept until 1100, and it is 1000");
    machine.done(create("project"));
    assert_eq!(machine.refused(undelete(None)), "repository 2 has the name project already");
    machine.done(undelete(Some("project-1")));
    assert_eq!(named(&machine.state), ["2 project", "1 project-1"]);
    assert_eq!(machine.refs(), ["HEAD ref refs/heads/main", "refs/heads/main #1"]);

    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 100 });
    machine.at_ms = 1_100;
    assert_eq!(
        machine.refused(undelete(None)),
        "repository 1 was kept until 1100: its deletion cannot be undone"
    );
    assert_eq!(machine.done(purge), Outcome::Purged { finished: true });
    assert_eq!(machine.state.counts().refs, 1, "HEAD of the other one");
}

#[test]
fn the_clock_of_the_catalog_never_goes_back() {
    let mut machine = Machine::with_repository();
    machine.at_ms = 500;
    let repository = RepositoryId(1);
    machine.done(Operation::DeleteRepository { repository, keep_for_ms: 100 });
    let deleted = machine.state.repository(repository).unwrap().deleted.unwrap();
    assert_eq!((deleted.at_ms, deleted.until_ms), (1_000, 1_100));
    let events = machine.state.events_since(0, 100).unwrap();
    assert!(events.is_sorted_by_key(|event| event.at_ms));
}

#[test]
fn settings_change_by_themselves() {
    let mut machine = Machine::with_repository();
    let configure =
        |description: Option<&str>, branch: Option<&str>, hidden: Option<Vec<String>>| {
            Operation::ConfigureRepository(ConfigureRepository {
                repository: RepositoryId(1),
                default_branch: branch.map(str::to_owned),
                description: description.map(str::to_owned),
                limits: None,
                hidden_refs: hidden,
                public: None,
            })
        };
    machine.done(configure(Some("words"), None, None));
    machine.done(configure(None, Some("refs/heads/trunk"), None));
    let repository = machine.state.repository(RepositoryId(1)).unwrap().clone();
    assert_eq!(repository.description, "words");
    assert_eq!(repository.hidden_refs, ["refs/hidden"]);
    assert_eq!(machine.refs(), ["HEAD ref refs/heads/trunk"]);
    assert_eq!(
        machine.refused(configure(None, None, Some(vec!["hidden".to_owned()]))),
        "\"hidden\" cannot be the name of a ref: it is neither \"HEAD\" nor begins with \"refs/\""
    );
    assert_eq!(
        machine.refused(configure(Some(&"x".repeat(2000)), None, None)),
        "bytes of the description: 2000 is over the limit of 1024"
    );
    let events = machine.state.last_event();
    machine.done(configure(Some("words"), Some("refs/heads/trunk"), None));
    assert_eq!(machine.state.last_event(), events, "nothing changed, and nothing is told");
}

#[test]
fn a_repository_is_private_until_it_is_said_to_be_public_and_so_is_a_fork_of_it() {
    let mut machine = Machine::with_repository();
    let configure = |public| {
        Operation::ConfigureRepository(ConfigureRepository {
            repository: RepositoryId(1),
            default_branch: None,
            description: None,
            limits: None,
            hidden_refs: None,
            public,
        })
    };
    let is_public =
        |machine: &Machine, id| machine.state.repository(RepositoryId(id)).unwrap().public;
    assert!(!is_public(&machine, 1));
    machine.done(configure(Some(true)));
    machine.done(configure(None));
    assert!(is_public(&machine, 1), "what is not said stays");
    let fork = Operation::ForkRepository { repository: RepositoryId(1), name: "fork".to_owned() };
    machine.done(fork);
    assert!(!is_public(&machine, 2), "what is pushed to a fork is nobody else's");
    machine.done(configure(Some(false)));
    assert!(!is_public(&machine, 1));
}

#[test]
fn repositories_are_listed_by_prefix_in_pages() {
    let mut machine = Machine::new();
    for name in ["a/1", "b/1", "b/2", "b/3", "bb", "c"] {
        machine.done(create(name));
    }
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = machine.state.repositories("b", after.as_ref(), 2);
        pages.push(
            page.repositories.iter().map(|(_, held)| held.name.to_string()).collect::<Vec<_>>(),
        );
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["b/1", "b/2"], vec!["b/3", "bb"]]);
}
