//! Looking at a store's files without opening it: nothing is written, nothing is repaired.
//!
//! Meant for snapshots and for directories of stopped nodes; a directory that a process
//! has open is refused, because its last segment changes while it is read.

mod findings;
mod verify;

use std::collections::BTreeSet;

use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_host::Disk;
use gitstratum_host::disk::{DiskLock, OpenMode};

use crate::error::{OpenError, io_error};
use crate::files::identity;
use crate::files::names::{Listed, large_path, list, segment_path};
use crate::format::account::Tally;
use crate::format::large::large_size_of;
use crate::format::segment::SegmentId;
use crate::segment::scan::{Tail, scan};
use crate::segment::sealed::Sealed;

pub use findings::Verified;
pub use verify::verify;

/// What a store's files hold, counted from indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfflineStats {
    /// Whose data it is.
    pub owner: Option<NodeId>,
    /// Segments that are complete and indexed.
    pub sealed_segments: u64,
    /// Segments that opening would scan: at most the one that puts were appended to.
    pub unindexed_segments: u64,
    /// Objects that can be got.
    pub objects: u64,
    /// Bytes they have.
    pub payload_bytes: u64,
    /// Objects in files of their own, which are among those.
    pub large_objects: u64,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Bytes of records that were deleted and not compacted away.
    pub garbage_bytes: u64,
    /// What is left of an interrupted step: files that opening removes.
    pub leftovers: u64,
}

/// The names of a store's files, and the lock if it has one.
struct Looked {
    owner: NodeId,
    segments: BTreeSet<SegmentId>,
    large: BTreeSet<ObjectId>,
    leftovers: Vec<String>,
    /// Whether the store is one that has had a manifest.
    had_manifest: bool,
    _lock: Option<DiskLock>,
}

async fn look(disk: &Disk) -> Result<Looked, OpenError> {
    let owner = identity::owner(disk).await?;
    let owner = owner.ok_or_else(|| OpenError::NoStore { missing: identity::IDENTITY.into() })?;
    let lock = identity::lock_if_there(disk).await?;
    let had_manifest = identity::had_manifest(disk).await?;
    let Listed { segments, large, leftovers } = list(disk).await?;
    Ok(Looked { owner, segments, large, leftovers, had_manifest, _lock: lock })
}

/// Counts what a store's files hold without reading the records of sealed segments.
///
/// # Errors
/// [`OpenError`] when it is no store, is in use, or cannot be read.
pub async fn stats(disk: &Disk) -> Result<OfflineStats, OpenError> {
    let looked = look(disk).await?;
    let mut stats = OfflineStats {
        owner: Some(looked.owner),
        leftovers: looked.leftovers.len() as u64,
        large_objects: looked.large.len() as u64,
        objects: looked.large.len() as u64,
        ..OfflineStats::default()
    };
    for id in &looked.large {
        let path = large_path(*id);
        let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
        let len = file.len().await.map_err(io_error("size", &path))?;
        stats.disk_bytes += len;
        stats.payload_bytes += large_size_of(len);
    }
    let (mut live, mut killed, mut settled) =
        (Tally::default(), Tally::default(), Tally::default());
    for id in &looked.segments {
        let path = segment_path(*id);
        let file = disk.open(&path, OpenMode::Read).await.map_err(io_error("open", &path))?;
        let len = file.len().await.map_err(io_error("size", &path))?;
        let accounts = match Sealed::open(disk, *id, file.clone(), len).await {
            Ok(sealed) => {
                stats.sealed_segments += 1;
                stats.disk_bytes += sealed.disk_bytes();
                sealed.accounts().clone()
            }
            Err(_) => {
                stats.unindexed_segments += 1;
                stats.disk_bytes += len;
                let contents = scan(&file, *id, len, Tail::Open { durable: 0 }).await;
                contents.map_err(io_error("read", &path))?.accounts
            }
        };
        live += accounts.held;
        settled += accounts.settled;
        accounts.kills.values().for_each(|tally| killed += *tally);
    }
    live += settled;
    live -= killed;
    killed -= settled;
    // Damaged accounts say anything.
    stats.objects = stats.objects.saturating_add(live.records);
    stats.payload_bytes = stats.payload_bytes.saturating_add(live.payload);
    stats.garbage_bytes = killed.bytes;
    Ok(stats)
}
