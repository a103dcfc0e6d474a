//! Deduplication: the last answer of each client, so that a repeated command is answered and not
//! done twice.
//!
//! Invariant: which answers are kept depends on the commands alone. Clients that were quiet for
//! the longest time leave first; a command that comes again after its client left is done again,
//! so a client gives up long before [`ANSWERS_MAX`] others can have asked.

use std::sync::Arc;

use gitstratum_core::limits::{ANSWERS_BYTES_MAX, ANSWERS_MAX};
use imbl::OrdMap;
use minicbor::Encoder;
use minicbor::encode::Write;

use crate::command::Request;
use crate::error::CatalogError;
use crate::ids::ClientId;
use crate::reply::Reply;

/// The last answer of a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) number: u64,
    /// The position of the command with which the client was heard of last.
    pub(super) heard_at: u64,
    pub(super) reply: Reply,
    /// What it takes when it is encoded.
    bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answers {
    by_client: OrdMap<ClientId, Arc<Answer>>,
    /// Clients by when they were heard of last.
    quietest: OrdMap<u64, ClientId>,
    bytes: u64,
}

impl Answers {
    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ClientId, &Arc<Answer>)> {
        self.by_client.iter()
    }

    /// The answer of a command that was done before; nothing where it is new.
    pub(super) fn find(
        &mut self,
        request: Request,
        position: u64,
    ) -> Result<Option<Reply>, CatalogError> {
        let Some(answer) = self.by_client.get_mut(&request.client) else { return Ok(None) };
        if request.number > answer.number {
            return Ok(None);
        }
        if request.number < answer.number {
            let (given, last) = (request.number, answer.number);
            return Err(CatalogError::OldRequest { given, last });
        }
        let answer = Arc::make_mut(answer);
        self.quietest.remove(&answer.heard_at);
        self.quietest.insert(position, request.client);
        answer.heard_at = position;
        Ok(Some(answer.reply.clone()))
    }

    /// Keeps the answer of a command at `position`, which is after those of all others.
    pub(super) fn keep(&mut self, request: Request, position: u64, reply: Reply) {
        self.put(request, position, reply);
        while self.by_client.len() as u64 > ANSWERS_MAX
            || (self.bytes > ANSWERS_BYTES_MAX && self.by_client.len() > 1)
        {
            let Some(&(_, quietest)) = self.quietest.get_min() else { return };
            self.forget(quietest);
        }
    }

    /// Enters an answer as it was read from elsewhere.
    pub(super) fn put(&mut self, request: Request, heard_at: u64, reply: Reply) {
        self.forget(request.client);
        let bytes = encoded_bytes(&reply);
        let answer = Answer { number: request.number, heard_at, reply, bytes };
        self.by_client.insert(request.client, Arc::new(answer));
        self.quietest.insert(heard_at, request.client);
        self.bytes += bytes;
    }

    /// Whether a client, or the place of one in the order, is there already.
    pub(super) fn has(&self, client: &ClientId, heard_at: u64) -> bool {
        self.by_client.contains_key(client) || self.quietest.contains_key(&heard_at)
    }

    fn forget(&mut self, client: ClientId) {
        if let Some(answer) = self.by_client.remove(&client) {
            self.quietest.remove(&answer.heard_at);
            self.bytes -= answer.bytes;
        }
    }
}

/// Counts what is written.
struct Counter(u64);

impl Write for Counter {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

fn encoded_bytes(reply: &Reply) -> u64 {
    let mut encoder = Encoder::new(Counter(0));
    encoder.encode(reply).expect("counting does not fail, and no reply has a form of its own");
    encoder.into_writer().0
}
