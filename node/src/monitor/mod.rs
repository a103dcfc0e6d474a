//! Monitoring endpoint: metrics in OpenMetrics text, liveness and readiness, and the status page, over
//! HTTP.
//!
//! For Prometheus, orchestrators, load balancers, and people. It has a port of its own, so that it can
//! be kept from Git's clients. All but the status page is answered from memory alone: a probe waits for
//! no disk, no peer and no lock that is held across one.
//!
//! Invariant: what is held for who asks is bounded in number and in time, whatever they do. A
//! connection has one request and ends after `limits::MONITOR_CONNECTION_TIMEOUT`.

mod answer;
mod gate;
mod health;
mod history;
mod page;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use gitstratum_core::metrics::Registry;
use gitstratum_core::{accept, limits};
use gitstratum_host::net::Listener;
use gitstratum_host::rt::TaskTimer;
use gitstratum_host::tls::Acceptor;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use gate::Came;
pub(crate) use gate::Gate;
pub(crate) use health::Health;
pub(crate) use history::History;
pub(crate) use page::{Page, Sources};

/// What is spoken over TLS.
pub(crate) const PROTOCOLS: [&str; 1] = ["http/1.1"];

/// Says how a node is.
pub(crate) struct Monitor {
    /// All that the node counts and measures.
    registry: Arc<Registry>,
    /// Whether it can do its work.
    health: Arc<Health>,
    /// The status page, until what it tells of is closed.
    page: ArcSwapOption<Page>,
    /// With what it speaks TLS, where it does.
    acceptor: Option<Acceptor>,
}

impl Monitor {
    /// Says what these say.
    pub(crate) fn new(
        registry: Arc<Registry>,
        health: Arc<Health>,
        page: Arc<Page>,
        acceptor: Option<Acceptor>,
    ) -> Arc<Self> {
        let page = ArcSwapOption::new(Some(page));
        Arc::new(Monitor { registry, health, page, acceptor })
    }

    /// Lets go of what the status page tells of, so that it can be closed.
    pub(crate) fn close_page(&self) {
        self.page.store(None);
    }

    /// Answers until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: Listener) {
        let serve = move |stream, from, _| {
            self.clone().serve_peer(stream, from, limits::MONITOR_CONNECTION_TIMEOUT)
        };
        accept::run(listener, limits::MONITOR_CONNECTIONS_MAX, std::future::pending(), serve).await;
    }

    /// Answers one request, after a handshake where TLS is spoken, or closes the connection when
    /// `within` is over.
    async fn serve_peer<S>(self: Arc<Self>, stream: S, from: SocketAddr, within: Duration)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let acceptor = self.acceptor.clone();
        let served = async move {
            let Some(acceptor) = acceptor else {
                return self.serve_connection(stream, Came { from, by_tls: false }).await;
            };
            match acceptor.accept(stream).await {
                Ok(stream) => self.serve_connection(stream, Came { from, by_tls: true }).await,
                Err(error) => tracing::debug!(%from, reason = %error, "a TLS handshake failed"),
            }
        };
        if tokio::time::timeout(within, served).await.is_err() {
            tracing::debug!(%from, "a monitoring connection took too long and was closed");
        }
    }

    async fn serve_connection<S>(self: Arc<Self>, stream: S, came: Came)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handler = service_fn(move |request: Request<Incoming>| {
            let (monitor, (head, _)) = (self.clone(), request.into_parts());
            async move { Ok::<_, Infallible>(monitor.answer(&head, came).await) }
        });
        let connection = http1::Builder::new()
            .timer(TaskTimer)
            .keep_alive(false)
            .max_headers(limits::MONITOR_HEADERS_MAX)
            .max_buf_size(limits::MONITOR_HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), handler);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a monitoring connection ended");
        }
    }
}
