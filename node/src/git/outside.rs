//! Git gateway outside of the cluster: a program that is no node reads and writes repositories by
//! itself.
//!
//! It asks the catalog through whichever node answers, and is its own coordinator for chunks, as it is
//! for objects. What is pushed through it goes the way of any push.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use gitstratum_catalog::entity::{Pack, Ref, Repository};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RefName;
use gitstratum_catalog::{Answer, CatalogError, Operation, Outcome, Query};
use gitstratum_cluster::client::{CatalogError as AskError, Client};
use gitstratum_core::limits;
use gitstratum_git::names::{CommandError, Names, Packs, visible_refs};
use gitstratum_git::repository::whole::ChunkCheck;
use gitstratum_git::repository::{Gateway, GatewayOptions, Served};
use gitstratum_git::service::{Refs, RepositoryError};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::chunks::ClusterChunks;
use crate::catalog::{CallError, CatalogClient};

/// How often a command is sent again of which nobody knows whether it was done.
const REPEATS: usize = 5;
/// How often a list that changes from page to page is read from its beginning.
const READINGS_MAX: usize = 8;

/// A gateway of one's own to a cluster.
pub struct Outside {
    /// Its repositories.
    pub served: Served,
    /// Who asks each replica of a chunk.
    pub chunks: Arc<dyn ChunkCheck>,
}

/// Opens one; commands are on behalf of `who`, and `rng` seeds what draws ids.
pub fn gateway(client: Client, who: &str, rng: &mut ChaCha12Rng) -> Outside {
    let catalog = CatalogClient::new(client.clone(), who, rng);
    let names = RemoteNames { catalog: tokio::sync::Mutex::new(catalog), found: Mutex::default() };
    let chunks = Arc::new(ClusterChunks(client));
    let rng = ChaCha12Rng::from_rng(rng);
    let served = Gateway::serve(Arc::new(names), chunks.clone(), GatewayOptions::default(), rng);
    Outside { served, chunks }
}

/// The catalog, asked from afar.
struct RemoteNames {
    /// It has one command under way at a time.
    catalog: tokio::sync::Mutex<CatalogClient>,
    /// Repositories that were found by name: which refs they hide.
    found: Mutex<BTreeMap<RepositoryId, Arc<Repository>>>,
}

fn unavailable(error: CallError) -> RepositoryError {
    match error {
        CallError::Refused(refused @ CatalogError::NoRepository { .. }) => {
            RepositoryError::Refused(refused.to_string())
        }
        error => RepositoryError::Unavailable(error.to_string()),
    }
}

fn changing(what: &str) -> RepositoryError {
    RepositoryError::Unavailable(format!(
        "the {what} of the repository changed each time they were read: try again"
    ))
}

impl RemoteNames {
    async fn ask(&self, query: &Query) -> Result<Answer, RepositoryError> {
        self.catalog.lock().await.ask(query).await.map_err(unavailable)
    }

    /// All refs of a repository, page by page, and how many pages there were.
    async fn read_refs(
        &self,
        repository: RepositoryId,
    ) -> Result<(Vec<(RefName, Ref)>, usize), RepositoryError> {
        let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let max = limits::CATALOG_PAGE_MAX as u32;
            let query = Query::Refs { repository, prefix: String::new(), after, max };
            let Answer::Refs { refs, next } = self.ask(&query).await? else {
                return Err(unavailable(CallError::Other));
            };
            all.extend(refs);
            pages += 1;
            match next {
                Some(next) => after = Some(next),
                None => return Ok((all, pages)),
            }
        }
    }

    /// All packs of a repository, as long as they are of one generation.
    async fn read_packs(&self, repository: RepositoryId) -> Result<Option<Packs>, RepositoryError> {
        let (mut all, mut after, mut first) = (Vec::<Arc<Pack>>::new(), None, None);
        loop {
            let max = limits::CATALOG_PAGE_MAX as u32;
            let query = Query::Packs { repository, after, max };
            let Answer::Packs { generation, packs, next } = self.ask(&query).await? else {
                return Err(unavailable(CallError::Other));
            };
            if *first.get_or_insert(generation) != generation {
                return Ok(None);
            }
            all.extend(packs.into_iter().map(Arc::new));
            match next {
                Some(next) => after = Some(next),
                None => return Ok(Some(Packs { generation, packs: all })),
            }
        }
    }
}

#[async_trait]
impl Names for RemoteNames {
    async fn find(
        &self,
        name: &str,
    ) -> Result<Option<(RepositoryId, Arc<Repository>)>, RepositoryError> {
        let query = Query::Repository { name: name.to_owned() };
        let Answer::Repositories { repositories, .. } = self.ask(&query).await? else {
            return Err(unavailable(CallError::Other));
        };
        Ok(repositories.into_iter().next().map(|described| {
            let (id, repository) = (described.id, Arc::new(described.repository));
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(id, repository.clone());
            (id, repository)
        }))
    }

    async fn refs(&self, id: RepositoryId) -> Result<Refs, RepositoryError> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let repository = found.ok_or_else(|| {
            RepositoryError::Refused(format!("repository {id} was not asked for by its name"))
        })?;
        let (mut refs, mut pages) = self.read_refs(id).await?;
        // Each page is of one moment; what several have in common is of one when two readings agree.
        for _ in 0..READINGS_MAX {
            if pages == 1 {
                break;
            }
            let (again, pages_again) = self.read_refs(id).await?;
            if again == refs {
                pages = 1;
                break;
            }
            (refs, pages) = (again, pages_again);
        }
        match pages {
            1 => Ok(visible_refs(&repository, refs.iter().map(|(name, held)| (name, held)))),
            _ => Err(changing("refs")),
        }
    }

    async fn packs(&self, repository: RepositoryId) -> Result<Packs, RepositoryError> {
        for _ in 0..READINGS_MAX {
            if let Some(packs) = self.read_packs(repository).await? {
                return Ok(packs);
            }
        }
        Err(changing("packs"))
    }

    async fn command(&self, who: &str, operation: Operation) -> Result<Outcome, CommandError> {
        let mut catalog = self.catalog.lock().await;
        catalog.speak_for(who);
        let done = catalog.call_repeatedly(operation, REPEATS).await;
        done.map_err(|error| match error {
            CallError::Refused(refused) => CommandError::Refused(refused),
            CallError::Asking(AskError::Unknown(reason)) => CommandError::Unknown(reason),
            CallError::Asking(error) => CommandError::NotDone(error.to_string()),
            error => CommandError::Unknown(error.to_string()),
        })
    }
}
