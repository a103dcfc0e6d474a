//! HTTP/2: many requests on one connection, and when such a connection is given up.
//!
//! A client of HTTP/2 can stall without its connection standing still: it answers pings, and gives a
//! stream no window. So each answer says when it was last asked for more, and a connection ends on
//! which one has waited too long with something to say; and so does one on which nothing was asked
//! for a while.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_host::rt::{TaskExecutor, TaskTimer};
use http_body::{Frame, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::GitServer;
use super::answer::Body;
use super::stall::WriteTimeout;
use super::stopping::FirstRequest;

/// How often it is looked whether something stalls.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The requests of one connection.
#[derive(Debug)]
struct Activity {
    /// Those that are not over, by a number of their own; and since when the client takes nothing of
    /// an answer that has something to say.
    requests: BTreeMap<u64, Option<Instant>>,
    next: u64,
    /// Since when there are none.
    idle_since: Instant,
}

type Shared = Arc<Mutex<Activity>>;

fn look(shared: &Shared) -> MutexGuard<'_, Activity> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Idle,
    Stalled,
}

impl Activity {
    fn over(&self) -> Option<Over> {
        if self.requests.is_empty() {
            let is_idle = self.idle_since.elapsed() >= limits::GIT_HEADER_TIMEOUT;
            return is_idle.then_some(Over::Idle);
        }
        let mut waiting = self.requests.values().flatten();
        let stalls = waiting.any(|since| since.elapsed() >= limits::GIT_STALL_TIMEOUT);
        stalls.then_some(Over::Stalled)
    }
}

/// A request that is not over.
struct Open {
    shared: Shared,
    number: u64,
}

impl Open {
    fn begin(shared: &Shared) -> Self {
        let mut activity = look(shared);
        let number = activity.next;
        activity.next += 1;
        activity.requests.insert(number, None);
        Open { shared: shared.clone(), number }
    }

    /// Notes since when the client takes nothing; nothing, while there is nothing to take.
    fn waits(&self, since: Option<Instant>) {
        look(&self.shared).requests.insert(self.number, since);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut activity = look(&self.shared);
        activity.requests.remove(&self.number);
        if activity.requests.is_empty() {
            activity.idle_since = Instant::now();
        }
    }
}

/// The body of an answer that says when more of it was asked for.
struct Watched {
    body: Body,
    open: Open,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // What was taken is sent before more is asked for.
        let since = polled.is_ready().then(Instant::now);
        self.open.waits(since);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl GitServer {
    /// As [`GitServer::serve_connection`], by HTTP/2.
    pub async fn serve_streams<S>(
        self: Arc<Self>,
        stream: S,
        address: String,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _open = self.requests.connection();
        let idle_since = Instant::now();
        let activity = Activity { requests: BTreeMap::new(), next: 0, idle_since };
        let shared = Arc::new(Mutex::new(activity));
        let first_request = FirstRequest::default();
        let noted = (shared.clone(), first_request.clone());
        let handler = service_fn(move |request| {
            let (shared, first_request) = &noted;
            let open = Open::begin(shared);
            first_request.came();
            let answer = self.clone().handle(request, address.clone());
            async move {
                let answer = answer.await;
                // From now on it has something to say.
                open.waits(Some(Instant::now()));
                Ok::<_, Infallible>(answer.map(|body| Watched { body, open }))
            }
        });
        let connection = http2::Builder::new(TaskExecutor)
            .timer(TaskTimer)
            .initial_stream_window_size(limits::GIT_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::GIT_CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(limits::GIT_STREAMS_MAX)
            .max_header_list_size(limits::GIT_HEADER_BYTES_MAX as u32)
            .max_send_buf_size(limits::GIT_STREAM_WINDOW_BYTES as usize)
            .keep_alive_interval(limits::SERVER_KEEPALIVE_INTERVAL)
            .keep_alive_timeout(limits::GIT_STALL_TIMEOUT)
            .serve_connection(TokioIo::new(WriteTimeout::new(stream)), handler);
        let mut connection = std::pin::pin!(connection);
        let mut stops = std::pin::pin!(first_request.or_too_late(&stop));
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a Git client's connection ended");
                    }
                    return;
                }
                () = &mut stops, if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(LOOK_INTERVAL) => {
                    let over = look(&shared).over();
                    match over {
                        None => {}
                        // Told first, so that no request is on its way when it ends.
                        Some(Over::Idle) if !is_stopping => {
                            is_stopping = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        Some(over) => {
                            tracing::debug!(?over, "a Git client's connection is given up");
                            return;
                        }
                    }
                }
            }
        }
    }
}
