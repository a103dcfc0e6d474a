//! Verifying a backup, without a cluster: every file is what its name says, and every position has all
//! that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use gitstratum_catalog::entity::Pack;
use gitstratum_catalog::ids::PackId;
use gitstratum_catalog::state::Record;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_git::chunk::ChunkStore;
use gitstratum_git::repository::PackContents;
use gitstratum_git::service::RepositoryError;

use super::manifest::ObjectList;
use super::objects::{Objects, Unsound};
use super::prune::unneeded;
use super::{BackupError, Directory, Position, blocking};
use crate::transfer::{Counters, Progress, showing};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Positions.
    pub positions: u64,
    /// Objects that they need, each counted once and read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs whose chunks were looked up, each counted once.
    pub packs: u64,
    /// Files that no position needs.
    pub unneeded_files: u64,
    /// Their bytes.
    pub unneeded_bytes: u64,
    /// What is wrong, a line each.
    pub problems: Vec<String>,
}

/// Verifies a directory with so many files at a time.
///
/// # Errors
/// [`BackupError`] where it cannot be looked at; what is wrong in it is in [`Verified`].
pub async fn verify(
    path: &Path,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Verified, BackupError> {
    let path = path.to_owned();
    let (directory, found) = blocking(move || {
        let directory = Arc::new(Directory::read(&path)?);
        let found = look(&directory)?;
        Ok((directory, found))
    })
    .await?;
    let Found { mut verified, needed, packs } = found;
    let objects = Objects::of(directory);
    verified.objects = needed.len() as u64;
    verified.bytes = needed.values().sum();
    verified.packs = packs.len() as u64;
    progress.begin("verifying", verified.objects);
    let lengths = needed.iter().map(|(id, bytes)| (*id, *bytes)).collect();
    let unsound = unsound(&objects, lengths, jobs, progress).await?;
    progress.end();
    verified.problems.extend(unsound.into_iter().map(|(_, words)| words));
    let contents = PackContents::new(Arc::new(Stored(objects.clone())));
    for (pack, lists) in packs.into_values() {
        match contents.chunks(&pack).await {
            Ok(chunks) => verified.problems.extend(lists.missing(&pack, &chunks)),
            Err(error) => verified.problems.push(format!("pack {}: {error}", pack.id)),
        }
    }
    let ids: BTreeSet<ObjectId> = needed.into_keys().collect();
    let others = blocking(move || unneeded(&objects, &ids)).await?;
    verified.unneeded_files = others.len() as u64;
    verified.unneeded_bytes = others.iter().map(|(.., bytes)| bytes).sum();
    Ok(verified)
}

/// What positions need, before any object is read.
struct Found {
    verified: Verified,
    needed: BTreeMap<ObjectId, u64>,
    packs: BTreeMap<PackId, (Arc<Pack>, Lists)>,
}

/// The lists of the positions that have a pack, by the names of these.
#[derive(Clone, Default)]
struct Lists(Vec<(String, Arc<ObjectList>)>);

impl Lists {
    /// The chunks of a pack that one of these lists lacks.
    fn missing(&self, pack: &Pack, chunks: &[ObjectId]) -> Vec<String> {
        let mut problems = Vec::new();
        for (position, list) in &self.0 {
            let lacks = |id: &&ObjectId| list.binary_search_by_key(*id, |(id, _)| *id).is_err();
            let lacking = chunks.iter().filter(lacks).count();
            if lacking > 0 {
                let id = pack.id;
                problems.push(format!(
                    "position {position}: {lacking} chunks of pack {id} are not in it"
                ));
            }
        }
        problems
    }
}

fn look(directory: &Directory) -> Result<Found, BackupError> {
    let mut found =
        Found { verified: Verified::default(), needed: BTreeMap::new(), packs: BTreeMap::new() };
    for position in Position::each(directory)? {
        found.verified.positions += 1;
        let looked = position.and_then(|position| {
            let (state, list) = (position.catalog()?, Arc::new(position.objects()?));
            Ok((position, state, list))
        });
        let (position, state, list) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                found.verified.problems.push(error.to_string());
                continue;
            }
        };
        for record in state.records() {
            let Record::Pack { pack, .. } = record else { continue };
            let (_, lists) = found.packs.entry(pack.id).or_insert((pack, Lists::default()));
            if lists.0.last().is_none_or(|(name, _)| *name != position.name) {
                lists.0.push((position.name.clone(), list.clone()));
            }
        }
        found.needed.extend(list.iter().copied());
    }
    if found.verified.positions == 0 {
        let path = directory.path().to_owned();
        let problem = "no backup in it came to its end: give `gitstratum backup` again";
        return Err(BackupError::Directory { path, problem: problem.to_owned() });
    }
    Ok(found)
}

/// Reads files, and says which are not what they should be.
pub(super) async fn unsound(
    objects: &Objects,
    expected: ObjectList,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<(ObjectId, String)>, BackupError> {
    let counters = Counters::default();
    let read = stream::iter(expected).map(|(id, bytes)| {
        let (objects, counters) = (objects.clone(), &counters);
        async move {
            let read = blocking(move || objects.read(&id)).await?;
            counters.objects.fetch_add(1, Ordering::Relaxed);
            counters.bytes.fetch_add(bytes, Ordering::Relaxed);
            Ok::<_, BackupError>(match read {
                Ok(object) if object.size_bytes() == bytes => None,
                Ok(object) => {
                    let found = object.size_bytes();
                    Some((id, format!("object {id} has {found} bytes, and the list says {bytes}")))
                }
                Err(Unsound::Missing) => Some((id, format!("object {id} is missing"))),
                Err(Unsound::Damaged(why)) => Some((id, format!("object {id} is damaged: {why}"))),
            })
        }
    });
    let read = read.buffer_unordered(jobs).try_filter_map(|found| async move { Ok(found) });
    let mut unsound: Vec<_> = showing(read.try_collect(), &counters, progress).await?;
    unsound.sort();
    Ok(unsound)
}

/// The chunks of a backup alone.
pub(super) struct Stored(pub(super) Objects);

#[async_trait]
impl ChunkStore for Stored {
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        let refused = format!("chunk {} is not written to a backup that is read", chunk.id());
        Err(RepositoryError::Refused(refused))
    }

    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError> {
        let objects = self.0.clone();
        let read = blocking(move || objects.read(&id)).await;
        match read.map_err(|error| RepositoryError::Unavailable(error.to_string()))? {
            Ok(object) => Ok(object.data().clone()),
            Err(Unsound::Missing) => {
                Err(RepositoryError::Damaged(format!("object {id} is missing")))
            }
            Err(Unsound::Damaged(why)) => {
                Err(RepositoryError::Damaged(format!("object {id} is damaged: {why}")))
            }
        }
    }
}
