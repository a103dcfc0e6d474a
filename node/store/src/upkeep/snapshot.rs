//! Snapshots: a consistent copy of a live store, by hard links.
//!
//! The active segment is ended first, so that every file of the copy is one that never
//! changes again. The copy is a data directory like any other: it can be verified, backed
//! up, and served. Its last file is the one that says it is complete.

use std::collections::BTreeSet;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::replica::StoreError;
use gitstratum_host::Disk;
use gitstratum_host::disk::{is_exhausted, is_full};

use crate::files::identity;
use crate::files::names::{COMPLETE, DIR, LARGE_DIR, index_path, large_path, segment_path};
use crate::manifest::{Manifest, write};
use crate::state::shared::Shared;
use crate::state::{large_names, quarantine};

/// The directory of all snapshots.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it is, below the data directory.
    pub path: String,
    /// Files that were linked.
    pub files: u64,
}

/// A snapshot's name has no more bytes.
const NAME_BYTES_MAX: usize = 64;

/// Makes a snapshot of all that was acknowledged before the call.
///
/// # Errors
/// [`StoreError::Snapshot`] for a name that is none or is taken; as a put.
pub(crate) async fn snapshot(shared: &Shared, name: &str) -> Result<Snapshot, StoreError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let named = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(plain);
    if !named || name.starts_with('.') {
        let reason = "a snapshot's name has letters, digits, '-', '_' and '.', at most 64";
        // What is none may be of any length, and an answer is not.
        let name = name.chars().take(NAME_BYTES_MAX).collect();
        return Err(StoreError::Snapshot { name, reason: reason.into() });
    }
    let _alone = shared.maintenance.lock().await;
    let path = format!("{SNAPSHOTS}/{name}");
    let disk = &shared.disk;
    let failed = |error: std::io::Error| match is_full(&error) {
        true => StoreError::DiskFull,
        false if is_exhausted(&error) => shared.health.overloaded(error.to_string()),
        false => StoreError::Snapshot { name: name.into(), reason: error.to_string() },
    };
    // Each ends a segment and keeps what is deleted from giving its room back.
    let there = match disk.list(SNAPSHOTS).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        listed => listed.map_err(failed)?.len(),
    };
    if there >= limits::SNAPSHOTS_MAX {
        let reason = format!("{there} are there already: remove some from {SNAPSHOTS}");
        return Err(StoreError::Snapshot { name: name.into(), reason });
    }
    shared.queue.seal().await?;
    if disk.exists(&path).await.map_err(failed)? {
        let reason = match disk.exists(&format!("{path}/{COMPLETE}")).await.map_err(failed)? {
            true => "there is one of that name".to_owned(),
            false => format!("one of that name was not completed: remove {path}"),
        };
        return Err(StoreError::Snapshot { name: name.into(), reason });
    }
    // Or what is damaged here would be absent there.
    shared.damage.keep().await?;
    // Large objects neither come nor go while the links are made.
    let _naming = shared.naming.acquire().await?;
    let (mut files, manifest, names) = files_now(shared);
    for file in [quarantine::FILE, identity::CLUSTER] {
        if disk.exists(file).await.map_err(failed)? {
            files.insert(file.to_owned());
        }
    }
    link_all(disk, &path, &files).await.map_err(failed)?;
    let complete = async {
        disk.replace(&format!("{path}/{}", large_names::FILE), names).await?;
        write(disk, &format!("{path}/"), &manifest).await?;
        let text = format!("gitstratum snapshot 1\n{} files\n", files.len());
        disk.replace(&format!("{path}/{COMPLETE}"), Bytes::from(text)).await
    };
    complete.await.map_err(failed)?;
    Ok(Snapshot { path, files: files.len() as u64 })
}

/// The files of the store, and what says what they should hold: a manifest, and the names of
/// large objects.
fn files_now(shared: &Shared) -> (BTreeSet<String>, Manifest, Bytes) {
    let view = shared.view();
    let (names, reach) = large_names::encode(1, &view.large);
    let sealed = view.sealed.iter().map(|sealed| (sealed.id(), sealed.summary()));
    let manifest = shared.manifest.of_snapshot(sealed, reach);
    let segments = view.sealed.iter().map(|sealed| sealed.id());
    let files = segments.flat_map(|id| [segment_path(id), index_path(id)]);
    let large = view.large.keys().map(|id| large_path(*id));
    let mut files: BTreeSet<String> = files.chain(large).collect();
    files.insert(identity::IDENTITY.to_owned());
    (files, manifest, names)
}

async fn link_all(disk: &Disk, path: &str, files: &BTreeSet<String>) -> std::io::Result<()> {
    for dir in [DIR, LARGE_DIR] {
        disk.create_dir_all(&format!("{path}/{dir}")).await?;
    }
    for file in files {
        disk.link(file, &format!("{path}/{file}")).await?;
    }
    for dir in [DIR, LARGE_DIR] {
        disk.sync_dir(&format!("{path}/{dir}")).await?;
    }
    disk.sync_dir(path).await
}
