//! The storage engine's interface, and the engine.
//!
//! Invariant: what [`Store::put`] acknowledged as `Durability::Synced` is found again
//! after any crash. The store verifies every object against its id before it
//! acknowledges, and knows nothing of replicas.

mod codec;
mod engine;
mod error;
mod files;
mod format;
mod large;
mod manifest;
pub mod offline;
mod open;
mod options;
mod read;
mod segment;
mod state;
mod stats;
mod upkeep;
mod write;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::replica::{Deleted, Found, LargeReader, LargeWriter, StoreError, Stored};

pub use engine::{SegmentStore, maintain, watch_room};
pub use error::OpenError;
pub use files::identity::{CLUSTER, check_vacant, owner, was_open};
pub use options::{Compression, Fsync, StoreOptions};
pub use read::inventory::Inventory;
pub use state::intake::PutsRefused;
pub use state::quarantine::Unidentified;
pub use state::scrub::memory::ScrubCounts;
pub use state::scrub::numbers::{LastScrub, ScrubNumbers, ScrubProgress};
pub use stats::{Condition, StoreStats};
pub use upkeep::compact::{CompactOptions, Compacted};
pub use upkeep::maintain::Maintenance;
pub use upkeep::scrub::Scrubbed;
pub use upkeep::snapshot::Snapshot;

/// A content-addressed store on one machine.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores objects of at most `limits::OBJECT_BYTES_WHOLE_MAX` bytes each; one result
    /// each, in order. Returns when every one is as durable as it says or refused.
    /// Dropping the future abandons the answer, not the writes already queued.
    async fn put(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>>;

    /// Looks an object up and verifies its record's checksum; whoever receives it checks the
    /// hash, and scrub does.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`].
    async fn get(&self, id: ObjectId) -> Result<Found, StoreError>;

    /// Which of these objects are held durably, in order.
    ///
    /// # Errors
    /// [`StoreError::Io`] when an index can neither be read nor be made again.
    async fn has(&self, ids: &[ObjectId]) -> Result<Vec<bool>, StoreError>;

    /// Begins an object that comes in parts, whatever its size.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many are under way, or as `put`.
    async fn put_large(&self, head: ObjectHead) -> Result<Box<dyn LargeWriter>, StoreError>;

    /// Opens an object of any size for reading in parts; `None` when absent.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, StoreError>;

    /// Deletes what is there of these objects, durably; garbage collection calls it.
    ///
    /// # Errors
    /// As a put; then any of them may be deleted.
    async fn delete(&self, ids: &[ObjectId]) -> Result<Deleted, StoreError>;

    /// Makes a snapshot of all that was acknowledged before the call. Puts and gets go on.
    ///
    /// # Errors
    /// [`StoreError::Snapshot`] for a name that is none or is taken; as a put.
    async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError>;

    /// Finishes what is queued and refuses the rest.
    async fn close(&self);
}
