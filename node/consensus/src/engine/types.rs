//! The engine's types, and how they come from and go to ours.

use std::fmt;

use bytes::Bytes;
use openraft::impls::leader_id_adv::LeaderId as RaftLeaderId;

use super::runtime::Seeded;
use crate::entry::{Ballot, Content, Entry, MemberId, Members, Position};

openraft::declare_raft_types!(
    /// What the engine is made with.
    pub Types:
        D = Command,
        R = Bytes,
        NodeId = MemberId,
        Node = String,
        Term = u64,
        LeaderId = RaftLeaderId<u64, MemberId>,
        AsyncRuntime = Seeded,
);

// Spelt out, so that what is implemented for them is not for whatever `Types` may name.
type Leader = RaftLeaderId<u64, MemberId>;
pub(crate) type LogId = openraft::LogId<Leader>;
pub(crate) type Vote = openraft::impls::Vote<Leader>;
pub(crate) type Payload = openraft::EntryPayload<Command, MemberId, String>;
pub(crate) type RaftEntry = openraft::Entry<Leader, Payload>;
pub(crate) type Membership = openraft::Membership<MemberId, String>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;

/// A command for the state machine, as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(pub Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<&Vote> for Ballot {
    fn from(vote: &Vote) -> Self {
        let RaftLeaderId { term, node_id } = vote.leader_id;
        Ballot { term, candidate: node_id, elected: vote.committed }
    }
}

impl From<Ballot> for Vote {
    fn from(ballot: Ballot) -> Self {
        let leader_id = RaftLeaderId { term: ballot.term, node_id: ballot.candidate };
        Vote { leader_id, committed: ballot.elected }
    }
}

impl From<&LogId> for Position {
    fn from(log_id: &LogId) -> Self {
        let RaftLeaderId { term, node_id } = log_id.leader_id;
        Position { term, leader: node_id, index: log_id.index }
    }
}

impl From<Position> for LogId {
    fn from(position: Position) -> Self {
        let leader_id = RaftLeaderId { term: position.term, node_id: position.leader };
        LogId { leader_id, index: position.index }
    }
}

impl From<&Membership> for Members {
    fn from(membership: &Membership) -> Self {
        let nodes = membership.nodes().map(|(id, node)| (*id, node.clone())).collect();
        Members { voters: membership.get_joint_config().clone(), nodes }
    }
}

/// What is wrong with members that were read or received.
#[derive(Debug, thiserror::Error)]
#[error("the members of the group contradict themselves: {0}")]
pub(crate) struct BadMembers(String);

/// The engine's form of the members.
pub(crate) fn membership(members: Members) -> Result<Membership, BadMembers> {
    let Members { voters, nodes } = members;
    Membership::new(voters, nodes).map_err(|error| BadMembers(error.to_string()))
}

impl From<&RaftEntry> for Entry {
    fn from(entry: &RaftEntry) -> Self {
        let content = match &entry.payload {
            Payload::Blank => Content::Blank,
            Payload::Normal(Command(bytes)) => Content::Command(bytes.clone()),
            Payload::Membership(membership) => Content::Members(membership.into()),
        };
        Entry { position: (&entry.log_id).into(), content }
    }
}

/// The engine's form of an entry.
pub(crate) fn raft_entry(entry: Entry) -> Result<RaftEntry, BadMembers> {
    let payload = match entry.content {
        Content::Blank => Payload::Blank,
        Content::Command(bytes) => Payload::Normal(Command(bytes)),
        Content::Members(members) => Payload::Membership(membership(members)?),
    };
    Ok(RaftEntry { log_id: entry.position.into(), payload })
}
