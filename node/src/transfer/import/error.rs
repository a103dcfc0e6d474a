//! Import errors.
//!
//! Why an import stops.

use std::path::PathBuf;

use gitstratum_cluster::client::PutError;
use gitstratum_core::object::{CollisionDetected, ObjectId};

use super::send::can_pass;
use crate::transfer::manifest::ManifestError;

/// A cause of whatever sort.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an import stopped. What was stored stays stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The repository cannot be opened.
    #[error("{}: cannot be opened as a Git repository", path.display())]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// Something of the repository, other than an object, cannot be read.
    #[error("{doing}")]
    Read {
        /// What was read.
        doing: String,
        /// Why it failed.
        source: Cause,
    },
    /// The repository is of a sort that cannot be imported whole.
    #[error("{}: {problem}", path.display())]
    Unsupported {
        /// The repository.
        path: PathBuf,
        /// What it has or lacks, and what to do.
        problem: String,
    },
    /// The repository lacks what its references reach.
    #[error("{}: {problem}", path.display())]
    Incomplete {
        /// The repository.
        path: PathBuf,
        /// What is missing, and what to do.
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
        source: Cause,
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
    /// No manifest can hold the repository.
    #[error("{}: its references cannot be stored so that they can be exported", path.display())]
    Manifest {
        /// The repository.
        path: PathBuf,
        /// Which cannot, and why.
        source: ManifestError,
    },
    /// Too few replicas took an object, time after time.
    #[error("{}", put_failed(*attempts, source))]
    Put {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: PutError,
    },
}

/// That a put failed, and whether trying again is worth it.
fn put_failed(attempts: u32, error: &PutError) -> String {
    match can_pass(error) {
        true => {
            format!("put failed {attempts} times; run the import again to go on where it stopped")
        }
        false => "a put was refused".to_owned(),
    }
}

impl ImportError {
    /// For an object that cannot be decoded or is damaged, which another copy of it may make good:
    /// its id and where it was read.
    pub(super) fn unsound_copy(&self) -> Option<(ObjectId, &PathBuf)> {
        match self {
            ImportError::Object { id, path, .. } | ImportError::Damaged { id, path, .. } => {
                Some((*id, path))
            }
            _ => None,
        }
    }
}

/// For `map_err` over what is read.
pub(super) fn reading<E: Into<Cause>>(doing: impl Into<String>) -> impl FnOnce(E) -> ImportError {
    let doing = doing.into();
    move |source| ImportError::Read { doing, source: source.into() }
}
