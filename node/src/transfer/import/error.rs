//! Why an import stopped.

use std::path::PathBuf;

use gitstratum_core::object::HashAlgorithm;
use gitstratum_git::pack::PackError;
use gitstratum_git::service::RepositoryError;

use super::super::push::PushError;
use crate::abridge::in_one_line;

/// Why an import stopped. What was acknowledged stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no repository that can be read.
    #[error("{} is no Git repository that can be read", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: Box<gix::Error>,
    },
    /// It has what cannot be stored.
    #[error("{}: {problem}", path.display())]
    Unsupported {
        /// Which repository.
        path: PathBuf,
        /// What that is, and what can be done.
        problem: String,
    },
    /// Something of it cannot be read.
    #[error("reading {what}")]
    Read {
        /// What.
        what: String,
        /// Why not.
        source: Box<gix::Error>,
    },
    /// An object of it is not where it was, or is not what its pack says.
    #[error("{what}; if the repository was repacked meanwhile, run the import again")]
    Object {
        /// Which, and what is wrong.
        what: String,
    },
    /// A pack of it contradicts itself.
    #[error("a pack of the repository cannot be sent")]
    Pack(#[from] PackError),
    /// The cluster's repository has another hash.
    #[error(
        "it has {theirs:?} ids, and the repository in the cluster {ours:?}: another name would do"
    )]
    ObjectFormat {
        /// Of the repository on disk.
        theirs: HashAlgorithm,
        /// Of the one in the cluster.
        ours: HashAlgorithm,
    },
    /// Refs in the cluster point to what the repository on disk has never seen.
    #[error(
        "the cluster has what this repository does not: {}; fetch it first, or say --force to point \
         these refs elsewhere",
        in_one_line(.0)
    )]
    Diverged(Vec<String>),
    /// The cluster's refs cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A push did not do all that it was to do.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Afterwards refs are not what they should be: somebody else pushed meanwhile.
    #[error("refs were changed by somebody else meanwhile: {}; run the import again", in_one_line(.0))]
    Changed(Vec<String>),
}

pub(super) fn reading(what: impl Into<String>) -> impl FnOnce(gix::Error) -> ImportError {
    let what = what.into();
    move |source| ImportError::Read { what, source: Box::new(source) }
}
