//! The state against a model: plain maps, and each rule in the most obvious way.
//!
//! The model knows repositories' names and refs, which is where rules meet each other: names that
//! are directories of others, deletions before the rest, expectations, atomic pushes, commands
//! that come twice. It looks at everything it has, as often as it likes.

use std::collections::BTreeMap;

use gitstratum_core::object::ObjectId;
use proptest::prelude::*;

use crate::command::{Command, Expected, NewTarget, Operation, Push, RefUpdate, Request};
use crate::encode::{SnapshotReader, snapshot};
use crate::entity::RefTarget;
use crate::fixture::*;
use crate::ids::{ClientId, RepositoryId};
use crate::{Outcome, Reply, State, Verdict};

const FIRST_BRANCH: &str = "refs/heads/main";

/// What a repository is to the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plain {
    name: String,
    deleted_until: Option<u64>,
    refs: BTreeMap<String, RefTarget>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    repositories: BTreeMap<u64, Plain>,
    given: u64,
    clock: u64,
    /// The last command of each client, and what was said.
    answers: BTreeMap<u8, (u64, Said)>,
}

/// What a reply comes to, reasons apart.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Done,
    Refused,
    /// Whether each update was done.
    Verdicts(Vec<bool>),
}

fn said(reply: &Reply) -> Said {
    match reply {
        Reply::Refused(_) => Said::Refused,
        Reply::Done(Outcome::Pushed { verdicts }) => Said::Verdicts(
            verdicts.iter().map(|verdict| matches!(verdict, Verdict::Done { .. })).collect(),
        ),
        Reply::Done(_) => Said::Done,
    }
}

/// Whether of two paths one is a directory of the other.
fn is_conflict(one: &str, other: &str) -> bool {
    one.starts_with(&format!("{other}/")) || other.starts_with(&format!("{one}/"))
}

impl Model {
    fn apply(&mut self, step: &Step) -> Said {
        self.clock = self.clock.max(step.at_ms);
        if let Some((number, said)) = self.answers.get(&step.client) {
            if step.number == *number {
                return said.clone();
            }
            if step.number < *number {
                return Said::Refused;
            }
        }
        let said = self.execute(&step.operation);
        self.answers.insert(step.client, (step.number, said.clone()));
        said
    }

    fn execute(&mut self, operation: &Operation) -> Said {
        let done = match operation {
            Operation::CreateRepository(create) => self.create(&create.name),
            Operation::RenameRepository { repository, name } => self.rename(repository.0, name),
            Operation::DeleteRepository { repository, keep_for_ms } => {
                let until = self.clock + keep_for_ms;
                match self.live(repository.0) {
                    Some(plain) => plain.deleted_until.replace(until).is_none(),
                    None => false,
                }
            }
            Operation::UndeleteRepository { repository, name } => {
                self.undelete(repository.0, name.as_deref())
            }
            Operation::PurgeRepository { repository } => {
                let clock = self.clock;
                let over = |plain: &Plain| plain.deleted_until.is_some_and(|until| clock >= until);
                let over = self.repositories.get(&repository.0).is_some_and(over);
                over && self.repositories.remove(&repository.0).is_some()
            }
            Operation::ForkRepository { repository, name } => self.fork(repository.0, name),
            Operation::Push(push) => {
                let Some(plain) = self.live(push.repository.0) else { return Said::Refused };
                if push.updates.is_empty() {
                    return Said::Refused;
                }
                return Said::Verdicts(plain.push(push));
            }
            other => panic!("no step of the model: {other:?}"),
        };
        if done { Said::Done } else { Said::Refused }
    }

    fn live(&mut self, id: u64) -> Option<&mut Plain> {
        self.repositories.get_mut(&id).filter(|plain| plain.deleted_until.is_none())
    }

    fn is_free(&self, name: &str, who: u64) -> bool {
        let wrong = |part: &str| part.is_empty() || part.ends_with(".git");
        !name.split('/').any(wrong)
            && self.repositories.iter().all(|(id, other)| {
                *id == who
                    || other.deleted_until.is_some()
                    || (other.name != name && !is_conflict(&other.name, name))
            })
    }

    fn create(&mut self, name: &str) -> bool {
        if !self.is_free(name, 0) {
            return false;
        }
        self.given += 1;
        let target = RefTarget::Symbolic(crate::names::RefName::parse(FIRST_BRANCH).unwrap());
        let refs = BTreeMap::from([("HEAD".to_owned(), target)]);
        let plain = Plain { name: name.to_owned(), deleted_until: None, refs };
        self.repositories.insert(self.given, plain);
        true
    }

    fn fork(&mut self, id: u64, name: &str) -> bool {
        let free = self.is_free(name, 0);
        let Some(origin) = self.live(id).filter(|_| free).cloned() else { return false };
        self.given += 1;
        self.repositories.insert(self.given, Plain { name: name.to_owned(), ..origin });
        true
    }

