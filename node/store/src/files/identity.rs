//! Owner of a data directory: a lock against a second process, and a file with the node's name.
//!
//! The file has version 2 from the moment that the store has a manifest. So a store whose
//! manifest is lost is told from one that a program made which wrote none.

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::placement::NodeId;
use gitstratum_host::Disk;
use gitstratum_host::disk::{DiskLock, OpenMode};

use crate::error::{OpenError, io_error};

/// The file that the process holds which has the store open.
pub(crate) const LOCK: &str = "lock";
/// The file that says whose data this is.
pub(crate) const IDENTITY: &str = "node";
/// The file that says which cluster's data this is. Not the store's own, but part of every copy
/// of it: a backup is no other cluster's for having been copied.
pub const CLUSTER: &str = "cluster";
/// Begins the first line, before the version.
const TITLE: &str = "gitstratum data ";
/// The version of a store that may have no manifest.
const WITHOUT_MANIFEST: u32 = 1;
/// The version of one that has had a manifest.
const WITH_MANIFEST: u32 = 2;
/// What may be in a directory in which no store was made yet: what a file system begins with,
/// and what is written before the file that names the owner.
const FIRST_NAMES: [&str; 7] =
    ["lost+found", LOCK, "node.tmp", "catching-up", "catching-up.tmp", CLUSTER, "cluster.tmp"];
/// Strange names that an error lists.
const FOREIGN_NAMED_MAX: usize = 3;

/// Takes the lock and makes sure that the data is `node_id`'s; names it on an empty disk.
pub(crate) async fn claim(disk: &Disk, node_id: &NodeId) -> Result<DiskLock, OpenError> {
    // Read first, so that another node's directory does not even get a lock file.
    let named = is_named(disk, node_id).await?;
    if !named {
        if let Err(error) = check_vacant(disk).await {
            // Another process may have made a store here since.
            return match is_named(disk, node_id).await? {
                true => take_lock(disk).await,
                false => Err(error),
            };
        }
        disk.create_dir_all("").await.map_err(io_error("make", "the data directory"))?;
    }
    let lock = take_lock(disk).await?;
    // A name is never taken back, but another node may have given one before the lock was taken.
    if !named && !is_named(disk, node_id).await? {
        let written = write(disk, node_id, WITHOUT_MANIFEST).await;
        written.map_err(io_error("write", IDENTITY))?;
    }
    Ok(lock)
}

/// Whether the store has had a manifest.
///
/// # Errors
/// As [`owner`].
pub(crate) async fn had_manifest(disk: &Disk) -> Result<bool, OpenError> {
    Ok(read(disk).await?.is_some_and(|identity| identity.version == WITH_MANIFEST))
}

/// Says that the store has a manifest, which is durable, from now on.
///
/// # Errors
/// Those of the disk.
pub(crate) async fn has_manifest(disk: &Disk, node_id: &NodeId) -> std::io::Result<()> {
    write(disk, node_id, WITH_MANIFEST).await
}

async fn write(disk: &Disk, node_id: &NodeId, version: u32) -> std::io::Result<()> {
    disk.replace(IDENTITY, Bytes::from(format!("{TITLE}{version}\nnode {node_id}\n"))).await
}

/// Whether the data is named as this node's; an error when as another's.
async fn is_named(disk: &Disk, ours: &NodeId) -> Result<bool, OpenError> {
    match read(disk).await? {
        None => Ok(false),
        Some(Identity { owner, .. }) if owner == *ours => Ok(true),
        Some(Identity { owner, .. }) => Err(OpenError::OtherNode { owner, ours: ours.clone() }),
    }
}

/// Whose data it is; `None` in a directory that is no store's.
///
/// # Errors
/// [`OpenError`] when the file that says it cannot be read, or is damaged.
pub async fn owner(disk: &Disk) -> Result<Option<NodeId>, OpenError> {
    Ok(read(disk).await?.map(|identity| identity.owner))
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

/// Whether a new store may be made in this directory: there is none yet, or it is empty. A file
/// system that was just made has a directory of its own, and an opening that was interrupted, or
/// for which there was no room, may have left the first of a store's files.
///
/// # Errors
/// [`OpenError::Foreign`] names what is there; those of the disk.
pub async fn check_vacant(disk: &Disk) -> Result<(), OpenError> {
    let names = match disk.list("").await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(io_error("list", "the data directory"))?,
    };
    let foreign: Vec<_> = names.iter().filter(|name| !FIRST_NAMES.contains(&&***name)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let shown = foreign.iter().take(FOREIGN_NAMED_MAX).map(|name| format!("{name:?}"));
    let mut found = shown.collect::<Vec<_>>().join(", ");
    if let more @ 1.. = foreign.len().saturating_sub(FOREIGN_NAMED_MAX) {
        found += &format!(" and {more} more");
    }
    Err(OpenError::Foreign { found, missing: IDENTITY.into() })
}

/// Takes the lock where its file is there: a snapshot has none, and gets none.
pub(crate) async fn lock_if_there(disk: &Disk) -> Result<Option<DiskLock>, OpenError> {
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

/// What the file says.
struct Identity {
    version: u32,
    owner: NodeId,
}

async fn read(disk: &Disk) -> Result<Option<Identity>, OpenError> {
    let file = match disk.open(IDENTITY, OpenMode::Read).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error("open", IDENTITY))?,
    };
    let len = file.len().await.map_err(io_error("size", IDENTITY))?;
    let len = usize::try_from(len.min(4096)).expect("bounded just now");
    let bytes = file.read_at(0, len).await.map_err(io_error("read", IDENTITY))?;
    let text = std::str::from_utf8(&bytes).ok();
    let lines = text.and_then(|text| text.strip_prefix(TITLE)?.split_once('\n'));
    let version = lines.and_then(|(version, _)| version.parse().ok());
    let owner = lines.and_then(|(_, rest)| rest.strip_prefix("node ")?.strip_suffix('\n'));
    match (version, owner) {
        (Some(version @ WITHOUT_MANIFEST..=WITH_MANIFEST), Some(owner)) => {
            Ok(Some(Identity { version, owner: NodeId::new(owner) }))
        }
        (Some(version), _) if version > WITH_MANIFEST => {
            Err(NewerFormat::new(IDENTITY, version, WITH_MANIFEST).into())
        }
        _ => Err(OpenError::Damaged { path: IDENTITY.into() }),
    }
}
