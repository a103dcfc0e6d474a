//! Advice: what whoever sent a refused command can do.

use super::CatalogError;

/// What whoever sent a refused command can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advice {
    /// Read what is there now, and send another command that goes by it.
    ReadAgain,
    /// The command itself is wrong, whatever is there: change it.
    Fix,
    /// Do first what the refusal says, or wait for it, then send the command anew.
    Later,
}

impl CatalogError {
    /// What whoever sent the command can do.
    pub fn advice(&self) -> Advice {
        match self {
            CatalogError::RepositoryExists { .. }
            | CatalogError::RepositoryConflict { .. }
            | CatalogError::NoRepository { .. }
            | CatalogError::RepositoryDeleted { .. }
            | CatalogError::RepositoryNotDeleted { .. }
            | CatalogError::UndeleteTooLate { .. }
            | CatalogError::RefMoved { .. }
            | CatalogError::RefConflict { .. }
            | CatalogError::AtomicAborted
            | CatalogError::Generation { .. }
            | CatalogError::PackExists { .. }
            | CatalogError::LayoutVersion { .. }
            | CatalogError::NoNode { .. }
            | CatalogError::NodeTransition { .. }
            | CatalogError::NoToken { .. }
            | CatalogError::NotBeingRestored { .. } => Advice::ReadAgain,
            CatalogError::PurgeTooEarly { .. }
            | CatalogError::LayoutLosesReplicas { .. }
            | CatalogError::NodeInLayout { .. }
            | CatalogError::LastVoter { .. }
            | CatalogError::PackExpired { .. }
            | CatalogError::RestoreUnderWay { .. }
            | CatalogError::FeatureOff { .. } => Advice::Later,
            _ => Advice::Fix,
        }
    }
}