    fn rename(&mut self, id: u64, name: &str) -> bool {
        let free = self.is_free(name, id);
        match self.live(id).filter(|_| free) {
            Some(plain) => plain.name = name.to_owned(),
            None => return false,
        }
        true
    }

    fn undelete(&mut self, id: u64, name: Option<&str>) -> bool {
        let Some(plain) = self.repositories.get(&id) else { return false };
        let name = name.unwrap_or(&plain.name).to_owned();
        if plain.deleted_until.is_none_or(|until| self.clock >= until) || !self.is_free(&name, 0) {
            return false;
        }
        let plain = self.repositories.get_mut(&id).expect("it was there");
        (plain.name, plain.deleted_until) = (name, None);
        true
    }
}

impl Plain {
    fn push(&mut self, push: &Push) -> Vec<bool> {
        let before = self.refs.clone();
        let mut verdicts = vec![false; push.updates.len()];
        for deletions in [true, false] {
            for (update, verdict) in push.updates.iter().zip(&mut verdicts) {
                let once =
                    push.updates.iter().filter(|other| other.name == update.name).count() == 1;
                if (update.new == NewTarget::Deleted) == deletions && once {
                    *verdict = self.update(update);
                }
            }
        }
        if push.atomic && verdicts.contains(&false) {
            self.refs = before;
            verdicts.fill(false);
        }
        verdicts
    }

    fn update(&mut self, update: &RefUpdate) -> bool {
        let name = &update.name;
        let is_head = name == "HEAD";
        if name.ends_with(".lock") || (!is_head && !name.starts_with("refs/")) {
            return false;
        }
        let held = self.refs.get(name);
        let expected = match &update.expected {
            Expected::Any => true,
            Expected::Absent => held.is_none(),
            Expected::Object(id) => held == Some(&RefTarget::Object(*id)),
            Expected::Symbolic(_) => false,
        };
        if !expected || name.starts_with("refs/hidden/") {
            return false;
        }
        let NewTarget::Object { id, .. } = update.new else {
            if !is_head {
                self.refs.remove(name);
            }
            return !is_head;
        };
        if held.is_none() && self.refs.keys().any(|other| is_conflict(other, name)) {
            return false;
        }
        self.refs.insert(name.clone(), RefTarget::Object(id));
        true
    }
}

#[derive(Clone, Debug)]
struct Step {
    client: u8,
    number: u64,
    at_ms: u64,
    operation: Operation,
}

impl Step {
    fn command(&self) -> Command {
        let request = Request { client: ClientId([self.client; 16]), number: self.number };
        Command { request, ..command(0, self.at_ms, self.operation.clone()) }
    }
}

/// Few clients, whose numbers go up, stay, or go back now and then.
fn steps() -> BoxedStrategy<Vec<Step>> {
    let step = (0..3_u8, 0..10_u64, 0..40_u64, operations());
    prop::collection::vec(step, 1..120)
        .prop_map(|steps| {
            let mut numbers = [5_u64; 3];
            let mut at_ms = 0;
            let step = |(client, number, ahead, operation): (u8, u64, u64, Operation)| {
                let last = &mut numbers[usize::from(client)];
                let number = match number {
                    0 => *last,
                    1 => last.saturating_sub(1),
                    _ => *last + 1,
                };
                *last = number.max(*last);
                at_ms += 5;
                Step { client, number, at_ms: (at_ms + ahead).saturating_sub(20), operation }
            };
            steps.into_iter().map(step).collect()
        })
        .boxed()
}

/// Few names, so that they meet.
fn operations() -> BoxedStrategy<Operation> {
    let names = || prop_oneof![9 => "[ab](/[ab]){0,2}", 1 => Just("a//b".to_owned())];
    let repository = || (1..4_u64).prop_map(RepositoryId);
    prop_oneof![
        3 => names().prop_map(|name| create(&name)),
        1 => (repository(), names())
            .prop_map(|(repository, name)| Operation::RenameRepository { repository, name }),
        1 => (repository(), 0..40_u64).prop_map(|(repository, keep_for_ms)| {
            Operation::DeleteRepository { repository, keep_for_ms }
        }),
        1 => (repository(), prop::option::of(names()))
            .prop_map(|(repository, name)| Operation::UndeleteRepository { repository, name }),
        1 => repository().prop_map(|repository| Operation::PurgeRepository { repository }),
        1 => (repository(), names())
            .prop_map(|(repository, name)| Operation::ForkRepository { repository, name }),
        12 => pushes(),
    ]
    .boxed()
}

