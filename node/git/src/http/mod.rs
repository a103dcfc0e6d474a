//! Smart HTTP server.
//!
//! What git's `http-backend` does: `GET <repository>/info/refs?service=…`,
//! `POST <repository>/git-upload-pack` and `POST <repository>/git-receive-pack`, over HTTP/1.1 on
//! any stream, and over HTTP/2 where a TLS handshake agreed on it. [`GitServer`] routes a request, opens the repository, and runs the exchange of
//! [`crate::protocol`] in a task whose parts become the body of the answer.
//!
//! Errors that come before the protocol begins are plain text, which git shows its user. Nothing
//! is redirected, because git follows no redirection of a POST. Each request is authenticated by
//! itself.
//!
//! Invariants: the memory of a request is bounded whatever arrives and however slow the client is;
//! what takes long is limited by its progress, never by its length; a client that goes away ends
//! the work for it at the next await; and attempted = succeeded + rejected + failed + in flight, at
//! every instant (I4).

mod answer;
mod body;
mod connection;
mod credentials;
mod gzip;
mod handle;
mod requests;
mod route;
mod stall;
mod streams;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gitstratum_core::limits;
use gitstratum_core::metrics::Registry;
use tokio::sync::Semaphore;

use crate::protocol::Session;
use crate::service::Repositories;
use requests::Requests;
use tls::Handshakes;

pub use credentials::{CHALLENGE, of as credentials_of};
pub use tls::PROTOCOLS;

/// Serves repositories to Git clients.
pub struct GitServer {
    repositories: Arc<dyn Repositories>,
    requests: Arc<Requests>,
    handshakes: Handshakes,
    /// Room for requests.
    room: Arc<Semaphore>,
    /// What the ids of its exchanges begin with.
    name: String,
    exchanges: AtomicU64,
}

impl GitServer {
    /// Serves these. `name` is what the ids of exchanges begin with, in logs and answers: printable
    /// and without spaces, and another one for each node.
    pub fn new(repositories: Arc<dyn Repositories>, name: &str) -> Arc<Self> {
        Arc::new(GitServer {
            repositories,
            requests: Arc::default(),
            handshakes: Handshakes::default(),
            room: Arc::new(Semaphore::new(limits::GIT_REQUESTS_MAX)),
            name: name.to_owned(),
            exchanges: AtomicU64::new(0),
        })
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.requests.register(registry);
        self.repositories.register(registry);
    }

    fn session(&self) -> Session {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed);
        Session { id: format!("{}-{number}", self.name) }
    }
}
