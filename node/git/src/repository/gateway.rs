//! Gateway: the repositories of the catalog as Git's protocol asks for them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use gitstratum_catalog::command::CreateRepository;
use gitstratum_catalog::entity::{Repository as Described, RepositoryLimits};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_catalog::secret::has_secret;
use gitstratum_catalog::{CatalogError, Operation};
use gitstratum_core::limits;
use gitstratum_core::metrics::Registry;
use gitstratum_core::object::HashAlgorithm;
use gitstratum_host::unix_time_ms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;

use super::numbers::{self, Transferred};
use super::objects::Reading;
use super::opened::OpenedRepository;
use super::stored::PackOpener;
use super::whole::WholeRepository;
use crate::cache::Cache;
use crate::chunk::{ChunkReader, ChunkStore};
use crate::fsck::Policy;
use crate::names::{CommandError, Names};
use crate::service::{Caller, Credentials, OpenError, Purpose, Repositories, Repository};

/// How a gateway behaves.
#[derive(Clone, Debug, Default)]
pub struct GatewayOptions {
    /// Whether a push to a repository that is not there makes it.
    pub create_on_push: bool,
    /// What objects must be like.
    pub fsck: Policy,
}

/// Serves the repositories of a catalog, whose packs lie in a store of chunks.
pub struct Gateway {
    pub(super) names: Arc<dyn Names>,
    pub(super) reading: Arc<Reading>,
    pub(super) options: GatewayOptions,
    rng: Mutex<ChaCha12Rng>,
}

/// A gateway as the protocol uses it. Cheap to clone.
#[derive(Clone)]
pub struct Served(Arc<Gateway>);

impl Gateway {
    /// A gateway; `rng` draws the ids of packs.
    pub fn serve(
        names: Arc<dyn Names>,
        chunks: Arc<dyn ChunkStore>,
        options: GatewayOptions,
        rng: ChaCha12Rng,
    ) -> Served {
        let chunks = Arc::new(ChunkReader::new(chunks, limits::GATEWAY_CHUNK_CACHE_BYTES));
        let reading = Reading {
            packs: PackOpener::new(chunks.clone(), limits::GATEWAY_META_CACHE_BYTES),
            chunks,
            decoded: Cache::new(limits::GATEWAY_OBJECT_CACHE_BYTES),
            transferred: Transferred::default(),
        };
        Served(Arc::new(Gateway {
            names,
            reading: Arc::new(reading),
            options,
            rng: Mutex::new(rng),
        }))
    }

    /// An id for a new pack: when it was made, and then what was drawn.
    pub(super) fn draw_pack_id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut id);
        id[..8].copy_from_slice(&unix_time_ms().to_be_bytes());
        id
    }

    async fn find(&self, name: &str) -> Result<Option<(RepositoryId, Arc<Described>)>, OpenError> {
        let found = self.names.find(name).await;
        found.map_err(|error| OpenError::Unavailable(error.to_string()))
    }

    /// Makes the repository that is pushed to.
    async fn create(&self, name: &str, who: &str) -> Result<(), OpenError> {
        let create = CreateRepository {
            name: name.to_owned(),
            object_format: HashAlgorithm::Sha1,
            default_branch: "refs/heads/main".to_owned(),
            description: String::new(),
            limits: RepositoryLimits::default(),
            hidden_refs: Vec::new(),
        };
        match self.names.command(who, Operation::CreateRepository(create)).await {
            // Somebody else was quicker.
            Ok(_) | Err(CommandError::Refused(CatalogError::RepositoryExists { .. })) => Ok(()),
            Err(CommandError::Refused(refused)) => Err(OpenError::Forbidden(refused.to_string())),
            Err(error) => Err(OpenError::Unavailable(error.to_string())),
        }
    }
}

/// On whose behalf a caller's commands are, as reflogs tell it.
fn who(caller: &Caller) -> String {
    if let Some(identity) = &caller.identity {
        return identity.clone();
    }
    match &caller.credentials {
        // Reflogs are read by many, and a secret stands where a name should more often than not.
        Credentials::Given { user, .. } if !user.is_empty() && !has_secret(user) => user.clone(),
        _ => format!("git@{}", caller.address),
    }
}

impl Served {
    /// All of a repository, for whoever copies or checks everything.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn whole(&self, name: &str) -> Result<WholeRepository, OpenError> {
        let Served(gateway) = self;
        let Some((id, described)) = gateway.find(name).await? else {
            return Err(OpenError::NotFound { name: name.to_owned() });
        };
        let opened = WholeRepository::open(gateway.clone(), id, described).await;
        opened.map_err(|error| OpenError::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl Repositories for Served {
    async fn open(
        &self,
        name: &str,
        purpose: Purpose,
        caller: &Caller,
    ) -> Result<Arc<dyn Repository>, OpenError> {
        let Served(gateway) = self;
        if let Err(reason) = RepositoryName::parse(name) {
            return Err(OpenError::InvalidName {
                name: name.to_owned(),
                reason: reason.to_string(),
            });
        }
        let who = who(caller);
        let mut found = gateway.find(name).await?;
        if found.is_none() && purpose == Purpose::Push && gateway.options.create_on_push {
            gateway.create(name, &who).await?;
            found = gateway.find(name).await?;
        }
        let Some((id, described)) = found else {
            return Err(OpenError::NotFound { name: name.to_owned() });
        };
        Ok(Arc::new(OpenedRepository::new(gateway.clone(), id, described, who)))
    }

    fn register(&self, registry: &mut Registry) {
        numbers::register(registry, &self.0.reading);
    }
}
