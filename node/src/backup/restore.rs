//! Restoring: what a position has becomes part of a cluster that runs.
//!
//! Into an empty cluster of any size all of it, or into any cluster one repository. In this order:
//! the files are proved to be sound; repositories are begun, without names; they are given their packs,
//! so that nobody sweeps the chunks of these; the chunks are put on W replicas each, and looked for
//! there once more; refs and tokens follow; at last all names are given. So nothing that has a name is
//! ever less than whole, and what breaks off goes on when the command is given again.

mod give;
mod plan;
mod records;
mod target;

use std::path::Path;
use std::sync::Arc;

use gitstratum_cluster::client::Client;
use gitstratum_core::object::ObjectId;
use gitstratum_git::repository::PackContents;

use super::objects::Objects;
use super::verify::{Stored, unsound};
use super::{BackupError, Directory, blocking};
use crate::catalog::CatalogClient;
use crate::transfer::Progress;

use plan::Plan;
use target::Target;

/// What is to be restored.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The name of a position; the latest that has what is wanted, where there is none.
    pub at: Option<String>,
    /// The only repository to restore; all, where there is none.
    pub only: Option<Only>,
    /// Chunks that are put at the same time.
    pub jobs: usize,
}

/// A repository that is restored alone.
#[derive(Clone, Debug)]
pub struct Only {
    /// The name that it had.
    pub name: String,
    /// The name that it is to have, if it is another one.
    pub new_name: Option<String>,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The position.
    pub position: String,
    /// Names that repositories have from now on, or had from an earlier run.
    pub names: Vec<String>,
    /// Repositories that were deleted, which can be undone.
    pub deleted: u64,
    /// Access tokens.
    pub tokens: u64,
    /// Access tokens that had expired, and were left out.
    pub expired_tokens: u64,
    /// Chunks, all of which are on W replicas or more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// All of it was there from an earlier run.
    pub was_there: bool,
    /// Repositories that the backup does not have, because they were being restored then.
    pub left_out: Vec<String>,
}

/// Restores what is wanted.
///
/// # Errors
/// [`BackupError`]. Nothing new has a name then, unless names were being given just then, 1,000 at a
/// time.
pub async fn restore(
    client: &Client,
    catalog: &mut CatalogClient,
    path: &Path,
    wanted: &Wanted,
    progress: &dyn Progress,
) -> Result<Restored, BackupError> {
    let (directory, plan) = {
        let (path, wanted) = (path.to_owned(), wanted.clone());
        blocking(move || {
            let directory = Arc::new(Directory::read(&path)?);
            let plan = Plan::make(&directory, &wanted)?;
            Ok((directory, plan))
        })
        .await?
    };
    let mut target = Target::look(catalog, &plan).await?;
    let manifest = &plan.position.manifest;
    let mut restored = Restored {
        position: plan.position.name.clone(),
        names: plan.names(),
        deleted: plan.deleted(),
        tokens: 0,
        expired_tokens: 0,
        objects: 0,
        bytes: 0,
        was_there: target.is_whole(),
        left_out: manifest.left_out.clone(),
    };
    if restored.was_there {
        return Ok(restored);
    }
    let objects = Objects::of(directory);
    let needed = needed(&objects, &plan).await?;
    restored.objects = needed.len() as u64;
    restored.bytes = needed.iter().map(|(_, bytes)| bytes).sum();
    check(&objects, &needed, wanted.jobs, progress).await?;
    target.begin(&plan).await?;
    target.give_packs(&plan).await?;
    give::give(client, &objects, &needed, wanted.jobs, progress).await?;
    target.give_refs(&plan).await?;
    if plan.is_whole {
        // Before the first name: one that was revoked since an earlier run ended is not made anew.
        (restored.tokens, restored.expired_tokens) = target.give_tokens(&plan).await?;
    }
    target.end(&plan).await?;
    Ok(restored)
}

/// The chunks that the repositories of a plan need, each with its length.
async fn needed(objects: &Objects, plan: &Plan) -> Result<Vec<(ObjectId, u64)>, BackupError> {
    let position = plan.position.clone();
    let all = blocking(move || position.objects()).await?;
    if plan.is_whole {
        return Ok(all);
    }
    let contents = PackContents::new(Arc::new(Stored(objects.clone())));
    let mut needed = Vec::new();
    for pack in plan.packs() {
        let chunks =
            contents.chunks(&pack).await.map_err(|error| damaged(1, 1, &error.to_string()))?;
        for id in chunks {
            let listed = all.binary_search_by_key(&id, |(id, _)| *id);
            let listed =
                listed.map_err(|_| damaged(1, 1, &format!("chunk {id} is not in the list")))?;
            needed.push(all[listed]);
        }
    }
    needed.sort_unstable();
    needed.dedup();
    Ok(needed)
}

/// Refuses to begin where a file is not what it should be.
async fn check(
    objects: &Objects,
    needed: &[(ObjectId, u64)],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<(), BackupError> {
    progress.begin("verifying", needed.len() as u64);
    let unsound = unsound(objects, needed.to_vec(), jobs, progress).await?;
    progress.end();
    match unsound.first() {
        None => Ok(()),
        Some((_, first)) => Err(damaged(unsound.len(), needed.len(), first)),
    }
}

fn damaged(count: usize, of: usize, first: &str) -> BackupError {
    BackupError::Refused(format!(
        "{count} of {of} files that are needed are damaged or missing: {first}. Nothing was restored. \
         `gitstratum backup verify` lists them all; `gitstratum backup --verify` fetches them again \
         from a cluster that has them; --at names another position"
    ))
}
