//! Repeated commands, and events.

use gitstratum_core::limits::{ANSWERS_MAX, EVENTS_MAX};

use crate::command::{Command, Operation, Request};
use crate::fixture::*;
use crate::ids::{ClientId, RepositoryId};
use crate::state::EventsError;
use crate::{Outcome, Reply, State};

fn asked(client: u64, number: u64, operation: Operation) -> Command {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&client.to_be_bytes());
    let request = Request { client: ClientId(bytes), number };
    Command { request, ..command(0, 0, operation) }
}

#[test]
fn a_repeated_command_is_answered_and_not_done_twice() {
    let mut state = State::new(0);
    let created = Reply::Done(Outcome::Created { repository: RepositoryId(1) });
    assert_eq!(state.apply(1, asked(1, 5, create("a"))), created);
    assert_eq!(state.apply(2, asked(1, 5, create("a"))), created);
    let refused = state.apply(3, asked(1, 6, create("a")));
    assert!(matches!(refused, Reply::Refused(_)));
    // A refusal is an answer too, though the command could be done by now.
    let rename = Operation::RenameRepository { repository: RepositoryId(1), name: "b".to_owned() };
    state.apply(4, asked(2, 1, rename));
    assert_eq!(state.apply(5, asked(1, 6, create("a"))), refused);
    let old = state.apply(6, asked(1, 5, create("a")));
    let reason = old.into_result().unwrap_err().to_string();
    assert!(
        reason.starts_with("command 5 of this client is older than its last one, 6"),
        "{reason}"
    );
    assert_eq!(state.counts().repositories, 1);
}

#[test]
fn clients_that_were_quiet_longest_are_forgotten_first() {
    let mut state = State::new(0);
    let nothing = || Operation::RevokeToken { token: crate::ids::TokenId(1) };
    let mut position = 0;
    let mut ask = |state: &mut State, client, number, operation| {
        position += 1;
        state.apply(position, asked(client, number, operation))
    };
    let created = ask(&mut state, 1, 1, create("a"));
    ask(&mut state, 2, 1, create("b"));
    for client in 3..=ANSWERS_MAX {
        ask(&mut state, client, 1, nothing());
    }
    // Heard of again, the first one outlives the second.
    assert_eq!(ask(&mut state, 1, 1, create("a")), created);
    ask(&mut state, ANSWERS_MAX + 1, 1, nothing());
    assert_eq!(state.counts().answers, ANSWERS_MAX);
    assert_eq!(ask(&mut state, 1, 1, create("a")), created);
    assert!(matches!(ask(&mut state, 2, 1, create("b")), Reply::Refused(_)));
}

#[test]
fn another_groups_command_is_refused() {
    let mut state = State::new(0);
    let reply = state.apply(1, Command { group: 3, ..asked(1, 1, create("a")) });
    let reason = reply.into_result().unwrap_err().to_string();
    assert_eq!(reason, "the command is for group 3, and this is group 0");
}

#[test]
#[should_panic(expected = "positions grow, and 4 does not follow 4")]
fn positions_grow() {
    let mut state = State::new(0);
    state.advance(4);
    state.apply(4, asked(1, 1, create("a")));
}

#[test]
fn events_have_no_gap_and_the_oldest_leave() {
    let mut machine = Machine::with_repository();
    let numbers = |machine: &Machine, since| {
        let events = machine.state.events_since(since, 1000).unwrap();
        events.iter().map(|event| event.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&machine, 0), [1, 2]);
    assert_eq!(numbers(&machine, 1), [2]);
    assert_eq!(numbers(&machine, 2), [] as [u64; 0]);
    assert_eq!(machine.state.events_since(3, 1), Err(EventsError::Ahead { since: 3, last: 2 }));
    while machine.state.last_event() <= EVENTS_MAX {
        let updates = |digit| {
            (0..8_000).map(move |n| {
                update(&format!("refs/x/{n}"), crate::command::Expected::Any, object(digit))
            })
        };
        let digit = (machine.position % 9) as u8 + 1;
        machine.push(push(updates(digit).collect()));
    }
    let begins_at = machine.state.last_event() - EVENTS_MAX + 1;
    let too_old = EventsError::TooOld { since: 0, begins_at };
    assert_eq!(machine.state.events_since(0, 1), Err(too_old));
    assert_eq!(machine.state.counts().events, EVENTS_MAX);
    assert_eq!(numbers(&machine, begins_at - 1)[0], begins_at);
}
