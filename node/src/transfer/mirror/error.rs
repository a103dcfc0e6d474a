//! Why a round of a mirror stopped.

use gitstratum_core::object::HashAlgorithm;
use gitstratum_git::service::RepositoryError;

use super::super::push::PushError;
use super::remote::RemoteError;
use crate::abridge::in_one_line;

/// Why a round of a mirror stopped. The refs that it did not come to are as they were.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The remote cannot be read.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The cluster's repository has another hash.
    #[error(
        "the remote has {theirs:?} ids, and the repository in the cluster {ours:?}: another name \
         would do"
    )]
    ObjectFormat {
        /// Of the remote.
        theirs: HashAlgorithm,
        /// Of the repository in the cluster.
        ours: HashAlgorithm,
    },
    /// Refs in the cluster point to what the remote has never seen.
    #[error(
        "the cluster has what the remote does not: {}; push it there first, choose another name, or \
         say --force to have these refs follow the remote",
        in_one_line(.0)
    )]
    Diverged(Vec<String>),
    /// The remote has lost all of its refs.
    #[error(
        "the remote has none of the refs that are followed, and --prune would delete all {0} here; \
         say --force if that is right"
    )]
    Emptied(u64),
    /// The cluster's refs cannot be read, or its `HEAD` not be pointed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A push did not do all that it was to do.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Refs have names that cannot be kept; all others are there.
    #[error("the names of refs are not UTF-8, and cannot be stored: {}", in_one_line(.0))]
    Names(Vec<String>),
}
