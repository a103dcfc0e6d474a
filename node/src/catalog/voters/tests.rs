//! Steps, from one state of the members to the next.

use std::collections::BTreeSet;

use gitstratum_catalog::entity::NodeState;
use gitstratum_consensus::{GroupStatus, Member};
use gitstratum_core::placement::{Layout, MemberState, NodeId};

use super::{Known, Step, next_step};
use gitstratum_core::placement::Member as LayoutMember;

fn layout(states: &[(u64, MemberState)]) -> Layout {
    let members = states.iter().map(|(id, state)| {
        let node = NodeId::new(format!("n{id}"));
        let address = format!("127.0.0.1:{}", 7000 + id);
        LayoutMember { state: *state, ..LayoutMember::active(node, address, "z".to_owned(), 1) }
    });
    Layout::first((1, 1, 1), members.collect())
}

fn active(ids: impl IntoIterator<Item = u64>) -> Layout {
    layout(&ids.into_iter().map(|id| (id, MemberState::Active)).collect::<Vec<_>>())
}

/// All of them are said to be voters.
fn known(ids: impl IntoIterator<Item = u64>) -> Known {
    ids.into_iter().map(|id| (id, (NodeId::new(format!("n{id}")), NodeState::Voter))).collect()
}

/// Member 1 leads these voters, and has these members besides; all have the whole log.
fn status(voters: &[u64], members: &[u64]) -> GroupStatus {
    let at = |index| gitstratum_consensus::entry::Position { term: 1, leader: 1, index };
    let member = |id: &u64| (*id, format!("n{id}"));
    GroupStatus {
        member: 1,
        leader: Some(Member { id: 1, node: "n1".to_owned() }),
        leader_heard_ago: None,
        term: 1,
        last_index: Some(500),
        applied: Some(at(500)),
        snapshot: None,
        purged: None,
        voters: vec![voters.iter().copied().collect()],
        nodes: members.iter().map(member).collect(),
        matched: members.iter().map(|id| (*id, Some(at(500)))).collect(),
        stopped: None,
    }
}

fn vote(ids: impl IntoIterator<Item = u64>) -> Step {
    Step::Vote(ids.into_iter().collect::<BTreeSet<_>>())
}

#[test]
fn a_group_grows_from_one_to_three_and_to_seven_at_most() {
    let alone = status(&[1], &[1]);
    assert_eq!(next_step(&alone, &known([1]), &active([1])), Step::Nothing);
    let added = next_step(&alone, &known([1, 2, 3]), &active(1..=3));
    assert_eq!(added, Step::Add(Member { id: 2, node: "n2".to_owned() }));
    // Two voters are no safer than one, and stop with either.
    let two = status(&[1], &[1, 2]);
    let noted = Step::Note(NodeId::new("n2"), NodeState::Learner);
    assert_eq!(next_step(&two, &known([1, 2]), &active([1, 2])), noted);
    let three = status(&[1], &[1, 2, 3]);
    assert_eq!(next_step(&three, &known(1..=3), &active(1..=3)), vote(1..=3));
    let nine: Vec<u64> = (1..=9).collect();
    let grown = next_step(&status(&[1, 2, 3], &nine), &known(1..=9), &active(1..=9));
    assert_eq!(grown, vote(1..=7));
}

#[test]
fn who_is_behind_does_not_vote_and_a_change_that_a_leader_left_half_done_is_completed() {
    let (known, layout) = (known(1..=3), active(1..=3));
    let mut behind = status(&[1], &[1, 2, 3]);
    behind.matched.insert(3, None);
    assert_eq!(next_step(&behind, &known, &layout), Step::Nothing);
    behind.matched.get_mut(&3).unwrap().replace(gitstratum_consensus::entry::Position {
        term: 1,
        leader: 1,
        index: 399,
    });
    assert_eq!(next_step(&behind, &known, &layout), Step::Nothing);
    let mut joint = status(&[1], &[1, 2, 3]);
    joint.voters.push([1, 2, 3].into());
    assert_eq!(next_step(&joint, &known, &layout), vote(1..=3));
    joint.voters = vec![[1, 2, 3].into(), [2, 3].into()];
    assert_eq!(next_step(&joint, &known, &layout), Step::HandOver(2));
}

#[test]
fn voters_that_vote_already_stay_though_another_comes_first() {
    let grown = status(&[1, 3, 4], &[1, 2, 3, 4]);
    let mut said = known(1..=4);
    said.get_mut(&2).unwrap().1 = NodeState::Learner;
    assert_eq!(next_step(&grown, &said, &active(1..=4)), Step::Nothing);
    // What the catalog says follows: first of those that vote.
    said.get_mut(&2).unwrap().1 = NodeState::Voter;
    said.get_mut(&3).unwrap().1 = NodeState::Joining;
    let noted = next_step(&grown, &said, &active(1..=4));
    assert_eq!(noted, Step::Note(NodeId::new("n3"), NodeState::Voter));
}

#[test]
fn who_leaves_the_layout_loses_its_vote_and_the_leader_hands_over_first() {
    use MemberState::{Active, Draining};

    let members = status(&[1, 2, 3], &[1, 2, 3, 4]);
    let leaves = layout(&[(1, Active), (2, Active), (3, Draining), (4, Active)]);
    assert_eq!(next_step(&members, &known(1..=4), &leaves), vote([1, 2, 4]));
    let leader_leaves = layout(&[(1, Draining), (2, Active), (3, Active), (4, Active)]);
    assert_eq!(next_step(&members, &known(1..=4), &leader_leaves), Step::HandOver(2));
    // The only voter leaves: another votes beside it first.
    let only = status(&[1], &[1, 2]);
    let moved = layout(&[(1, Draining), (2, Active)]);
    assert_eq!(next_step(&only, &known([1, 2]), &moved), vote([1, 2]));
    // Nobody is left who could vote.
    let nobody = layout(&[(1, Draining), (2, Draining)]);
    assert_eq!(next_step(&only, &known([1, 2]), &nobody), Step::Nothing);
}

#[test]
fn who_was_removed_is_forgotten_once_it_votes_no_more() {
    let members = status(&[1, 2, 3], &[1, 2, 3, 4]);
    let removed = known([1, 2, 3]);
    assert_eq!(next_step(&members, &removed, &active(1..=3)), Step::Forget([4].into()));
}
