//! Writing to and reading from the replicas of an object.
//!
//! Nothing under `quorum/` knows what a socket or a file is: replicas are
//! [`NodeWriter`]s and [`NodeReader`]s.

pub mod decorate;
mod local;
mod missed;
mod read;
mod tally;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::{Member, NodeId};
use crate::pool::{DialError, DialProblem};
use crate::store::{Found, LargeReader, StoreError, Stored};

pub use local::LocalNode;
pub use missed::{Missed, ReasonClass, Recorded};
pub use read::{GetError, Got, Preference, QuorumReader, ReadRepairStats};
pub use tally::WriterStats;
pub use write::{Consistency, Put, PutError, PutReport, QuorumWriter};

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
    /// The peer answered what the contract does not allow, or failed inside.
    #[error("protocol: {reason}")]
    Protocol {
        /// What came.
        reason: String,
    },
}

impl NodeError {
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

/// A stream of an object's bytes, in order, in parts of at most
/// `limits::PART_BYTES_MAX` bytes.
pub type Parts = tokio::sync::mpsc::Receiver<bytes::Bytes>;

/// Takes objects for one replica.
#[async_trait]
pub trait NodeWriter: Send + Sync {
    /// Whose replica.
    fn node_id(&self) -> &NodeId;

    /// Stores objects; one result each, in order.
    ///
    /// # Errors
    /// [`NodeError`] when the replica did not answer for the batch as a whole.
    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError>;

    /// Stores one object from parts. Ends early, storing nothing, when `parts` closes
    /// before `head.size_bytes` bytes.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError>;

    /// Which of these objects the replica holds durably, in order.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError>;

    /// Tells the replica, which stored these objects, that others lack them: it keeps a hint
    /// for each, and delivers.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn record_missed(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError>;

    /// The same replica for a request that no quorum can do without, when this one may
    /// answer [`NodeError::CircuitOpen`].
    fn insistent(&self) -> Option<Arc<dyn NodeWriter>> {
        None
    }

    /// The same replica for the second attempt at a request that began at that moment and
    /// whose connection failed: on one that was opened since, which it waits for. `None` where
    /// requests need no connection, for what is a second attempt itself, and when the budget
    /// of second attempts is used up, from which each of these is taken.
    fn afresh(&self, _first_began: Instant) -> Option<Arc<dyn NodeWriter>> {
        None
    }
}

/// Returns objects of one replica.
#[async_trait]
pub trait NodeReader: Send + Sync {
    /// Whose replica.
    fn node_id(&self) -> &NodeId;

    /// Looks objects up; one result each, in order.
    ///
    /// # Errors
    /// [`NodeError`] when the replica did not answer for the batch as a whole.
    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError>;

    /// Opens an object of any size; `None` when absent.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError>;

    /// As [`NodeWriter::insistent`].
    fn insistent(&self) -> Option<Arc<dyn NodeReader>> {
        None
    }

    /// As [`NodeWriter::afresh`].
    fn afresh(&self, _first_began: Instant) -> Option<Arc<dyn NodeReader>> {
        None
    }
}

/// How a writer comes to the replica of a member. Asked anew for every write, because the
/// members change.
pub type Writers = Arc<dyn Fn(&Member) -> Arc<dyn NodeWriter> + Send + Sync>;

/// How a reader comes to the replica of a member. Asked anew for every read.
pub type Readers = Arc<dyn Fn(&Member) -> Arc<dyn NodeReader> + Send + Sync>;

/// Every replica with its reason, for one line of an error.
fn reasons(failed: &[(NodeId, NodeError)]) -> String {
    let reasons: Vec<_> = failed.iter().map(|(node, error)| format!("{node}: {error}")).collect();
    reasons.join("; ")
}