fn pushes() -> BoxedStrategy<Operation> {
    let names = prop_oneof![
        16 => "refs/[ab](/[ab]){0,2}",
        2 => Just("HEAD".to_owned()),
        1 => Just("refs/hidden/a".to_owned()),
        1 => Just("refs/a.lock".to_owned()),
    ];
    let ids = || (1..4_u8).prop_map(oid);
    let expected = prop_oneof![
        2 => Just(Expected::Any),
        2 => Just(Expected::Absent),
        3 => ids().prop_map(Expected::Object),
    ];
    let object = |id: ObjectId| NewTarget::Object { id, peeled: None };
    let new = prop_oneof![1 => Just(NewTarget::Deleted), 2 => ids().prop_map(object)];
    let update = (names, expected, new);
    let update = update.prop_map(|(name, expected, new)| RefUpdate { name, expected, new });
    (1..4_u64, any::<bool>(), prop::collection::vec(update, 0..5))
        .prop_map(|(repository, atomic, updates)| {
            let repository = RepositoryId(repository);
            Operation::Push(Push { repository, atomic, ..push(updates) })
        })
        .boxed()
}

/// The state as the model has it.
fn plain(state: &State) -> BTreeMap<u64, Plain> {
    let all = (1..=state.head().last_repository)
        .filter_map(|id| Some((id, state.repository(RepositoryId(id))?)));
    all.map(|(id, repository)| {
        let refs = state.references(RepositoryId(id));
        let refs: BTreeMap<_, _> =
            refs.map(|(name, held)| (name.to_string(), held.target.clone())).collect();
        assert_eq!(repository.refs, refs.len() as u64, "refs are counted as they come and go");
        let deleted_until = repository.deleted.map(|deletion| deletion.until_ms);
        (id, Plain { name: repository.name.to_string(), deleted_until, refs })
    })
    .collect()
}

fn bytes(state: &State) -> Vec<u8> {
    snapshot(state).flatten().collect()
}

fn read_back(state: &State) -> State {
    let mut reader = SnapshotReader::default();
    snapshot(state).for_each(|frame| reader.add(&frame).unwrap());
    reader.finish().unwrap()
}

/// The events tell what the refs are: whoever follows them from the first ends where the state is.
fn followed(state: &State) -> BTreeMap<(u64, String), RefTarget> {
    use crate::entity::Change;
    let mut refs: BTreeMap<(u64, String), RefTarget> = BTreeMap::new();
    let mut since = 0;
    loop {
        let events = state.events_since(since, 7).unwrap();
        let Some(last) = events.last() else { return refs };
        since = last.number;
        for event in events {
            match &event.change {
                Change::RefUpdated { repository, name, old, new } => {
                    let key = (repository.0, name.to_string());
                    let before = match new {
                        Some(new) => refs.insert(key, new.clone()),
                        None => refs.remove(&key),
                    };
                    assert_eq!(before, *old, "an event begins where the one before ended");
                }
                Change::RepositoryForked { repository, origin, .. } => {
                    let of_origin = refs.iter().filter(|((id, _), _)| *id == origin.0);
                    let copied: Vec<_> = of_origin
                        .map(|((_, name), to)| ((repository.0, name.clone()), to.clone()))
                        .collect();
                    refs.extend(copied);
                }
                Change::RepositoryPurged { repository } => {
                    refs.retain(|(id, _), _| *id != repository.0);
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_state_does_what_plain_maps_do(steps in steps()) {
        let mut model = Model::default();
        let mut state = State::new(0);
        for (position, step) in (1..).zip(&steps) {
            let reply = state.apply(position, step.command());
            prop_assert_eq!(said(&reply), model.apply(step), "{:?}: {:?}", step, reply);
            prop_assert_eq!(plain(&state), model.repositories.clone(), "{:?}", step);
        }
        let refs: BTreeMap<_, _> = model
            .repositories
            .iter()
            .flat_map(|(id, plain)| plain.refs.iter().map(|(name, to)| ((*id, name.clone()), to.clone())))
            .collect();
        prop_assert_eq!(followed(&state), refs);
    }

    #[test]
    fn equal_commands_give_equal_bytes_over_snapshots_too(steps in steps(), at in any::<prop::sample::Index>()) {
        let at = at.index(steps.len());
        let mut one = State::new(0);
        let mut other = State::new(0);
        let mut kept = None;
        for (index, (position, step)) in (1..).zip(&steps).enumerate() {
            if index == at {
                // One goes on from its snapshot, and a clone of the other is left behind.
                kept = Some((other.clone(), bytes(&other)));
                one = read_back(&one);
            }
            prop_assert_eq!(one.apply(position, step.command()), other.apply(position, step.command()));
        }
        prop_assert_eq!(bytes(&one), bytes(&other));
        let (clone, at_first) = kept.expect("the index is one of a step");
        prop_assert_eq!(bytes(&clone), at_first, "a clone stays as it was");
    }

    #[test]
    fn no_command_makes_the_state_panic_or_unreadable(
        commands in prop::collection::vec(crate::encode::tests::strategy::commands(), 1..40),
    ) {
        let mut state = State::new(0);
        for (position, command) in (1..).zip(commands) {
            state.apply(position, command);
        }
        prop_assert_eq!(read_back(&state), state);
    }
}
