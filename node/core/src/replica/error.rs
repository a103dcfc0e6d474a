//! Replica errors.
//!
//! Why a replica did not answer.

use std::time::Duration;

use super::{DialError, DialProblem, StoreError};
use crate::placement::NodeId;

/// Why a replica did not answer a whole request. One line of it tells an operator
/// what to look at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no connection, because none could be opened.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A bound of our own side is reached; try later, or less at once.
    #[error("at the limit of {limit} {bound}")]
    Limited {
        /// What is bounded.
        bound: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The node was in trouble lately and is left alone for a while.
    #[error("circuit open: it failed or was slow lately; next trial in {} ms", trial_in.as_millis())]
    CircuitOpen {
        /// How long yet.
        trial_in: Duration,
    },
    /// The layout in force does not have the node.
    #[error("node {0} is not in the layout")]
    NotMember(NodeId),
    /// No answer in time.
    #[error("timed out after {} ms while {stage}", after.as_millis())]
    TimedOut {
        /// Such as waiting for the answer.
        stage: &'static str,
        /// How long it was given.
        after: Duration,
    },
    /// The connection broke under the request.
    #[error("connection to {address} lost: {reason}")]
    ConnectionLost {
        /// Where.
        address: String,
        /// How.
        reason: String,
    },
    /// The peer's store refused.
    #[error("rejected: {0}")]
    Rejected(#[from] StoreError),
    /// The peer is at a bound; try later.
    #[error("overloaded: {reason}")]
    Overloaded {
        /// Which bound.
        reason: String,
    },
    /// By the peer's layout, which is not older than the one the request came with, it is
    /// no replica of the object: the caller has to catch up.
    #[error("stale layout: {reason}")]
    StaleLayout {
        /// The version that the peer holds.
        version: u64,
        /// The peer's words.
        reason: String,
    },
    /// The peer is going away.
    #[error("shutting down")]
    ShuttingDown,
    /// The request was wrong in itself; repeating it cannot help.
    #[error("invalid request: {reason}")]
    Invalid {
        /// What was wrong.
        reason: String,
    },
    /// The peer lets the caller do none of that: it is not who may, or does not say who it is.
    #[error("not allowed: {reason}")]
    Denied {
        /// The peer's words.
        reason: String,
    },
    /// The peer answered what the contract does not allow, or failed inside.
    #[error("protocol: {reason}")]
    Protocol {
        /// What came.
        reason: String,
    },
}

impl NodeError {
    /// Whether it is certain that the node did nothing: the request never left, or was turned away
    /// at the door.
    pub fn was_not_begun(&self) -> bool {
        matches!(
            self,
            NodeError::Dial(_)
                | NodeError::Limited { .. }
                | NodeError::CircuitOpen { .. }
                | NodeError::NotMember(_)
                | NodeError::Overloaded { .. }
                | NodeError::Denied { .. }
        )
    }

    /// Whether the node, or the way to it, is at a bound: it is there, and has too much to do.
    pub fn is_overload(&self) -> bool {
        match self {
            NodeError::Limited { .. }
            | NodeError::Overloaded { .. }
            | NodeError::Rejected(StoreError::Overloaded { .. }) => true,
            NodeError::Dial(DialError { problem: DialProblem::Declined(declined), .. }) => {
                declined.is_overload()
            }
            _ => false,
        }
    }
}
