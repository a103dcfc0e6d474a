//! Opened repository: what one caller does with it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_catalog::entity::Repository as Described;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use tokio::sync::OnceCell;

use super::gateway::Gateway;
use super::objects::RepositoryObjects;
use super::receive::receive;
use super::upload::upload;
use crate::service::{
    Depth, PackBody, PackRequest, PackSink, ProgressSink, PushOutcome, PushRequest, Refs,
    Repository, RepositoryError, Shallow,
};
use crate::walk;

/// A repository that a caller may use.
pub(super) struct OpenedRepository {
    pub(super) gateway: Arc<Gateway>,
    pub(super) id: RepositoryId,
    pub(super) described: Arc<Described>,
    /// On whose behalf.
    pub(super) who: String,
    /// Its objects as the questions of a fetch find them: those of one request are answered from one
    /// moment, for which the catalog is asked once.
    fetched: OnceCell<RepositoryObjects>,
}

impl fmt::Debug for OpenedRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.described.name, self.id)
    }
}

impl OpenedRepository {
    /// A repository that is used on somebody's behalf.
    pub(super) fn new(
        gateway: Arc<Gateway>,
        id: RepositoryId,
        described: Arc<Described>,
        who: String,
    ) -> Self {
        OpenedRepository { gateway, id, described, who, fetched: OnceCell::new() }
    }

    /// Its objects, with all that was pushed before the first question of this request.
    async fn fetched(&self) -> Result<&RepositoryObjects, RepositoryError> {
        self.fetched.get_or_try_init(|| self.objects()).await
    }

    /// Its objects, with all that was pushed before.
    pub(super) async fn objects(&self) -> Result<RepositoryObjects, RepositoryError> {
        let packs = self.gateway.names.packs(self.id).await?;
        RepositoryObjects::open(self.described.object_format, packs, &self.gateway.reading).await
    }
}

#[async_trait]
impl Repository for OpenedRepository {
    fn object_format(&self) -> HashAlgorithm {
        self.described.object_format
    }

    async fn refs(&self) -> Result<Refs, RepositoryError> {
        self.gateway.names.refs(self.id).await
    }

    async fn contains(&self, ids: &[ObjectId]) -> Result<Vec<bool>, RepositoryError> {
        let objects = self.fetched().await?;
        Ok(ids.iter().map(|id| objects.locate(id).is_some()).collect())
    }

    async fn is_ready(
        &self,
        wants: &[ObjectId],
        common: &[ObjectId],
    ) -> Result<bool, RepositoryError> {
        walk::is_ready(self.fetched().await?, wants, common).await
    }

    async fn deepen(
        &self,
        wants: &[ObjectId],
        client_shallow: &[ObjectId],
        depth: &Depth,
    ) -> Result<Shallow, RepositoryError> {
        let refs = self.refs().await?;
        let find = |name: &str| {
            let full = [
                name.to_owned(),
                format!("refs/{name}"),
                format!("refs/tags/{name}"),
                format!("refs/heads/{name}"),
            ];
            let named = |full: &String| {
                let at = refs.refs.binary_search_by(|found| found.name.as_str().cmp(full)).ok()?;
                Some(refs.refs[at].id)
            };
            full.iter().find_map(named).or_else(|| name.parse().ok())
        };
        walk::deepen(self.fetched().await?, wants, client_shallow, depth, find).await
    }

    async fn pack(
        &self,
        request: PackRequest,
        sink: &mut dyn PackSink,
    ) -> Result<(), RepositoryError> {
        let tags = match request.include_tag {
            true => self.refs().await?.refs,
            false => Vec::new(),
        };
        let objects = self.fetched().await?;
        // One that was pushed since is not among them.
        let tags = tags.iter().filter_map(|tag| Some((tag.id, tag.peeled?)));
        let tags: Vec<_> = tags.filter(|(tag, _)| objects.locate(tag).is_some()).collect();
        upload(objects, &request, &tags, sink).await
    }

    async fn push(
        &self,
        request: PushRequest,
        pack: Option<PackBody>,
        progress: &mut dyn ProgressSink,
    ) -> Result<PushOutcome, RepositoryError> {
        receive(self, request, pack, progress).await
    }
}
