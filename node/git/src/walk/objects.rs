//! Object access of a walk.
//!
//! Every question is asked for many objects at once. A call through a trait object costs an
//! allocation, and one that needs a disk or another machine costs far more: asked for all blobs of
//! a tree, for all parents of a commit or for the next trees together, both are paid once. So
//! there is one shape for what lies in memory and for what has to be fetched, and whoever
//! implements it need not say which is which.

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits::BATCH_OBJECTS_MAX;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHead, ObjectId};

use crate::service::RepositoryError;

/// What a walk has to know of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitNode {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, in order.
    pub parents: Vec<ObjectId>,
    /// When it was committed, in seconds since 1970.
    pub committed_at: u64,
    /// One more than the greatest of its parents', 1 where it has none; nothing where that is not
    /// known. A walk is exact where all are known, and stops sooner.
    pub generation: Option<u32>,
}

/// The objects of a repository, as a walk reads them.
///
/// No call is for more than [`BATCH_OBJECTS_MAX`] objects or for none, and answers are in the
/// order of the ids. What the repository does not have is answered with nothing; it is an error
/// only when that cannot be said.
#[async_trait]
pub trait Objects: Send + Sync {
    /// The hash of all ids.
    fn algorithm(&self) -> HashAlgorithm;

    /// What these objects are, and how large.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Damaged`].
    async fn heads(&self, ids: &[ObjectId]) -> Result<Vec<Option<ObjectHead>>, RepositoryError>;

    /// What these commits say; nothing also for objects of another kind. Asked for every commit
    /// that is walked over, so it should not take reading them.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Damaged`].
    async fn commits(&self, ids: &[ObjectId]) -> Result<Vec<Option<CommitNode>>, RepositoryError>;

    /// The kind and data of these objects, which are trees or tags: of the first of them, and of
    /// as many that follow it as are at hand. The answer may be shorter than the list, never
    /// empty; so an implementation bounds by itself what it holds at once.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Damaged`].
    async fn read(&self, ids: &[ObjectId]) -> Result<Vec<Option<(Kind, Bytes)>>, RepositoryError>;
}

/// As [`Objects::heads`], for any number of objects.
pub(super) async fn heads<O: Objects + ?Sized>(
    objects: &O,
    ids: &[ObjectId],
) -> Result<Vec<Option<ObjectHead>>, RepositoryError> {
    let mut all = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH_OBJECTS_MAX) {
        let answer = objects.heads(batch).await?;
        assert_eq!(answer.len(), batch.len(), "one answer for each object");
        all.extend(answer);
    }
    Ok(all)
}

/// As [`Objects::commits`], for any number of commits.
pub(super) async fn commits<O: Objects + ?Sized>(
    objects: &O,
    ids: &[ObjectId],
) -> Result<Vec<Option<CommitNode>>, RepositoryError> {
    let mut all = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH_OBJECTS_MAX) {
        let answer = objects.commits(batch).await?;
        assert_eq!(answer.len(), batch.len(), "one answer for each commit");
        all.extend(answer);
    }
    Ok(all)
}

/// Something needs an object that is not there.
pub(super) fn lacking(
    kind: Kind,
    owner: ObjectId,
    needs: impl std::fmt::Display,
    id: ObjectId,
) -> RepositoryError {
    RepositoryError::Damaged(format!("{kind} {owner} needs {needs} {id}, which is not there"))
}

/// An object cannot be read as what it is.
pub(super) fn unreadable(id: ObjectId, malformed: &crate::object::Malformed) -> RepositoryError {
    RepositoryError::Damaged(format!("object {id}: {malformed}"))
}
