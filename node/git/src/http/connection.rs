//! Connections: from the listener, and each until it is closed.

use std::convert::Infallible;
use std::sync::Arc;

use gitstratum_core::{accept, limits};
use gitstratum_host::net::Listener;
use gitstratum_host::rt::TaskTimer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::GitServer;
use super::stall::WriteTimeout;
use super::stopping::FirstRequest;

impl GitServer {
    /// Accepts connections until `shutdown` says so, then lets what is in flight finish, for at
    /// most `limits::SHUTDOWN_TIMEOUT`.
    pub async fn run(
        self: Arc<Self>,
        listener: Listener,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let server = self.clone();
        let serve = move |stream, peer: std::net::SocketAddr, stop| {
            server.clone().serve_connection(stream, peer.to_string(), stop)
        };
        let in_time = accept::run(listener, limits::GIT_CONNECTIONS_MAX, shutdown, serve).await;
        self.say_what_is_left(in_time);
    }

    pub(super) fn say_what_is_left(&self, in_time: bool) {
        if !in_time {
            let left = self.requests.read().in_flight();
            tracing::warn!(
                requests = left,
                "shutdown did not wait for all requests of Git clients"
            );
        }
    }

    /// Serves the client at `address` on a stream, until it is closed or `stop` is cancelled and
    /// what is in flight has finished; a client that asked nothing yet may ask once.
    pub async fn serve_connection<S>(
        self: Arc<Self>,
        stream: S,
        address: String,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _open = self.requests.connection();
        let first_request = FirstRequest::default();
        let noted = first_request.clone();
        let handler = service_fn(move |request| {
            noted.came();
            let answer = self.clone().handle(request, address.clone());
            async { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TaskTimer)
            .header_read_timeout(limits::GIT_HEADER_TIMEOUT)
            .max_headers(limits::GIT_HEADERS_MAX)
            .max_buf_size(limits::GIT_HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(WriteTimeout::new(stream)), handler);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = first_request.or_too_late(&stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a Git client's connection ended");
        }
    }
}
