//! HTTP/2 server.
//!
//! The server loop: connections in, requests to the service, a clean end.
//!
//! Bounds connections and requests, takes each request's deadline from `grpc-timeout`, and
//! states the layout version with every answer and listens to those of the callers, and
//! counts so that attempted = succeeded + failed + in flight at every instant (I4). On
//! shutdown every connection is told (GOAWAY) and what is in flight may finish.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::metrics::{self, Reading, Registry};
use gitstratum_core::placement::CurrentLayout;
use gitstratum_core::seldom::Seldom;
use gitstratum_core::{accept, limits};
use gitstratum_host::net::{Listener, Stream};
use gitstratum_host::rt::{TaskExecutor, TaskTimer};
use gitstratum_proto::v1::node_server::{Node, NodeServer};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::wire::stamp;

/// Requests of a server.
#[derive(Debug, Default)]
pub struct Requests {
    counts: Mutex<Counts>,
    /// Refusals, of which the log tells once in a while.
    refusals: Seldom,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connections: u64,
    attempted: u64,
    succeeded: u64,
    failed: u64,
    refused: u64,
}

impl Counts {
    fn in_flight(&self) -> u64 {
        self.attempted - self.succeeded - self.failed
    }

    /// All of it as metrics.
    fn readings() -> Vec<Reading<Counts>> {
        type Metric = Reading<Counts>;
        vec![
            Metric::gauge("server_connections", "Connections that are open", |counts| {
                counts.connections
            }),
            Metric::gauge("server_requests_in_flight", "Requests in flight", Counts::in_flight),
            Metric::counter("server_requests_attempted", "Requests that came", |counts| {
                counts.attempted
            }),
            Metric::counter(
                "server_requests_succeeded",
                "Requests that were answered well",
                |counts| counts.succeeded,
            ),
            Metric::counter("server_requests_failed", "Requests that failed", |counts| {
                counts.failed
            }),
            Metric::counter(
                "server_requests_refused",
                "Requests that failed because too many were in flight",
                |counts| counts.refused,
            ),
            Metric::gauge(
                "server_requests_max",
                "With so many requests in flight, more are refused",
                |_| limits::SERVER_REQUESTS_MAX as u64,
            ),
        ]
    }
}

impl Requests {
    /// Registers them; they are read at once, so that they add up.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let requests = self.clone();
        metrics::register(registry, Counts::readings(), move || requests.read());
    }

    fn read(&self) -> Counts {
        *self.counts.lock().expect("nothing panics while it counts")
    }

    fn update(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().expect("nothing panics while it counts"));
    }

    /// Counts a request that is refused because too many are in flight.
    fn refuse(&self) {
        self.update(|counts| {
            counts.attempted += 1;
            counts.failed += 1;
            counts.refused += 1;
        });
        if let Some(count) = self.refusals.count() {
            let limit = limits::SERVER_REQUESTS_MAX;
            tracing::warn!(count, limit, "overloaded: requests are refused, as many are in flight");
        }
    }
}

/// How many requests may be in flight.
#[derive(Clone)]
struct Bounds {
    requests: Arc<Semaphore>,
    /// Of those that ask who a node is, and how it is, and of the members of the catalog's group,
    /// beside the others: or an overloaded node would look like one that is gone.
    questions: Arc<Semaphore>,
}

impl Bounds {
    fn new() -> Self {
        Bounds {
            requests: Arc::new(Semaphore::new(limits::SERVER_REQUESTS_MAX)),
            questions: Arc::new(Semaphore::new(limits::SERVER_QUESTIONS_MAX)),
        }
    }

    /// Room for one more request to this path, if there is some.
    fn admit(&self, path: &str) -> Option<OwnedSemaphorePermit> {
        let is_question = matches!(path.rsplit('/').next(), Some("Identify" | "Status" | "Agree"));
        let beside = || match is_question {
            true => self.questions.clone().try_acquire_owned().ok(),
            false => None,
        };
        self.requests.clone().try_acquire_owned().ok().or_else(beside)
    }
}

/// One request from its headers to the end of its answer. Dropped undecided (the peer went
/// away, the deadline passed, the handler panicked), it counts as failed.
struct InFlight {
    requests: Arc<Requests>,
    succeeded: bool,
    _permit: OwnedSemaphorePermit,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.requests.update(|counts| match self.succeeded {
            true => counts.succeeded += 1,
            false => counts.failed += 1,
        });
    }
}

