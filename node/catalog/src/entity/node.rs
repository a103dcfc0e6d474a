//! A node of the cluster, as those who vote know it.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Program;
use crate::ids::{DirectoryId, RaftId};

/// A node that belongs to the cluster, or did. Which objects it holds is the layout's matter.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its id in the consensus engine.
    #[n(0)]
    pub raft: RaftId,
    /// Its data directory. A node id with another directory is another machine.
    #[n(1)]
    pub directory: DirectoryId,
    /// `HOST:PORT`.
    #[n(2)]
    pub address: String,
    /// What part it has.
    #[n(3)]
    pub state: NodeState,
    /// What it said last of the program that it runs. Nothing: it runs version 0.1, or this state was
    /// once that of a node that did, which skips what it does not know.
    ///
    /// Nodes of one cluster need not have the same here, so no command may depend on it. It is no part
    /// of the text form: nodes state it anew.
    #[n(4)]
    #[serde(skip)]
    pub program: Option<Program>,
}

/// What part a node has in what the cluster agrees on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Known, and not yet given anything.
    #[n(0)]
    Joining,
    /// Follows, and has no vote.
    #[n(1)]
    Learner,
    /// Has a vote.
    #[n(2)]
    Voter,
    /// Was told to leave. Final: its id is never used again.
    #[n(3)]
    Removed,
}

impl std::fmt::Display for NodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            NodeState::Joining => "joining",
            NodeState::Learner => "learner",
            NodeState::Voter => "voter",
            NodeState::Removed => "removed",
        })
    }
}
