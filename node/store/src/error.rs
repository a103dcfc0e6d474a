//! Errors of opening, and what an error of the disk means.

use gitstratum_core::format::NewerFormat;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::is_exhausted;

/// Why a store could not be opened. The disk is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory is in use by another process")]
    InUse,
    /// It holds another node's data.
    #[error("the data directory belongs to node {owner}, not to {ours}")]
    OtherNode {
        /// Whose it is.
        owner: NodeId,
        /// Who we are.
        ours: NodeId,
    },
    /// A newer version of the program wrote a file.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// A file is not what its name says.
    #[error("{path} is damaged at its beginning")]
    Damaged {
        /// The file.
        path: String,
    },
    /// There is no store, and something else, around which none is made.
    #[error(
        "a new store is made in an empty or a new directory only, and this one has {found} and no \
         file named {missing}; name another directory, or move what is there away"
    )]
    Foreign {
        /// What was found, by name.
        found: String,
        /// What every data directory has.
        missing: String,
    },
    /// There is no store at all.
    #[error("this is no data directory: it has no file named {missing}")]
    NoStore {
        /// What every data directory has.
        missing: String,
    },
    /// A file that no store makes.
    #[error("{path} is none of this program's files")]
    Stranger {
        /// The file.
        path: String,
    },
    /// The disk failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// [`OpenError::Io`] of a step and the path that it was about.
pub(crate) fn io_error(doing: &str, path: &str) -> impl FnOnce(std::io::Error) -> OpenError {
    let doing = format!("{doing} {path}");
    move |source| OpenError::Io { doing, source }
}

/// A failed read.
pub(crate) fn read_failed(path: &str, error: &std::io::Error) -> StoreError {
    if is_exhausted(error) {
        return StoreError::Overloaded { reason: error.to_string() };
    }
    let (doing, reason) = (format!("read {path}"), error.to_string());
    StoreError::Io { doing, reason, kind: error.kind() }
}
