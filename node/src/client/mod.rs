//! What a caller uses: the command line, the testbed, any Rust program.
//!
//! A client learns the layout from the first peer that answers, then writes and reads
//! by quorum from where it is; it is its own coordinator.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_host::Net;
use gitstratum_proto::v1::StatusResponse;
use rand_chacha::ChaCha12Rng;

use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::{Layout, Member, NodeId};
use crate::quorum::{Missed, NodeError, Parts};
use crate::store::{LargeReader, Stored};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Deadline of one request.
    pub request_timeout: Duration,
}

/// Why a client could not start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The peer list is wrong: field and problem.
    #[error("--peers: {0}")]
    Peers(String),
    /// Nobody answered; every peer with its reason.
    #[error("no peer answered: {}", .0.iter().map(|(a, e)| format!("{a}: {e}")).collect::<Vec<_>>().join("; "))]
    NoPeer(Vec<(String, NodeError)>),
}

/// A put that reached its write quorum.
#[derive(Clone, Debug)]
pub struct PutReport {
    /// Replicas that acknowledged by the time W was reached.
    pub stored: Vec<(NodeId, Stored)>,
}

/// A put that did not.
#[derive(Clone, Debug, thiserror::Error)]
#[error("stored on {} of {needed} replicas needed: {}", .stored.len(), reasons(.failed))]
pub struct PutError {
    /// The object.
    pub id: ObjectId,
    /// W.
    pub needed: usize,
    /// Replicas that did acknowledge.
    pub stored: Vec<NodeId>,
    /// Replicas that did not, and why.
    pub failed: Vec<(NodeId, NodeError)>,
}

/// Why a get returned nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetError {
    /// Enough replicas said "absent" for R + W > N.
    #[error("object {id} not found: absent on {}", .absent.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotFound {
        /// The object.
        id: ObjectId,
        /// Who said so.
        absent: Vec<NodeId>,
    },
    /// It may exist, but too few replicas could say.
    #[error("object {id} unavailable: {}", reasons(.failed))]
    Unavailable {
        /// The object.
        id: ObjectId,
        /// Who said "absent".
        absent: Vec<NodeId>,
        /// Who said something else.
        failed: Vec<(NodeId, NodeError)>,
    },
}

fn reasons(failed: &[(NodeId, NodeError)]) -> String {
    failed.iter().map(|(node, error)| format!("{node}: {error}")).collect::<Vec<_>>().join("; ")
}

/// What a get found.
#[derive(Clone, Debug)]
pub enum Got {
    /// The whole, verified object.
    Object(Object),
    /// Too large to hold: use [`Client::get_large`].
    Large(ObjectHead),
}

/// Counters of a client's writer: at every instant
/// `attempted = succeeded + failed + in_flight` (I4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Objects offered.
    pub attempted: u64,
    /// Acknowledged at W.
    pub succeeded: u64,
    /// Answered with [`PutError`], or abandoned by a panic.
    pub failed: u64,
    /// Neither yet.
    pub in_flight: u64,
    /// Replica writes that failed, of whichever objects.
    pub replica_failures: u64,
    /// Of those, recorded on another replica so that `status` lists them.
    pub missed_recorded: u64,
    /// Of those, recorded nowhere because no replica took the record.
    pub missed_lost: u64,
}

/// A connection to a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    layout: Arc<Layout>,
}

impl Client {
    /// Learns the layout from the first of `peers` (`HOST:PORT` each) that answers.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        net: Net,
        peers: &[String],
        rng: ChaCha12Rng,
        options: ClientOptions,
    ) -> Result<Self, ConnectError> {
        todo!("{net:?} {peers:?} {rng:?} {options:?}")
    }

    /// The layout in use.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Stores one object that fits a message.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put(&self, object: Object) -> Result<PutReport, PutError> {
        todo!("{object:?}")
    }

    /// Stores many; one result each, in order. With `skip_present`, replicas are asked
    /// first and sent only what they lack. Callers run several at a time; each should
    /// hold at most a few MiB.
    pub async fn put_batch(
        &self,
        objects: Vec<Object>,
        skip_present: bool,
    ) -> Vec<Result<PutReport, PutError>> {
        todo!("{objects:?} {skip_present}")
    }

    /// Stores an object of any size from parts; nothing is held whole.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<PutReport, PutError> {
        todo!("{head:?} {parts:?}")
    }

    /// Returns one object, verified.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get(&self, id: ObjectId) -> Result<Got, GetError> {
        todo!("{id:?}")
    }

    /// Returns many; one result each, in order.
    pub async fn get_batch(&self, ids: Vec<ObjectId>) -> Vec<Result<Got, GetError>> {
        todo!("{ids:?}")
    }

    /// Opens an object of any size for reading in parts.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get_large(&self, id: ObjectId) -> Result<Box<dyn LargeReader>, GetError> {
        todo!("{id:?}")
    }

    /// For each id, the replicas that hold it, or why that cannot be said.
    pub async fn has(&self, ids: Vec<ObjectId>) -> Vec<Result<Vec<NodeId>, GetError>> {
        todo!("{ids:?}")
    }

    /// Asks every member for its status.
    pub async fn status(&self) -> Vec<(Member, Result<StatusResponse, NodeError>)> {
        todo!()
    }

    /// Counters of the writer.
    pub fn stats(&self) -> WriterStats {
        todo!()
    }

    /// The latest replica writes that failed, at most `limits::MISSED_LISTED_MAX`.
    pub fn missed(&self) -> Vec<Missed> {
        todo!()
    }

    /// Waits for the writes that go on after W, and for their records.
    pub async fn drain(&self) {
        todo!()
    }
}
