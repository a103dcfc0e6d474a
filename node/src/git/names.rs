//! The catalog of this node, as Git requests use it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_catalog::entity::Repository;
use gitstratum_catalog::ids::{ClientId, RepositoryId};
use gitstratum_catalog::{Command, Operation, Outcome, Reply, Request, State};
use gitstratum_core::limits;
use gitstratum_git::names::{CommandError, Names, Packs, packs_of, refs_of};
use gitstratum_git::service::{Refs, RepositoryError};
use gitstratum_host::unix_time_ms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use tokio::time::Instant;

use crate::catalog::{Failed, GROUP, Participant};

/// A command whose answer is lost is asked again for so long, until it is said that nobody knows
/// what became of it.
const ASKED_AGAIN_FOR: Duration = Duration::from_secs(30);
/// Between two attempts.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Commands through the node's own part in the catalog.
pub(super) struct NodeNames {
    participant: Arc<Participant>,
    /// Callers that have no command under way, each with the number of its last one. There are as
    /// many as there ever were commands at once.
    idle: Mutex<Vec<Request>>,
    rng: Mutex<ChaCha12Rng>,
}

impl NodeNames {
    pub(super) fn new(participant: Arc<Participant>, rng: ChaCha12Rng) -> Self {
        NodeNames { participant, idle: Mutex::default(), rng: Mutex::new(rng) }
    }

    /// Looks at a state that has all that was acknowledged before.
    async fn read<T>(&self, look: impl FnOnce(&State) -> T + Send) -> Result<T, RepositoryError> {
        let read = self.participant.read(limits::CATALOG_REQUEST_TIMEOUT, look).await;
        read.map_err(|failed| RepositoryError::Unavailable(failed.to_string()))
    }

    /// A request that is another one than every other.
    fn begin(&self) -> Request {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let last = idle.unwrap_or_else(|| {
            let mut id = [0; 16];
            self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut id);
            Request { client: ClientId(id), number: 0 }
        });
        Request { number: last.number + 1, ..last }
    }

    /// Its answer is known: the caller may ask something else.
    fn end(&self, request: Request) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
}

#[async_trait]
impl Names for NodeNames {
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
        let request = self.begin();
        let (who, at_ms) = (who.to_owned(), unix_time_ms());
        let command = Command { group: GROUP, request, at_ms, who, operation };
        let began = Instant::now();
        let within = limits::CATALOG_REQUEST_TIMEOUT;
        let mut may_be_done = false;
        loop {
            match self.participant.command(&command, within).await {
                Ok(reply) => {
                    self.end(request);
                    return match reply {
                        Reply::Done(outcome) => Ok(outcome),
                        Reply::Refused(refused) => Err(CommandError::Refused(refused)),
                    };
                }
                Err(Failed::NotDone(reason)) if !may_be_done => {
                    self.end(request);
                    return Err(CommandError::NotDone(reason));
                }
                Err(failed) if began.elapsed() >= ASKED_AGAIN_FOR => {
                    return Err(CommandError::Unknown(failed.to_string()));
                }
                // What it did, it does not do twice. An answer may come at once, as from a node that
                // has just left the group.
                Err(_) => {
                    may_be_done = true;
                    tokio::time::sleep(ASKED_AGAIN_AFTER).await;
                }
            }
        }
    }
}
