//! Nodes: ids that belong to one directory for good.

use crate::Outcome;
use crate::command::{Operation, Refound};
use crate::entity::NodeState;
use crate::fixture::*;
use crate::ids::{DirectoryId, RaftId};

fn becomes(node: &str, state: NodeState) -> Operation {
    Operation::SetNodeState { node: node.to_owned(), state }
}

#[test]
fn a_node_id_belongs_to_one_directory_and_a_raft_id_to_one_node() {
    let mut machine = Machine::new();
    assert_eq!(machine.done(join("n1", 1)), Outcome::Joined { raft: RaftId(1) });
    assert_eq!(machine.done(join("n2", 2)), Outcome::Joined { raft: RaftId(2) });
    let events = machine.state.last_event();
    assert_eq!(machine.done(join("n1", 1)), Outcome::Joined { raft: RaftId(1) });
    assert_eq!(machine.state.last_event(), events, "nothing changed");
    let reason = machine.refused(join("n1", 3));
    assert!(reason.starts_with("node id n1 belongs to another data directory"), "{reason}");
    let reason = machine.refused(join("n3", 2));
    assert!(reason.starts_with("the data directory is the one of node n2"), "{reason}");
    assert_eq!(machine.refused(join("n 3", 3)).split(':').next(), Some("node \"n 3\""));
    machine.done(becomes("n2", NodeState::Removed));
    let reason = machine.refused(join("n2", 2));
    assert!(reason.starts_with("node n2 was removed from the cluster"), "{reason}");
    assert_eq!(machine.done(join("n3", 3)), Outcome::Joined { raft: RaftId(3) });
}

#[test]
fn one_node_begins_anew_under_a_raft_id_that_nobody_had() {
    let three = || {
        let mut machine = Machine::new();
        for (node, directory) in [("n1", 1), ("n2", 2), ("n3", 3)] {
            machine.done(join(node, directory));
        }
        machine.done(apply(layout(1, (3, 2, 2), "n1 n2 n3")));
        machine
    };
    let refound = |node: &str, directory, forgets_others| {
        let (node, address) = (node.to_owned(), "n3:7400".to_owned());
        let directory = DirectoryId([directory; 16]);
        Operation::Refound(Refound { node, directory, address, forgets_others })
    };
    let mut machine = three();
    assert_eq!(machine.done(refound("n3", 3, false)), Outcome::Joined { raft: RaftId(4) });
    let states: Vec<_> = machine.state.nodes().map(|(_, node)| node.state).collect();
    assert_eq!(states, [NodeState::Removed, NodeState::Removed, NodeState::Voter]);
    assert!(machine.refused(join("n1", 1)).starts_with("node n1 was removed"));
    assert_eq!(machine.done(join("n4", 4)), Outcome::Joined { raft: RaftId(5) });

    // From a dump: copies of the others' stores come back as new members under their ids.
    let mut machine = three();
    assert!(machine.refused(refound("n3", 2, true)).contains("the one of node n2"));
    assert_eq!(machine.done(refound("n3", 9, true)), Outcome::Joined { raft: RaftId(4) });
    assert_eq!(machine.state.nodes().count(), 1);
    assert_eq!(machine.done(join("n1", 8)), Outcome::Joined { raft: RaftId(5) });
    assert!(machine.refused(join("n3", 3)).contains("another data directory"));
}

#[test]
fn a_node_that_was_removed_stays_removed_and_one_voter_stays() {
    let mut machine = Machine::new();
    for (node, directory) in [("n1", 1), ("n2", 2), ("n3", 3)] {
        machine.done(join(node, directory));
    }
    machine.done(becomes("n1", NodeState::Voter));
    assert_eq!(
        machine.refused(becomes("n1", NodeState::Learner)),
        "node n1, with raft id 1, is the only voter: let another one vote first"
    );
    machine.done(becomes("n2", NodeState::Learner));
    machine.done(becomes("n2", NodeState::Voter));
    assert_eq!(
        machine.refused(becomes("n1", NodeState::Joining)),
        "node n1 is voter and cannot become joining"
    );
    machine.done(apply(layout(1, (1, 1, 1), "n1 n2")));
    assert_eq!(
        machine.refused(becomes("n1", NodeState::Removed)),
        "node n1 is in the layout: apply one that has it as \"removed\", or without it"
    );
    machine.done(becomes("n3", NodeState::Removed));
    assert!(machine.refused(becomes("n3", NodeState::Voter)).contains("was removed"));
    let reason = machine.refused(apply(layout(2, (1, 1, 1), "n1 n2 n3")));
    assert!(reason.starts_with("layout: node n3 was removed from the cluster"), "{reason}");
    machine.done(apply(layout(2, (1, 1, 1), "n1 n2 / / n3")));
    assert_eq!(machine.refused(becomes("n9", NodeState::Voter)), "there is no node \"n9\"");
}
