//! Catalog access for Git: which repositories there are, where their refs point, what packs they
//! have, and how that changes.
//!
//! Every answer has all that was acknowledged before it was asked for.

mod state;

use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_catalog::entity::{Pack, Repository};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::{CatalogError, Operation, Outcome};

use crate::service::{Refs, RepositoryError};

pub use state::{packs_of, refs_of, visible_refs};

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

/// The packs of a repository.
#[derive(Clone, Debug)]
pub struct Packs {
    /// Grows when objects are dropped: what was proved of these packs holds in this generation.
    pub generation: u64,
    /// In the order in which they were made.
    pub packs: Vec<Arc<Pack>>,
}

/// The catalog as a gateway needs it.
#[async_trait]
pub trait Names: Send + Sync {
    /// The live repository of this name.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`].
    async fn find(
        &self,
        name: &str,
    ) -> Result<Option<(RepositoryId, Arc<Repository>)>, RepositoryError>;

    /// The visible refs of a repository, all as they were at one moment.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`], or [`RepositoryError::Refused`] when it was deleted.
    async fn refs(&self, repository: RepositoryId) -> Result<Refs, RepositoryError>;

    /// The packs of a repository.
    ///
    /// # Errors
    /// As [`Names::refs`].
    async fn packs(&self, repository: RepositoryId) -> Result<Packs, RepositoryError>;

    /// Has something done on behalf of `who`, once, however often it must be asked.
    ///
    /// # Errors
    /// [`CommandError`].
    async fn command(&self, who: &str, operation: Operation) -> Result<Outcome, CommandError>;
}
