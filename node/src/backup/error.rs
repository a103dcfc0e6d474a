//! Why a backup or a restore did not come to its end, and what to do then.

use std::io;
use std::path::{Path, PathBuf};

use gitstratum_cluster::client::{GetError, PutError};
use gitstratum_core::object::ObjectId;
use gitstratum_git::service::RepositoryError;

use crate::catalog::CallError;

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory is not what it has to be.
    #[error("{}: {problem}", path.display())]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What it is instead, and what to do.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was done with it, such as "writing".
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no room.
    #[error(
        "writing {}: the file system is full: make room there, or have `gitstratum backup prune` \
         forget old positions, and give the command again: what it has written so far stays",
        path.display()
    )]
    Full {
        /// What was written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The catalog has no answer, or refuses.
    #[error("the catalog: {0}")]
    Catalog(#[from] CallError),
    /// What the catalog answers as its text is none.
    #[error("the catalog as text, line {line}: {problem}")]
    Text {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Other nodes answered each time, which have other states.
    #[error("the nodes change too fast for the catalog to be read: give the command again")]
    Changing,
    /// What a pack needs cannot be had.
    #[error(
        "pack {pack} of {repository} cannot be read: give the command again, which takes the catalog \
         as it is then; if this comes again, `gitstratum repo verify {repository}` says what is wrong"
    )]
    Pack {
        /// Which.
        pack: String,
        /// Whose.
        repository: String,
        /// Why.
        source: RepositoryError,
    },
    /// A chunk cannot be had from the cluster.
    #[error("give the command again: it goes on where it was")]
    Get {
        /// Why.
        source: GetError,
    },
    /// A chunk cannot be given to the cluster.
    #[error("nothing has a name yet; give the command again: it goes on where it was")]
    Put {
        /// Why.
        source: PutError,
    },
    /// Fewer replicas than W have a chunk that each acknowledged.
    #[error(
        "object {id} was stored, and {holders} replicas have it: see `gitstratum status`, and give the \
         command again"
    )]
    Lost {
        /// Which.
        id: ObjectId,
        /// How many.
        holders: usize,
    },
    /// What was asked for is not there, or is in the way.
    #[error("{0}")]
    Refused(String),
}

/// For `map_err` over file operations.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BackupError::Full { path, source }
        }
        _ => BackupError::File { doing, path, source },
    }
}
