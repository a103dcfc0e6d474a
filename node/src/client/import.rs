//! From a Git repository on disk into the cluster.
//!
//! Two workers decode objects in the order of the packs, where a delta is near its base,
//! and hash them; batches go through a short channel to a few puts at a time. What is
//! waiting anywhere is bounded, so memory does not grow with the repository, but for the
//! list of its ids (some 25 bytes an object). The one exception: a delta is resolved in
//! memory, so an object that Git itself chose to store as a delta is held whole.
//!
//! Invariant: the manifest is stored after every object it lists was acknowledged at W.
//!
//! An import that was stopped is resumed by running it again: replicas are asked what
//! they have, and are sent the rest.

mod large;
mod plan;
mod read;
mod send;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::manifest::{Manifest, ObjectList, Target};
use super::{Client, Progress, PutError};
use crate::limits;
use crate::object::{CollisionDetected, HashAlgorithm, Kind, Object, ObjectId};
use crate::placement::NodeId;
use plan::Plan;
use read::Item;
use send::Sender;

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
}

/// Why an import stopped. What was stored stays stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The repository cannot be opened.
    #[error("{}: cannot be opened as a Git repository", path.display())]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// Why.
        source: gix::Error,
    },
    /// Something of the repository, other than an object, cannot be read.
    #[error("{doing}")]
    Read {
        /// What was read.
        doing: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The repository is of a sort that cannot be imported whole.
    #[error("{}: {problem}", path.display())]
    Unsupported {
        /// The repository.
        path: PathBuf,
        /// What it has or lacks.
        problem: String,
    },
    /// An object of the repository cannot be decoded.
    #[error("object {id} cannot be read from {}", path.display())]
    Object {
        /// The object.
        id: ObjectId,
        /// Its pack or file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object's bytes are not what its id stands for.
    #[error("object {id} in {} is damaged: it hashes to {actual}", path.display())]
    Damaged {
        /// The id the repository has it under.
        id: ObjectId,
        /// What it hashes to.
        actual: ObjectId,
        /// Its pack or file.
        path: PathBuf,
    },
    /// An object was made to collide with another.
    #[error(transparent)]
    Collision(#[from] CollisionDetected),
    /// A reference points to an object that the repository lacks.
    #[error("{name} points to {id}, which is not in the repository")]
    DanglingRef {
        /// The reference or HEAD.
        name: String,
        /// Its target.
        id: ObjectId,
    },
    /// Too few replicas took an object, time after time.
    #[error("put failed {attempts} times; run the import again to go on where it stopped")]
    Put {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: PutError,
    },
}

/// Stores every object of the repository at `path`, then its manifest. Dropping the
/// future stops the import; what is under way at the replicas finishes.
///
/// # Errors
/// [`ImportError`].
pub async fn import(
    client: &Client,
    path: &Path,
    progress: &dyn Progress,
) -> Result<ImportReport, ImportError> {
    let path = path.to_owned();
    let (snapshot, plan) = blocking(move || {
        let (snapshot, packs) = source::open(&path)?;
        Ok((snapshot, Plan::new(packs)?))
    })
    .await?;
    let plan = Arc::new(plan);
    progress.begin("importing", plan.objects());
    let mut sender = Sender::new(client.clone(), Some(progress));
    transfer(&plan, &mut sender).await?;
    progress.end();

    let checked = {
        let (plan, snapshot) = (plan.clone(), snapshot.clone());
        blocking(move || {
            let ids = plan.sorted_ids();
            check_targets(&snapshot, &ids)?;
            Ok(ids)
        })
    };
    let ids = checked.await?;
    let mut manifest = snapshot;
    manifest.objects = plan.objects();
    let id_len = manifest.algorithm.id_len();
    let mut tail = Sender::new(client.clone(), None);
    for chunk in ids.chunks(limits::MANIFEST_LIST_IDS_MAX * id_len) {
        let list = Bytes::copy_from_slice(chunk);
        let list = Object::hash(manifest.algorithm, Kind::Blob, list)?;
        let count = (chunk.len() / id_len) as u64;
        manifest.lists.push(ObjectList { id: list.id(), count });
        tail.put(Item::Batch(vec![list])).await?;
    }
    // The root goes last, alone: whoever has its id has a whole repository.
    tail.finish().await?;
    let root = Object::hash(manifest.algorithm, Kind::Blob, manifest.encode().into())?;
    let id = root.id();
    tail.put(Item::whole(root)).await?;
    tail.finish().await?;
    client.drain().await;
    let tally = sender.into_tally();
    Ok(ImportReport {
        manifest: id,
        objects: manifest.objects,
        bytes: tally.sent_bytes + tally.present_bytes,
        sent_objects: tally.sent_objects,
        sent_bytes: tally.sent_bytes,
        already_present: tally.present_objects,
        large_objects: tally.large_objects,
        refs: manifest.refs.len() as u64,
        replica_acks: tally.replicas,
    })
}

/// Reads and sends all objects of the plan.
async fn transfer(plan: &Arc<Plan>, sender: &mut Sender<'_>) -> Result<(), ImportError> {
    let (items, mut decoded) = mpsc::channel(limits::IMPORT_BATCHES_WAITING_MAX);
    let cursor = Arc::new(plan::Cursor::default());
    let readers: Vec<_> = (0..limits::IMPORT_READERS)
        .map(|_| {
            let (plan, cursor, items) = (plan.clone(), cursor.clone(), items.clone());
            tokio::task::spawn_blocking(move || read::run(&plan, &cursor, &items))
        })
        .collect();
    drop(items);
    while let Some(item) = decoded.recv().await {
        sender.put(item?).await?;
    }
    for reader in readers {
        reader.await.expect("a reader does not panic");
    }
    sender.finish().await
}

/// Refuses references to objects that are not there: their export could not be whole.
fn check_targets(manifest: &Manifest, ids: &[u8]) -> Result<(), ImportError> {
    let head = match &manifest.head {
        super::manifest::Head::Id(id) => Some(("HEAD".to_owned(), *id)),
        super::manifest::Head::Ref(_) => None,
    };
    let refs = manifest.refs.iter().filter_map(|reference| match &reference.target {
        Target::Id(id) => Some((reference.name.to_string(), *id)),
        Target::Symbolic(_) => None,
    });
    for (name, id) in head.into_iter().chain(refs) {
        if !plan::contains(ids, &id) {
            return Err(ImportError::DanglingRef { name, id });
        }
    }
    Ok(())
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

/// Our algorithm for gix's; `None` for one that this build does not know.
fn algorithm_of(kind: gix::hash::Kind) -> Option<HashAlgorithm> {
    match kind.len_in_bytes() {
        20 => Some(HashAlgorithm::Sha1),
        32 => Some(HashAlgorithm::Sha256),
        _ => None,
    }
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
