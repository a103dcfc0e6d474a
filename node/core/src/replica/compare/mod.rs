//! Anti-entropy protocol.
//!
//! Two replicas compare what they hold: what they ask each other, and what they answer.
//!
//! How a comparison goes on from answer to answer is repair's.

mod key;
mod message;
mod span;

use async_trait::async_trait;

use super::{Found, LargeReader, NodeError, Parts, Standing, StoreError, Stored};
use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::{NodeId, Versions};

pub use key::Key;
pub use message::{Difference, Item, Question, Reply, Stated, What, Wrong};
pub use span::Span;

/// Parts that one range is divided into at a time. Sixteen sums are as long as six ids: more
/// parts cost more than they spare where few differ, fewer cost round trips.
pub const PARTS_MAX: u32 = 16;
/// Ranges of one question.
pub const ITEMS_MAX: usize = 2048;

/// The other side of a comparison.
#[async_trait]
pub trait Counterpart: Send + Sync {
    /// Who it is.
    fn node_id(&self) -> &NodeId;

    /// Compares what `caller` states, by these layouts.
    ///
    /// # Errors
    /// [`NodeError`], also when it goes by others.
    async fn compare(
        &self,
        question: &Question,
        caller: &NodeId,
        versions: &Versions,
    ) -> Result<Reply, NodeError>;

    /// How it stands to each of these objects, in order.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn standing(&self, ids: &[ObjectId]) -> Result<Vec<Standing>, NodeError>;

    /// Reads objects; one result each, in order.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn fetch(&self, ids: &[ObjectId]) -> Result<Vec<Result<Found, StoreError>>, NodeError>;

    /// Opens an object of any size; `None` when absent.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn fetch_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError>;

    /// Stores objects; one result each, in order.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn send(
        &self,
        objects: Vec<Object>,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError>;

    /// Stores an object that comes in parts.
    ///
    /// # Errors
    /// [`NodeError`].
    async fn send_large(&self, head: ObjectHead, parts: Parts) -> Result<Stored, NodeError>;
}
