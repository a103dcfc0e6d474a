//! Whose data this is: a lock against a second process, and a file with the node's name.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{DiskLock, OpenMode};

use super::{OpenError, io_error};
use crate::placement::NodeId;

/// The file that the process holds which has the store open.
pub(super) const LOCK: &str = "lock";
/// The file that says whose data this is.
pub(super) const IDENTITY: &str = "node";
/// The file that says which cluster's data this is. Not the store's own, but part of every copy
/// of it: a backup is no other cluster's for having been copied.
pub const CLUSTER: &str = "cluster";
const FIRST_LINE: &str = "gitstratum data 1";

/// Takes the lock and makes sure that the data is `node_id`'s; names it on an empty disk.
pub(super) async fn claim(disk: &Disk, node_id: &NodeId) -> Result<DiskLock, OpenError> {
    // Read first, so that another node's directory does not even get a lock file.
    let named = is_named(disk, node_id).await?;
    if !named {
        disk.create_dir_all("").await.map_err(io_error("make", "the data directory"))?;
    }
    let lock = take_lock(disk).await?;
    // A name is never taken back, but another node may have given one before the lock was taken.
    if !named && !is_named(disk, node_id).await? {
        let text = format!("{FIRST_LINE}\nnode {node_id}\n");
        disk.replace(IDENTITY, Bytes::from(text)).await.map_err(io_error("write", IDENTITY))?;
    }
    Ok(lock)
}

/// Whether the data is named as this node's; an error when as another's.
async fn is_named(disk: &Disk, ours: &NodeId) -> Result<bool, OpenError> {
    match read(disk).await? {
        None => Ok(false),
        Some(owner) if owner == *ours => Ok(true),
        Some(owner) => Err(OpenError::OtherNode { owner, ours: ours.clone() }),
    }
}

/// Whose data it is; `None` in a directory that is no store's.
///
/// # Errors
/// [`OpenError`] when the file that says it cannot be read, or is damaged.
pub async fn owner(disk: &Disk) -> Result<Option<NodeId>, OpenError> {
    read(disk).await
}

/// Whether a store was ever open in this directory. None was in an empty one, nor in a snapshot
/// or a copy of one, which lacks what was acknowledged after it was made.
///
/// # Errors
/// [`OpenError`] when that cannot be told.
pub async fn was_open(disk: &Disk) -> Result<bool, OpenError> {
    Ok(read(disk).await?.is_some()
        && disk.exists(LOCK).await.map_err(io_error("look for", LOCK))?)
}

/// Takes the lock where its file is there: a snapshot has none, and gets none.
pub(super) async fn lock_if_there(disk: &Disk) -> Result<Option<DiskLock>, OpenError> {
    match disk.exists(LOCK).await.map_err(io_error("look for", LOCK))? {
        true => Ok(Some(take_lock(disk).await?)),
        false => Ok(None),
    }
}

async fn take_lock(disk: &Disk) -> Result<DiskLock, OpenError> {
    disk.lock(LOCK).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => OpenError::InUse,
        _ => OpenError::Io { doing: format!("lock {LOCK}"), source },
    })
}

async fn read(disk: &Disk) -> Result<Option<NodeId>, OpenError> {
    let file = match disk.open(IDENTITY, OpenMode::Read).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error("open", IDENTITY))?,
    };
    let len = file.len().await.map_err(io_error("size", IDENTITY))?;
    let len = usize::try_from(len.min(4096)).expect("bounded just now");
    let bytes = file.read_at(0, len).await.map_err(io_error("read", IDENTITY))?;
    let text = std::str::from_utf8(&bytes).ok();
    let rest = text.and_then(|text| text.strip_prefix(FIRST_LINE));
    let owner = rest.and_then(|rest| rest.strip_prefix("\nnode ")?.strip_suffix('\n'));
    match owner {
        Some(owner) => Ok(Some(NodeId::new(owner))),
        None => Err(OpenError::Damaged { path: IDENTITY.into() }),
    }
}
