//! Backup and restore of a cluster: all that the catalog names at one position, in a directory.
//!
//! ```text
//! gitstratum-backup.json        the form of the directory, and of which cluster it is; the lock
//! objects/AB/ABxx…/yyyy…        a chunk of a pack, by its id: the place on the ring, then the rest
//! positions/TIME/manifest.json  what this backup has, with the digests of its other files
//! positions/TIME/catalog.jsonl  the catalog, as `catalog dump` writes it
//! positions/TIME/objects        the ids of all chunks that it needs, each with its length
//! unfinished/                   what has no name yet
//! ```
//!
//! [`take`] reads the catalog once and then fetches what that needs; a chunk that is there already is
//! not fetched again, so the next backup costs what is new. [`verify`] proves that a directory is whole,
//! [`prune`] forgets old positions, [`restore`] gives a cluster what it has.
//!
//! Invariant: every file is written aside, synced and given its name as a whole, and a position comes
//! last. So what breaks off leaves all positions as they were, and chunks that the next one finds.
//!
//! Objects that were put without a name are not in the catalog, and so not in a backup.

mod directory;
mod error;
mod manifest;
mod objects;
pub mod prune;
pub mod restore;
pub mod take;
pub mod verify;

pub use directory::Directory;
pub use error::BackupError;
pub use manifest::{Manifest, Position};

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.expect("work that blocks does not panic")
}
