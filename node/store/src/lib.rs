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
pub use upkeep::compact::{CompactOptions, Compacted};
pub use upkeep::maintain::Maintenance;
pub use upkeep::scrub::Scrubbed;
pub use upkeep::snapshot::Snapshot;

/// Counters of a store since it was opened, and its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Objects held.
    pub objects: u64,
    /// Object data held, without record headers.
    pub payload_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Objects in files of their own.
    pub large_objects: u64,
    /// Objects that are known to be damaged and were not put again; and files with records of
    /// which not even the ids are known: they cannot be read, or the file lost them.
    pub damaged_objects: u64,
    /// What is known of files that lost records which cannot all be named: a line each, at most
    /// `limits::LOST_FILES_NAMED_MAX`.
    pub lost: Vec<String>,
    /// Bytes of dead records that compaction would free.
    pub garbage_bytes: u64,
    /// Bytes of all segments, indexes and large objects.
    pub disk_bytes: u64,
    /// Memory that the indexes of sealed segments take.
    pub index_memory_bytes: u64,
    /// `fdatasync` calls since opening.
    pub syncs: u64,
    /// Bytes given to the disk since opening.
    pub bytes_written: u64,
    /// Objects put since opening, those already present included.
    pub puts: u64,
    /// Objects asked for since opening.
    pub gets: u64,
    /// Why the store takes no writes, if it does not.
    pub failed: Option<String>,
    /// Why it takes no puts for now, if it does not for want of room.
    pub puts_refused: Option<PutsRefused>,
}

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

    /// Counters and sizes.
    fn stats(&self) -> StoreStats;

    /// Finishes what is queued and refuses the rest.
    async fn close(&self);
}