/// Accepts connections until `shutdown` says so, then lets what is in flight finish, for
/// at most `limits::SHUTDOWN_TIMEOUT`.
pub async fn run<S: Node>(
    listener: Listener,
    service: S,
    requests: Arc<Requests>,
    layout: CurrentLayout,
    shutdown: impl Future<Output = ()> + Send,
) {
    let service = NodeServer::new(service)
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
    let bounds = Bounds::new();
    let counted = requests.clone();
    let serve = move |stream, _peer, stop| {
        let (service, requests) = (service.clone(), requests.clone());
        serve_connection(stream, service, requests, layout.clone(), bounds.clone(), stop)
    };
    if !accept::run(listener, limits::SERVER_CONNECTIONS_MAX, shutdown, serve).await {
        let left = counted.read().in_flight();
        tracing::warn!(requests = left, "shutdown did not wait for all requests");
    }
}

async fn serve_connection<S: Node>(
    stream: Stream,
    service: NodeServer<S>,
    requests: Arc<Requests>,
    layout: CurrentLayout,
    bounds: Bounds,
    stop: CancellationToken,
) {
    requests.update(|counts| counts.connections += 1);
    let counted = requests.clone();
    let handler = service_fn(move |request: Request<Incoming>| {
        let permit = bounds.admit(request.uri().path());
        let (service, requests, layout) = (service.clone(), requests.clone(), layout.clone());
        async move {
            stamp::hear(request.headers(), &layout);
            let mut response = handle(request, service, requests, permit).await;
            stamp::stamp(response.headers_mut(), &layout);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http2::Builder::new(TaskExecutor)
        .timer(TaskTimer)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .max_concurrent_streams(limits::CONNECTION_STREAMS_MAX)
        .keep_alive_interval(limits::SERVER_KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), handler);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = crate::wire::status::chain(&error), "connection ended");
    }
    counted.update(|counts| counts.connections -= 1);
}

async fn handle<S: Node>(
    request: Request<Incoming>,
    mut service: NodeServer<S>,
    requests: Arc<Requests>,
    permit: Option<OwnedSemaphorePermit>,
) -> Response<Counted> {
    let Some(permit) = permit else {
        requests.refuse();
        let limit = limits::SERVER_REQUESTS_MAX;
        let status = Status::resource_exhausted(format!("{limit} requests are in flight"));
        return answer(status.into_http(), None);
    };
    requests.update(|counts| counts.attempted += 1);
    let in_flight = InFlight { requests, succeeded: false, _permit: permit };
    let deadline = match timeout_of(request.headers()) {
        Ok(deadline) => deadline,
        Err(status) => return answer(status.into_http(), Some(in_flight)),
    };
    // The service is infallible: its errors are statuses.
    let call = service.call(request);
    let response = match tokio::time::timeout(deadline, call).await {
        Ok(Ok(response)) => response,
        Err(_) => Status::deadline_exceeded("the request's deadline has passed").into_http(),
    };
    answer(response, Some(in_flight))
}

fn answer(response: Response<Body>, in_flight: Option<InFlight>) -> Response<Counted> {
    // An error before any message comes as a status in the headers.
    let in_flight = in_flight.filter(|_| ok(response.headers()) != Some(false));
    response.map(|body| Counted { body, in_flight })
}

/// What a header or trailer block says of the call's success, if it says anything.
fn ok(headers: &HeaderMap) -> Option<bool> {
    headers.get(Status::GRPC_STATUS).map(|status| status == "0")
}

/// The request's deadline from `grpc-timeout` (at most eight digits and a unit), or ours.
fn timeout_of(headers: &HeaderMap) -> Result<Duration, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(limits::REQUEST_TIMEOUT_MAX) };
    let wrong = || Status::invalid_argument(format!("grpc-timeout {value:?} is no timeout"));
    let text = value.to_str().map_err(|_| wrong())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let timeout = match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return Err(wrong()),
    };
    Ok(timeout.min(limits::REQUEST_TIMEOUT_MAX))
}

/// A response body that knows when, and how, its request ended.
struct Counted {
    body: Body,
    in_flight: Option<InFlight>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(trailers), Some(in_flight)) =
                    (frame.trailers_ref(), &mut self.in_flight)
                {
                    in_flight.succeeded = ok(trailers) == Some(true);
                }
            }
            Some(Err(_)) | None => self.in_flight = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
