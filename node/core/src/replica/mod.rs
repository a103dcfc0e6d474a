//! Replica traits.
//!
//! A replica as others see it: what it is asked, what it answers, and why it does not.
//!
//! Whoever writes to replicas, reads from them or compares them knows these traits alone. A
//! replica on another machine, one in this process and one that a test scripts look alike.

mod class;
pub mod compare;
mod dial;
mod error;
mod missed;
mod progress;
mod shared;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::{Member, NodeId};

pub use class::ErrorClass;
pub use dial::{DialError, DialProblem, Stage};
pub use error::NodeError;
pub use missed::{Missed, ReasonClass, Recorded};
pub use progress::while_progressing;
pub use stored::{
    Deleted, Durability, Found, LargeReader, LargeWriter, Standing, StoreError, Stored,
};

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
    /// before `head.size_bytes` bytes. However long that takes, there is progress in it: see
    /// [`while_progressing`].
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
    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError>;

    /// The same replica for a request that no quorum can do without, when this one may
    /// answer [`NodeError::CircuitOpen`].
    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeWriter>> {
        None
    }

    /// The same replica for the second attempt at a request that began at that moment and
    /// whose connection failed: on one that was opened since, which it waits for. `None` where
    /// requests need no connection, for what is a second attempt itself, and when the budget
    /// of second attempts is used up, from which each of these is taken.
    fn on_new_connection(&self, _first_began: Instant) -> Option<Arc<dyn NodeWriter>> {
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

    /// As [`NodeWriter::bypassing_breaker`].
    fn bypassing_breaker(&self) -> Option<Arc<dyn NodeReader>> {
        None
    }

    /// As [`NodeWriter::on_new_connection`].
    fn on_new_connection(&self, _first_began: Instant) -> Option<Arc<dyn NodeReader>> {
        None
    }
}

/// How a writer comes to the replica of a member. Asked anew for every write, because the
/// members change.
pub type Writers = Arc<dyn Fn(&Member) -> Arc<dyn NodeWriter> + Send + Sync>;

/// How a reader comes to the replica of a member. Asked anew for every read.
pub type Readers = Arc<dyn Fn(&Member) -> Arc<dyn NodeReader> + Send + Sync>;
