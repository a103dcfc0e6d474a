//! Store answers and errors.
//!
//! What a store answers: what it holds, how durably, and why it did not do as asked.

use async_trait::async_trait;
use bytes::Bytes;

use crate::object::{HashMismatch, Object, ObjectHead, ObjectId};

/// How far an acknowledged object has travelled towards the platter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fdatasync` returned after the object was written.
    Synced,
    /// Written; `fdatasync` follows within an interval that the configuration sets.
    Periodic,
    /// Written but not synced: only with fsync switched off in the configuration.
    Buffered,
}

/// A replica's acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bytes of object data held under the id.
    pub bytes: u64,
    /// How safe they are.
    pub durability: Durability,
    /// They were there before this put.
    pub already_present: bool,
}

/// What a deletion took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Objects that were there.
    pub objects: u64,
    /// Bytes they had.
    pub payload_bytes: u64,
}

/// What a store holds under an id.
#[derive(Clone, Debug)]
pub enum Found {
    /// The whole, verified object.
    Object(Object),
    /// An object of more than `limits::OBJECT_BYTES_WHOLE_MAX` bytes: read it in parts.
    Large(ObjectHead),
    /// Nothing.
    Absent,
}

/// Why a store did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The object's bytes are not what its id stands for.
    #[error(transparent)]
    HashMismatch(#[from] HashMismatch),
    /// More bytes than a whole object may have, or than its head announced.
    #[error("object of {size_bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge {
        /// Bytes offered.
        size_bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// A large object ended before its announced size.
    #[error("object {id} ended after {received_bytes} of {size_bytes} bytes")]
    Truncated {
        /// The object.
        id: ObjectId,
        /// Bytes that came.
        received_bytes: u64,
        /// Bytes that were announced.
        size_bytes: u64,
    },
    /// A bound of the store, or of its machine, is reached: try later.
    #[error("overloaded: {reason}")]
    Overloaded {
        /// Which bound.
        reason: String,
    },
    /// No room on the disk; nothing was stored.
    #[error("the disk is full")]
    DiskFull,
    /// What the disk holds under this id is not the object.
    #[error("object {id} is damaged on this replica: {reason}")]
    Damaged {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not here, which proves nothing: see `CatchingUp` of repair.
    #[error("absent, but this replica has not caught up since its data directory was new")]
    CatchingUp,
    /// A write or sync failed; the store takes no writes until it is opened again.
    #[error("the store stopped taking writes: {reason}")]
    Failed {
        /// The first failure.
        reason: String,
    },
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
    /// A snapshot could not be made.
    #[error("snapshot {name:?}: {reason}")]
    Snapshot {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Another machine's store refused, in its own words.
    #[error("{reason}")]
    Remote {
        /// The words.
        reason: String,
    },
    /// Reading failed in another way.
    #[error("{doing}: {reason}")]
    Io {
        /// What was tried, with the file.
        doing: String,
        /// The error's words.
        reason: String,
        /// Its kind.
        kind: std::io::ErrorKind,
    },
}

/// What a store knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the object.
    Held,
    /// It has none, or one that is known to be damaged: it wants it.
    Lacking,
    /// It was told to delete the object, and still knows.
    Deleted,
}

/// An object on its way into the store. Dropping it stores nothing.
#[async_trait]
pub trait LargeWriter: Send {
    /// Takes the next part.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] past the announced size; disk errors.
    async fn write(&mut self, part: Bytes) -> Result<(), StoreError>;

    /// Verifies the hash, syncs, and makes the object visible.
    ///
    /// # Errors
    /// [`StoreError::Truncated`], [`StoreError::HashMismatch`], disk errors; then nothing
    /// is stored.
    async fn finish(self: Box<Self>) -> Result<Stored, StoreError>;
}

/// An object on its way out of the store.
#[async_trait]
pub trait LargeReader: Send {
    /// Id, kind and size.
    fn head(&self) -> ObjectHead;

    /// The next part, at most `limits::PART_BYTES_MAX` bytes; `None` at the end, when
    /// checksum and hash held.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] instead of the end when they did not.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}
