//! Catalog access for Git: which repositories there are, where their refs point, and how that
//! changes.

use async_trait::async_trait;
use gitstratum_catalog::{CatalogError, Operation, Outcome, State};

use crate::service::RepositoryError;

/// Why the catalog did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// It was refused, and nothing changed.
    #[error("{0}")]
    Refused(CatalogError),
    /// It was not done: too few nodes answer.
    #[error("{0}")]
    NotDone(String),
    /// It may have been done, or not.
    #[error("whether it was done is not known: {0}")]
    Unknown(String),
}

/// The catalog as a gateway needs it.
#[async_trait]
pub trait Names: Send + Sync {
    /// The state with all that was acknowledged before this was called. Cheap: what did not change
    /// is shared with the next one.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`].
    async fn state(&self) -> Result<State, RepositoryError>;

    /// Has something done on behalf of `who`, once, however often it must be asked.
    ///
    /// # Errors
    /// [`CommandError`].
    async fn command(&self, who: &str, operation: Operation) -> Result<Outcome, CommandError>;
}
