//! Snapshot file: the state after some entry, and who was a member then.
//!
//! Frames ([`crate::frame`]), numbered from 0: a head, the parts of the
//! state, and an end that says how many parts there are. It is written aside and takes its name
//! when it is whole and durable; the one before is replaced by it.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};
use minicbor::{Decode, Encode};

use crate::entry::{Members, Position};
pub(crate) use read::{load, load_as};
pub(crate) use write::write;

/// The name of the snapshot in force.
const NAME: &str = "snapshot";
/// The format that this program writes.
const FORMAT: u32 = 1;

/// What a snapshot is of.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Head {
    #[n(0)]
    format: u32,
    #[n(1)]
    pub(crate) group: u32,
    /// The last entry that it has.
    #[n(2)]
    pub(crate) position: Option<Position>,
    /// The entry that made the members what they are.
    #[n(3)]
    pub(crate) members_at: Option<Position>,
    #[n(4)]
    pub(crate) members: Members,
}

impl Head {
    pub(crate) fn new(
        group: u32,
        position: Option<Position>,
        members_at: Option<Position>,
        members: Members,
    ) -> Self {
        Head { format: FORMAT, group, position, members_at, members }
    }
}

/// The last frame.
#[derive(Encode, Decode)]
#[cbor(array)]
struct End {
    #[n(0)]
    parts: u64,
}

/// A snapshot on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Where it is, until another takes the name.
    pub(crate) path: String,
    pub(crate) file: File,
    pub(crate) bytes: u64,
    pub(crate) head: Head,
}

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not what was written.
    #[error("{path}: {what}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A newer program wrote it.
    #[error(
        "{path} has format {format}, and this program reads formats up to {FORMAT}: start the version of \
         gitstratum that wrote it, or a newer one; nothing was changed"
    )]
    Format {
        /// Which file.
        path: String,
        /// Its format.
        format: u32,
    },
    /// Another group's.
    #[error("{path}: a snapshot of group {found}, not of group {expected}")]
    Foreign {
        /// Which file.
        path: String,
        /// Whose it is.
        found: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// The disk refused.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

impl From<SnapshotError> for io::Error {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Disk(error) => error,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// The snapshot in force, if there is one.
pub(crate) async fn current(
    disk: &Disk,
    directory: &str,
    group: u32,
) -> Result<Option<Snapshot>, SnapshotError> {
    let path = format!("{directory}/{NAME}");
    match disk.exists(&path).await? {
        true => open(disk, path, group).await.map(Some),
        false => Ok(None),
    }
}

/// A snapshot with any name.
pub(crate) async fn open(disk: &Disk, path: String, group: u32) -> Result<Snapshot, SnapshotError> {
    let file = disk.open(&path, OpenMode::Read).await?;
    let bytes = file.len().await?;
    let head = read::head(&file, bytes, &path, group).await?;
    Ok(Snapshot { path, file, bytes, head })
}

/// Gives a whole and durable snapshot the name of the one in force. May be tried again where it failed.
pub(crate) async fn put_in_force(
    disk: &Disk,
    directory: &str,
    snapshot: Snapshot,
) -> Result<Snapshot, SnapshotError> {
    let path = format!("{directory}/{NAME}");
    if snapshot.path != path {
        // An attempt before may have come so far.
        if disk.exists(&snapshot.path).await? {
            disk.rename(&snapshot.path, &path).await?;
        }
        disk.sync_dir(directory).await?;
    }
    Ok(Snapshot { path, ..snapshot })
}
