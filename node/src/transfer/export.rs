//! Repository export.
//!
//! From the cluster to a bare repository on disk. [`repository`] writes one of the catalog from its
//! stored packs.
//!
//! Here is the older form, of a manifest that an import of before stored, whose objects are single
//! ones of the cluster. Objects are fetched in batches, several at a time, and written to packs of bounded
//! size without deltas: `git repack` makes them small later. A pack appears under its
//! name only when it is complete and synced, so an export that was stopped is resumed by
//! running it again: what finished packs hold, which are verified first, is not fetched again.
//!
//! Invariant: HEAD is written last. Until then Git does not take the directory for a
//! repository, and after it everything the manifest names is there, and nothing of ours is
//! written there any more.

mod claim;
mod fetch;
mod layout;
mod pack;
pub mod repository;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitstratum_cluster::client::{Client, GetError};
use gitstratum_core::limits;
use gitstratum_core::object::{CollisionDetected, ObjectId};
use gitstratum_core::replica::StoreError;
use gitstratum_git::service::RepositoryError;

use super::Progress;
use super::manifest::{Manifest, ManifestError};
use claim::Claim;

/// What an export did.
#[derive(Clone, Debug)]
pub struct ExportReport {
    /// Objects of the repository.
    pub objects: u64,
    /// Of those, held by packs that an earlier run finished.
    pub already_present: u64,
    /// Data of the others, in bytes, before compression.
    pub bytes: u64,
    /// Packs written.
    pub packs: u64,
    /// References, HEAD not counted.
    pub refs: u64,
    /// Objects that the references reach and that the repository lacked when it was imported.
    pub missing: u64,
}

/// Why an export stopped. Finished packs stay for the next run.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The directory holds something else.
    #[error("{}: {problem}", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in the way.
        problem: String,
    },
    /// The id names no manifest.
    #[error("{id} is no manifest")]
    Manifest {
        /// What was asked for.
        id: ObjectId,
        /// Why it is none.
        source: ManifestError,
    },
    /// A part of the manifest is not what the manifest says.
    #[error("list {id} of the manifest: {problem}")]
    List {
        /// The blob.
        id: ObjectId,
        /// What is wrong with it.
        problem: String,
    },
    /// An object cannot be had from the cluster, time after time.
    #[error("{}", get_failed(*attempts, source))]
    Get {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: GetError,
    },
    /// A large object broke off.
    #[error("object {id} broke off; run the export again to go on where it stopped")]
    Large {
        /// The object.
        id: ObjectId,
        /// Why.
        source: StoreError,
    },
    /// Fewer objects were written than were asked for, and nothing said why.
    #[error("{written} of {wanted} objects were written; run the export again")]
    Incomplete {
        /// Objects written.
        written: u64,
        /// Objects asked for.
        wanted: u64,
    },
    /// The cluster does not have all of it, or cannot be asked.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// An object was made to collide with another.
    #[error(transparent)]
    Collision(#[from] CollisionDetected),
    /// Writing failed.
    #[error("{doing}")]
    Write {
        /// What was written.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// That a get failed, and whether trying again is worth it: what is not there will not come.
fn get_failed(attempts: u32, error: &GetError) -> String {
    match error {
        GetError::NotFound { .. } => "the cluster does not have all of it".to_owned(),
        GetError::Unavailable { .. } => {
            format!("get failed {attempts} times; run the export again to go on where it stopped")
        }
    }
}

/// For `map_err` over file operations.
fn writing(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> ExportError {
    let doing = doing.into();
    move |source| ExportError::Write { doing, source }
}

/// Rebuilds at `dir` the repository that the manifest `id` names.
///
/// # Errors
/// [`ExportError`].
pub async fn export(
    client: &Client,
    id: ObjectId,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<ExportReport, ExportError> {
    {
        let dir = dir.to_owned();
        blocking(move || claim::check_free(&dir, &id.to_string())).await?;
    }
    let text = fetch::blob(client, id, limits::MANIFEST_BYTES_MAX as u64).await?;
    let manifest = Manifest::parse(&text).map_err(|source| ExportError::Manifest { id, source })?;
    drop(text);
    let manifest = Arc::new(manifest);
    progress.begin("exporting", manifest.objects);
    let ids = fetch::lists(client, &manifest).await?;

    let claim = {
        let dir = dir.to_owned();
        Arc::new(blocking(move || claim::claim(&dir, &id.to_string())).await?)
    };
    let fetched = if claim.is_finished() {
        progress.advance(manifest.objects, 0);
        let (claim, manifest) = (claim.clone(), manifest.clone());
        blocking(move || check_finished(&claim, &manifest, &ids)).await?;
        fetch::Fetched::default()
    } else {
        let finished = {
            let (claim, algorithm) = (claim.clone(), manifest.algorithm);
            blocking(move || {
                layout::begin(&claim)?;
                let finished = verify::finished(&claim, algorithm)?;
                verify::clear(&claim, &finished)?;
                Ok(finished.indices)
            })
            .await?
        };
        let claimed = claim.clone();
        let fetched = fetch::objects(client, &manifest, ids, finished, claimed, progress).await?;
        let (claim, manifest) = (claim.clone(), manifest.clone());
        blocking(move || layout::finish(&claim, &(&*manifest).into())).await?;
        fetched
    };
    progress.end();
    Ok(ExportReport {
        objects: manifest.objects,
        already_present: manifest.objects - fetched.objects,
        bytes: fetched.bytes,
        packs: fetched.packs,
        refs: manifest.refs.len() as u64,
        missing: manifest.missing,
    })
}

/// Makes sure that a repository which was whole is still what the manifest says. Changes nothing:
/// what is in it belongs to whoever has used it since.
fn check_finished(claim: &Claim, manifest: &Manifest, ids: &[u8]) -> Result<(), ExportError> {
    if let Some(difference) = layout::difference(claim, manifest)? {
        return Err(claim.occupied(format!(
            "it is an export that was finished and has changed since ({difference}); it was left \
             as it is: export to another directory"
        )));
    }
    let finished = verify::finished(claim, manifest.algorithm)?;
    match fetch::lacking(ids, manifest.algorithm, &finished.indices) {
        0 => Ok(()),
        lacking => {
            let of_packs = finished.unsound.iter();
            let of_packs =
                of_packs.map(|(path, problem)| format!("; {}: {problem}", path.display()));
            Err(claim.occupied(format!(
                "it is an export that was finished, and the packs of that lack {lacking} objects \
                 by now{}; it was left as it is: export to another directory",
                of_packs.collect::<String>()
            )))
        }
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExportError> + Send + 'static,
) -> Result<T, ExportError> {
    tokio::task::spawn_blocking(work).await.expect("work that blocks does not panic")
}
