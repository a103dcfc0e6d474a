//! Pointing `HEAD` of a repository in the cluster.

use async_trait::async_trait;
use gitstratum_catalog::Operation;
use gitstratum_catalog::command::{ConfigureRepository, Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_git::service::{Head, RepositoryError};

/// Can point `HEAD` of one repository elsewhere, which a push cannot.
#[async_trait]
pub trait PointHead: Send + Sync {
    /// Points it there.
    ///
    /// # Errors
    /// [`RepositoryError::Refused`] or [`RepositoryError::Unavailable`].
    async fn point_head(&self, head: &Head) -> Result<(), RepositoryError>;
}

/// The command that does it, for a repository at this generation.
pub(crate) fn pointing(repository: RepositoryId, generation: u64, head: &Head) -> Operation {
    match head {
        Head::Branch(branch) => Operation::ConfigureRepository(ConfigureRepository {
            repository,
            default_branch: Some(branch.clone()),
            description: None,
            limits: None,
            hidden_refs: None,
        }),
        Head::Detached(id) => Operation::Push(Push {
            repository,
            generation,
            atomic: false,
            may_update_hidden: false,
            updates: vec![RefUpdate {
                name: "HEAD".to_owned(),
                expected: Expected::Any,
                new: NewTarget::Object { id: *id, peeled: None },
            }],
            packs: Vec::new(),
            message: "import".to_owned(),
        }),
    }
}
