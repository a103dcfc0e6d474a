//! A caller of the catalog: its commands are numbered, so that each is done once.

use gitstratum_catalog::encode::{
    EncodingError, decode_answer, decode_reply, encode_command, encode_query,
};
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{Answer, CatalogError, Command, Operation, Outcome, Query, Request};
use gitstratum_cluster::client::{CatalogError as AskError, Client};
use gitstratum_core::placement::NodeId;
use gitstratum_host::unix_time_ms;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;

use super::GROUP;

/// Why the catalog did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It was refused.
    #[error("{0}")]
    Refused(CatalogError),
    /// The cluster has no answer.
    #[error("{0}")]
    Asking(#[from] AskError),
    /// What was asked or answered is too large, or is not understood.
    #[error("{0}")]
    Encoding(#[from] EncodingError),
    /// The answer is to another question.
    #[error("the catalog answers another question")]
    Other,
}

/// A caller of the catalog. It has one command under way at a time.
pub struct CatalogClient {
    client: Client,
    id: ClientId,
    number: u64,
    who: String,
}

impl CatalogClient {
    /// A caller whose commands are told to be on behalf of `who`; `rng` draws its id.
    pub fn new(client: Client, who: &str, rng: &mut ChaCha12Rng) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        CatalogClient { client, id: ClientId(id), number: 0, who: who.to_owned() }
    }

    /// Asks this node first from here on, and others only where it does not answer.
    pub fn ask_first(&mut self, node: &NodeId) {
        self.client = self.client.asking_first(node);
    }

    /// Whose behalf commands are on from here on.
    pub fn speak_for(&mut self, who: &str) {
        who.clone_into(&mut self.who);
    }

    /// Has the catalog do something.
    ///
    /// # Errors
    /// [`CallError`]; one of [`AskError::Unknown`] leaves open whether it was done, and
    /// [`CatalogClient::again`] finds out.
    pub async fn call(&mut self, operation: Operation) -> Result<Outcome, CallError> {
        self.number += 1;
        self.again(operation).await
    }

    /// Sends the last command again: what it did, it does not do twice.
    ///
    /// # Errors
    /// As [`CatalogClient::call`].
    pub async fn again(&mut self, operation: Operation) -> Result<Outcome, CallError> {
        let command = Command {
            group: GROUP,
            request: Request { client: self.id, number: self.number },
            at_ms: unix_time_ms(),
            who: self.who.clone(),
            operation,
        };
        let reply = self.client.catalog_command(encode_command(&command)?.into()).await?;
        decode_reply(&reply)?.into_result().map_err(CallError::Refused)
    }

    /// Has the catalog do something, and asks up to `repeats` times more whether it did where that is
    /// not known.
    ///
    /// # Errors
    /// As [`CatalogClient::call`].
    pub async fn call_repeatedly(
        &mut self,
        operation: Operation,
        repeats: usize,
    ) -> Result<Outcome, CallError> {
        let mut done = self.call(operation.clone()).await;
        for _ in 0..repeats {
            if !matches!(done, Err(CallError::Asking(AskError::Unknown(_)))) {
                break;
            }
            done = self.again(operation.clone()).await;
        }
        done
    }

    /// Asks the catalog something; the answer has everything that was acknowledged before.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ask(&self, query: &Query) -> Result<Answer, CallError> {
        let answer = self.client.catalog_query(encode_query(query).into(), false).await?;
        match decode_answer(&answer)? {
            Answer::Refused(error) => Err(CallError::Refused(error)),
            answer => Ok(answer),
        }
    }
}
