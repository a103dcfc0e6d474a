//! Controls that are hasty.
//!
//! A Git gateway of the testbed's own, made of the product's parts, that leaves out one wait of a
//! push: for its command to be committed before the client is told, or for its chunks to be on W
//! replicas before the command names them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum::catalog::{Failed, GROUP, Participant};
use gitstratum_catalog::entity::Repository;
use gitstratum_catalog::ids::{ClientId, RepositoryId};
use gitstratum_catalog::{Command, Operation, Outcome, Reply, Request, State};
use gitstratum_cluster::client::{Client, Got};
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::trace::RequestIds;
use gitstratum_git::chunk::ChunkStore;
use gitstratum_git::http::GitServer;
use gitstratum_git::names::{CommandError, Names, Packs, packs_of, refs_of};
use gitstratum_git::repository::{Gateway, GatewayOptions};
use gitstratum_git::service::{Refs, RepositoryError};
use gitstratum_host::net::Listener;
use gitstratum_host::unix_time_ms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tokio::time::{Instant, sleep};

/// So long after they were called stored, chunks are sent to their replicas.
const WRITTEN_AFTER: Duration = Duration::from_millis(50);
/// A command whose answer is lost is asked again for so long, this often.
const ASKED_AGAIN_FOR: Duration = Duration::from_secs(30);
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a gateway does not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// That the command of a push is committed, before its client is told what it comes to.
    ReportBeforeCommit,
    /// That W replicas have the chunks of a push, before its command names them.
    CommitBeforeW,
}

/// Such a gateway, on one node.
pub struct HastyGateway {
    /// What it does not wait for.
    pub haste: Haste,
    /// Its part in the catalog.
    pub participant: Arc<Participant>,
    /// Where chunks go.
    pub client: Client,
    /// Draws the ids of packs and of who asks.
    pub rng: ChaCha12Rng,
}

impl HastyGateway {
    /// Serves Git clients; never ends.
    pub async fn serve(self, listener: Listener) {
        let HastyGateway { haste, participant, client, mut rng } = self;
        let names = HastyNames {
            participant,
            reports_early: haste == Haste::ReportBeforeCommit,
            rng: Mutex::new(ChaCha12Rng::from_rng(&mut rng)),
        };
        let chunks = HastyChunks { client, writes_behind: haste == Haste::CommitBeforeW };
        let options = GatewayOptions { create_on_push: true, ..GatewayOptions::default() };
        let served = Gateway::serve(Arc::new(names), Arc::new(chunks), options, rng);
        GitServer::new(Arc::new(served), RequestIds::default())
            .run(listener, std::future::pending())
            .await;
    }
}

/// The catalog, of which a push is told what it would come to.
struct HastyNames {
    participant: Arc<Participant>,
    reports_early: bool,
    rng: Mutex<ChaCha12Rng>,
}

impl HastyNames {
    async fn read<T>(&self, look: impl FnOnce(&State) -> T + Send) -> Result<T, RepositoryError> {
        let read = self.participant.read(limits::CATALOG_REQUEST_TIMEOUT, look).await;
        read.map_err(|failed| RepositoryError::Unavailable(failed.to_string()))
    }

    /// A command like no other.
    fn new_command(&self, who: &str, operation: Operation) -> Command {
        let mut id = [0; 16];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut id);
        let request = Request { client: ClientId(id), number: 1 };
        Command { group: GROUP, request, at_ms: unix_time_ms(), who: who.to_owned(), operation }
    }

    /// What a command comes to if no other is committed before it.
    async fn foreseen(&self, command: Command) -> Result<Reply, RepositoryError> {
        self.read(move |state| {
            let mut state = state.clone();
            state.apply(state.position() + 1, command)
        })
        .await
    }
}

#[async_trait]
impl Names for HastyNames {
    async fn find(
        &self,
        name: &str,
    ) -> Result<Option<(RepositoryId, Arc<Repository>)>, RepositoryError> {
        let find = |state: &State| {
            state.repository_named(name).map(|(id, repository)| (id, repository.clone()))
        };
        self.read(find).await
    }

    async fn refs(&self, repository: RepositoryId) -> Result<Refs, RepositoryError> {
        self.read(|state| refs_of(state, repository)).await?
    }

    async fn packs(&self, repository: RepositoryId) -> Result<Packs, RepositoryError> {
        self.read(|state| packs_of(state, repository)).await?
    }

    async fn command(&self, who: &str, operation: Operation) -> Result<Outcome, CommandError> {
        let command = self.new_command(who, operation);
        if !self.reports_early || !matches!(command.operation, Operation::Push(_)) {
            return committed(&self.participant, &command).await;
        }
        let foreseen = self.foreseen(command.clone()).await;
        let foreseen = foreseen.map_err(|error| CommandError::NotDone(error.to_string()))?;
        let participant = self.participant.clone();
        tokio::spawn(async move {
            // Whatever comes of it, the client was told already.
            let _ = committed(&participant, &command).await;
        });
        foreseen.into_result().map_err(CommandError::Refused)
    }
}

/// Has a command committed, and asks again where its answer is lost.
async fn committed(participant: &Participant, command: &Command) -> Result<Outcome, CommandError> {
    let began = Instant::now();
    let mut may_be_done = false;
    loop {
        match participant.command(command, limits::CATALOG_REQUEST_TIMEOUT).await {
            Ok(reply) => return reply.into_result().map_err(CommandError::Refused),
            Err(Failed::NotDone(reason)) if !may_be_done => {
                return Err(CommandError::NotDone(reason));
            }
            Err(failed) if began.elapsed() >= ASKED_AGAIN_FOR => {
                return Err(CommandError::Unknown(failed.to_string()));
            }
            Err(_) => {
                may_be_done = true;
                sleep(ASKED_AGAIN_AFTER).await;
            }
        }
    }
}

/// Chunks by quorum, or written behind the back of whoever puts them.
struct HastyChunks {
    client: Client,
    writes_behind: bool,
}

#[async_trait]
impl ChunkStore for HastyChunks {
    async fn put(&self, chunk: Object) -> Result<(), RepositoryError> {
        if !self.writes_behind {
            let put = self.client.put(chunk).await;
            return put.map(drop).map_err(|error| RepositoryError::Unavailable(error.to_string()));
        }
        let client = self.client.clone();
        tokio::spawn(async move {
            sleep(WRITTEN_AFTER).await;
            // Whatever comes of it, it was called stored already.
            let _ = client.put(chunk).await;
        });
        Ok(())
    }

    async fn get(&self, id: ObjectId) -> Result<Bytes, RepositoryError> {
        match self.client.get(id).await {
            Ok(Got::Object(chunk)) => Ok(chunk.data().clone()),
            Ok(Got::Large(_)) => Err(RepositoryError::Damaged(format!("{id} is no chunk"))),
            Err(error) => Err(RepositoryError::Unavailable(error.to_string())),
        }
    }
}
