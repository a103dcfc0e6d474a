//! Features: off while anybody lacks them, and nothing but the gate depends on what was stated.

use super::*;
use crate::command::{EndRestore, JoinNode};
use crate::entity::Program;
use crate::fixture::*;
use crate::reply::Outcome;

fn restores() -> Operation {
    Operation::EndRestore(EndRestore { repositories: Vec::new() })
}

/// Why a restore is not to be proposed.
fn refusal(machine: &Machine) -> String {
    machine.state.admits(&restores()).expect_err("it is off").to_string()
}

fn removed(node: &str) -> Operation {
    Operation::SetNodeState { node: node.to_owned(), state: NodeState::Removed }
}

#[test]
fn a_feature_is_off_until_every_member_has_stated_it() {
    let mut machine = Machine::new();
    machine.done(join("n1", 1));
    machine.done(states("n2", 2, "0.2.0", &["restore"]));
    machine.done(states("n3", 3, "0.1.5", &["something-else"]));
    let expected = "`restore` is off until every node has it, and nothing was changed; it is lacked by \
                    n1 (states no version, as 0.1 does), n3 (version 0.1.5). Upgrade";
    assert!(refusal(&machine).starts_with(expected), "{}", refusal(&machine));
    assert_eq!(machine.state.admits(&create("team")), Ok(()), "the first version has that");

    machine.done(states("n1", 1, "0.2.0", &["restore"]));
    assert!(refusal(&machine).contains("lacked by n3 (version 0.1.5)."), "{}", refusal(&machine));
    machine.done(removed("n3"));
    assert_eq!(machine.state.admits(&restores()), Ok(()));
    assert_eq!(machine.state.features_off(), []);

    // It went back to version 0.1.
    machine.done(join("n2", 2));
    assert!(refusal(&machine).contains("lacked by n2 (states"), "{}", refusal(&machine));
}

#[test]
fn who_is_in_the_layout_and_never_was_a_member_lacks_everything() {
    let mut machine = Machine::new();
    machine.done(states("n1", 1, "0.2.0", &["restore"]));
    machine.done(apply(layout(1, (1, 1, 1), "n1 n2 / / n3")));
    assert!(refusal(&machine).contains("lacked by n2 (states"), "{}", refusal(&machine));
    machine.done(states("n2", 2, "0.2.0", &["restore"]));
    assert_eq!(machine.state.admits(&restores()), Ok(()), "n3 left the layout");
}

#[test]
fn a_refusal_names_few_of_many() {
    let lacking = |number| Lacking { node: format!("n{number}"), version: Some("1".to_owned()) };
    let nodes: Vec<Lacking> = (1..=10).map(lacking).collect();
    let named = crate::error::lacking(&nodes);
    assert!(named.ends_with("n8 (version 1) and 2 more"), "{named}");
}

#[test]
fn applying_is_the_same_whatever_was_stated() {
    let (mut told, mut untold) = (Machine::new(), Machine::new());
    let long = "x".repeat(65);
    let stated = [states("n1", 1, "0.2.0", &["restore"]), states("n1", 1, "0.3.0", &[])];
    // Version 0.1 would not refuse what is not fit: it does not see it.
    let beyond =
        [states("n1", 1, &long, &[]), states("n1", 1, "1", &[&long]), states("n1", 1, "1\n", &[])];
    for statement in stated.into_iter().chain(beyond) {
        assert_eq!(told.apply(statement), untold.apply(join("n1", 1)));
        assert_eq!(told.apply(restores()), untold.apply(restores()));
    }
    assert_eq!(told.state.last_event(), untold.state.last_event());
    let programs = |machine: &Machine| {
        machine.state.nodes().map(|(_, node)| node.program.clone()).collect::<Vec<_>>()
    };
    assert_eq!(programs(&told), [None], "what is not fit is not kept");
    assert_eq!(told.state, untold.state);
}

#[test]
fn what_a_node_states_replaces_what_it_stated_and_stays_when_its_part_changes() {
    let mut machine = Machine::new();
    machine.done(states("n1", 1, "0.2.0", &["restore"]));
    let state = NodeState::Voter;
    machine.done(Operation::SetNodeState { node: "n1".to_owned(), state });
    let program = |machine: &Machine| {
        machine.state.nodes().next().and_then(|(_, node)| node.program.clone()).unwrap()
    };
    assert_eq!(program(&machine).version, "0.2.0");
    let Operation::JoinNode(join) = states("n1", 1, "0.3.0", &["a", "b"]) else { unreachable!() };
    let joined = Operation::JoinNode(JoinNode { address: "elsewhere:1".to_owned(), ..join });
    assert!(matches!(machine.done(joined), Outcome::Joined { .. }));
    let features = ["a", "b"].map(str::to_owned).into();
    assert_eq!(program(&machine), Program { version: "0.3.0".to_owned(), features });
}

#[test]
fn names_are_told_apart_and_known_by_themselves() {
    let names: BTreeSet<_> = Feature::ALL.iter().map(|feature| feature.name()).collect();
    assert_eq!(names.len(), Feature::ALL.len());
    for feature in Feature::ALL {
        assert_eq!(Feature::named(feature.name()), Some(feature));
        assert!(!names_without(&[feature.name().to_owned()]).contains(feature.name()));
    }
    assert_eq!(names_without(&[]).len(), names.len());
}
