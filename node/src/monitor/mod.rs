//! Monitoring endpoint: metrics in OpenMetrics text, liveness and readiness, over HTTP.
//!
//! For Prometheus, orchestrators and load balancers. It has a port of its own, so that it can be
//! kept from Git's clients, and is answered from memory alone: a probe waits for no disk, no peer and
//! no lock that is held across one.
//!
//! Invariant: what is held for who asks is bounded in number and in time, whatever they do. A
//! connection has one request and ends after `limits::MONITOR_CONNECTION_TIMEOUT`.

mod answer;
mod health;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_core::metrics::Registry;
use gitstratum_core::{accept, limits};
use gitstratum_host::net::Listener;
use gitstratum_host::rt::TaskTimer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use health::Health;

/// Says how a node is.
pub(crate) struct Monitor {
    /// All that the node counts and measures.
    pub(crate) registry: Arc<Registry>,
    /// Whether it can do its work.
    pub(crate) health: Arc<Health>,
}

impl Monitor {
    /// Answers until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: Listener) {
        let serve = move |stream, _, _| {
            self.clone().serve_connection(stream, limits::MONITOR_CONNECTION_TIMEOUT)
        };
        accept::run(listener, limits::MONITOR_CONNECTIONS_MAX, std::future::pending(), serve).await;
    }

    /// Answers one request, or closes the connection when `within` is over.
    async fn serve_connection<S>(self: Arc<Self>, stream: S, within: Duration)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handler = service_fn(move |request| {
            let answer = self.answer(&request);
            async { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TaskTimer)
            .keep_alive(false)
            .max_headers(limits::MONITOR_HEADERS_MAX)
            .max_buf_size(limits::MONITOR_HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), handler);
        match tokio::time::timeout(within, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a monitoring connection ended"),
            Err(_) => tracing::debug!("a monitoring connection took too long and was closed"),
        }
    }
}
