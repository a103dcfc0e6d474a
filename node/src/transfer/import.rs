//! Repository import.
//!
//! From a Git repository on disk into the cluster.
//!
//! Two workers decode objects in the order of the packs, where a delta is near its base,
//! and hash them; batches go through a short channel to a few puts at a time. What is
//! waiting anywhere is bounded, so memory does not grow with the repository, but for the
//! list of its ids (some 25 bytes an object). The one exception: a delta is resolved in
//! memory, so an object that Git itself chose to store as a delta is held whole.
//!
//! Invariant: the manifest is stored after every object it lists was acknowledged at W, after it
//! was read back by the rules of an export, and after everything that HEAD and its references
//! reach was found to be listed, or was asked not to be.
//!
//! An import that was stopped is resumed by running it again: replicas are asked what
//! they have, and are sent the rest.

mod closure;
mod error;
mod ids;
mod large;
mod links;
mod opened;
mod places;
mod plan;
mod read;
mod recent;
mod refs;
mod repository;
mod send;
#[cfg(test)]
mod tests;
mod warning;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gitstratum_cluster::client::Client;
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, Object, ObjectId};
use gitstratum_core::placement::NodeId;

use super::Progress;
use super::manifest::{Manifest, ObjectList};
pub use error::ImportError;
use ids::Ids;
use opened::Opened;
use read::Item;
use send::Sender;
pub use warning::{Warning, lines as warning_lines};

/// What an import is asked for, beside the repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Store the repository though it lacks objects that its references reach. They are named
    /// in warnings.
    pub allow_missing: bool,
}

/// What one replica acknowledged by the time the write quorum was reached. A slower
/// replica stores the same and is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaAcks {
    /// Objects newly stored.
    pub objects: u64,
    /// Their data, in bytes.
    pub bytes: u64,
    /// Objects that it had.
    pub already_present: u64,
}

impl fmt::Display for ReplicaAcks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReplicaAcks { objects, bytes, already_present } = self;
        write!(f, "{objects} new ({bytes} bytes) and {already_present} present")
    }
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct ImportReport {
    /// Names the repository from now on.
    pub manifest: ObjectId,
    /// Objects of the repository.
    pub objects: u64,
    /// Their data, in bytes.
    pub bytes: u64,
    /// Objects of which at least one replica was sent the data.
    pub sent_objects: u64,
    /// Their data, in bytes, counted once however many replicas took it.
    pub sent_bytes: u64,
    /// Objects that the replicas had.
    pub already_present: u64,
    /// Objects that went in parts.
    pub large_objects: u64,
    /// References, HEAD not counted.
    pub refs: u64,
    /// Each replica's share.
    pub replica_acks: BTreeMap<NodeId, ReplicaAcks>,
    /// What Git would warn of too.
    pub warnings: Vec<Warning>,
}

/// Stores every object of the repository at `path`, then its manifest. Dropping the
/// future stops the import; what is under way at the replicas finishes.
///
/// # Errors
/// [`ImportError`].
pub async fn import(
    client: &Client,
    path: &Path,
    options: ImportOptions,
    progress: &dyn Progress,
) -> Result<ImportReport, ImportError> {
    let mut opened = {
        let path = path.to_owned();
        blocking(move || Opened::open(&path)).await?
    };
    progress.begin("importing", opened.plan.objects());
    let mut sender = Sender::new(client.clone(), Some(progress));
    let ids = Arc::new(opened.transfer(&mut sender).await?);
    progress.end();

    let opened = opened.proven_whole(&ids, options).await?;
    let Opened { mut manifest, warnings, .. } = opened;
    manifest.objects = ids.len() as u64;
    let refs = manifest.refs.len() as u64;
    let id = store_manifest(client, path, manifest, &ids).await?;
    client.drain().await;
    let tally = sender.into_tally();
    Ok(ImportReport {
        manifest: id,
        objects: ids.len() as u64,
        bytes: tally.sent_bytes + tally.present_bytes,
        sent_objects: tally.sent_objects,
        sent_bytes: tally.sent_bytes,
        already_present: tally.present_objects,
        large_objects: tally.large_objects,
        refs,
        replica_acks: tally.replicas,
        warnings,
    })
}

/// Refuses a manifest that could not be read by an export.
fn check(path: &Path, manifest: &Manifest) -> Result<(), ImportError> {
    manifest.check().map_err(|source| ImportError::Manifest { path: path.to_owned(), source })
}

/// Stores the lists of ids, and then the manifest that names them; its id.
async fn store_manifest(
    client: &Client,
    path: &Path,
    mut manifest: Manifest,
    ids: &Ids,
) -> Result<ObjectId, ImportError> {
    let id_len = manifest.algorithm.id_len();
    let mut sender = Sender::new(client.clone(), None);
    for chunk in ids.raw().chunks(limits::MANIFEST_LIST_IDS_MAX * id_len) {
        let list = Bytes::copy_from_slice(chunk);
        let list = Object::hash(manifest.algorithm, Kind::Blob, list)?;
        let count = (chunk.len() / id_len) as u64;
        manifest.lists.push(ObjectList { id: list.id(), count });
        sender.put(Item::Batch(vec![list])).await?;
    }
    check(path, &manifest)?;
    // The root goes last, alone: whoever has its id has a whole repository.
    sender.finish().await?;
    let root = Object::hash(manifest.algorithm, Kind::Blob, manifest.encode().into())?;
    let id = root.id();
    sender.put(Item::whole(root)).await?;
    sender.finish().await?;
    Ok(id)
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    tokio::task::spawn_blocking(work).await.expect("work that blocks does not panic")
}

/// Our id for gix's.
fn id_of(id: &gix::oid) -> ObjectId {
    ObjectId::from_bytes(id.as_bytes()).expect("gix has the same two algorithms")
}

/// Our kind for gix's.
fn kind_of(kind: gix::objs::Kind) -> Kind {
    match kind {
        gix::objs::Kind::Blob => Kind::Blob,
        gix::objs::Kind::Tree => Kind::Tree,
        gix::objs::Kind::Commit => Kind::Commit,
        gix::objs::Kind::Tag => Kind::Tag,
    }
}
