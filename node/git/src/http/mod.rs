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
mod stopping;
mod streams;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::metrics::Registry;
use gitstratum_core::trace::RequestIds;
use tokio::sync::Semaphore;

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
    /// Of requests that come without one.
    ids: RequestIds,
}

impl GitServer {
    /// Serves these. Requests get these ids, by which logs, answers and traces call them.
    pub fn new(repositories: Arc<dyn Repositories>, ids: RequestIds) -> Arc<Self> {
        Arc::new(GitServer {
            repositories,
            requests: Arc::default(),
            handshakes: Handshakes::default(),
            room: Arc::new(Semaphore::new(limits::GIT_REQUESTS_MAX)),
            ids,
        })
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.requests.register(registry);
        self.repositories.register(registry);
    }
}
