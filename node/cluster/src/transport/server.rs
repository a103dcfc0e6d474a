//! HTTP/2 server.
//!
//! The server loop: connections in, requests to the service, a clean end.
//!
//! Bounds connections and requests, takes each request's deadline from `grpc-timeout`, and
//! states the layout version with every answer and listens to those of the callers, and
//! counts so that attempted = succeeded + failed + in flight at every instant (I4). On
//! shutdown every connection is told (GOAWAY) and what is in flight may finish.
//!
//! Invariant: what one connection, one address, or all clients together hold is a share, and
//! members of the cluster and questions how the node is find room beside it; and nothing is held
//! for a client that neither sends nor reads.

mod admission;
mod answering;
mod deadline;
mod door;
mod fields;
mod handshakes;
mod health;
mod lifetime;
mod members;
mod numbers;
mod options;
mod permissions;
mod receiving;
mod shares;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use gitstratum_core::placement::CurrentLayout;
use gitstratum_core::{accept, limits};
use gitstratum_host::net::{Listener, Stream};
use gitstratum_host::rt::{Alarm, TaskTimer};
use gitstratum_host::tls::{Acceptor, Fingerprint};
use gitstratum_proto::v1::node_server::Node;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::bearer::take_secret;
use super::grant::Caller;
use super::holder::Holder;
use crate::wire::stamp;
use admission::{Beginning, Denied};
use answering::{Answered, InFlight};
use deadline::timeout_of;
use handshakes::{Entered, Outcome};
use health::{Question, Services};
use lifetime::{Exchange, Lifetime};
use receiving::Received;
use shares::{Exhausted, Held, Origin, Shares};

pub use admission::Tokens;
pub use handshakes::Entrance;
pub use health::{Readiness, ReadinessSource};
pub use members::Resolved;
pub use numbers::{Bound, Requests};
pub use options::ServerOptions;
pub use shares::Portions;

/// What a server bounds, and who holds how much of it.
struct Bounds {
    connections: Arc<Shares>,
    handshakes: Arc<Shares>,
    requests: Arc<Shares>,
    /// Of those that ask who a node is, and how it is, and of the members of the catalog's group,
    /// beside the others: or an overloaded node would look like one that is gone.
    questions: Arc<Shares>,
    /// Of streams that tell how the node is.
    watches: Arc<Shares>,
    large: Arc<Shares>,
    received_bytes: Arc<Shares>,
    unread_bytes: Arc<Shares>,
    options: ServerOptions,
}

impl Bounds {
    fn new(options: ServerOptions) -> Arc<Self> {
        Arc::new(Bounds {
            connections: Shares::new(options.connections),
            handshakes: Shares::new(options.handshakes),
            requests: Shares::new(options.requests),
            questions: Shares::new(options.questions),
            watches: Shares::new(options.watches),
            large: Shares::new(options.large),
            received_bytes: Shares::new(options.received_bytes),
            unread_bytes: Shares::new(options.unread_bytes),
            options,
        })
    }

    /// Room for one more request to this path, if there is some.
    fn admit(&self, path: &str, origin: Origin) -> Result<Vec<Held>, (Bound, String)> {
        let (method, health) = (path.rsplit('/').next(), Question::of(path));
        if health == Some(Question::Watch) {
            let held = self.watches.take(origin, 1).map_err(|exhausted| {
                let words = exhausted.of("streams of health");
                (Bound::Watches, format!("{words} are open"))
            })?;
            return Ok(vec![held]);
        }
        let is_question =
            health.is_some() || matches!(method, Some("Identify" | "Status" | "Agree"));
        let of_requests = |exhausted: Exhausted| {
            (Bound::Requests, format!("{} are in flight", exhausted.of("requests")))
        };
        let mut held = vec![match self.requests.take(origin, 1) {
            Ok(held) => held,
            Err(exhausted) if !is_question => return Err(of_requests(exhausted)),
            Err(_) => self.questions.take(origin, 1).map_err(of_requests)?,
        }];
        if method == Some("PutLarge") {
            held.push(self.large.take(origin, 1).map_err(|exhausted| {
                let words = exhausted.of("large objects");
                (Bound::LargeObjects, format!("{words} are being received"))
            })?);
        }
        Ok(held)
    }
}

/// Accepts connections until `shutdown` says so, then lets what is in flight finish, for
/// at most `limits::SHUTDOWN_TIMEOUT`. Beside the service it answers how the node is, by `readiness`. `resolved` tells which addresses are those of members. Who
/// calls, as certificates or tokens tell, the service finds as a [`Caller`] among a request's extensions.
pub async fn run<S: Node>(
    (listener, entrance, tokens): (Listener, Entrance, Tokens),
    (service, readiness): (Arc<S>, Arc<dyn ReadinessSource>),
    requests: Arc<Requests>,
    (layout, resolved): (CurrentLayout, Resolved),
    options: ServerOptions,
    shutdown: impl Future<Output = ()> + Send,
) {
    let service = Services::new(service, readiness);
    let connections_max = options.connections.all;
    let bounds = Bounds::new(options);
    let admit = |peer: SocketAddr| {
        let origin = Origin::new(peer, resolved.is_member(peer.ip(), &layout));
        match bounds.connections.take(origin, 1) {
            Ok(slot) => Some((origin, slot)),
            Err(_) => {
                requests.reached(Bound::Connections, origin.source);
                None
            }
        }
    };
    let serve = |stream, (origin, slot), stop| {
        let client = Client {
            origin,
            beginning: Beginning::Plain,
            certificate: None,
            tokens: tokens.clone(),
            requests: requests.clone(),
            layout: layout.clone(),
            bounds: bounds.clone(),
            lifetime: Lifetime::new(),
        };
        let serving = client.enter(stream, entrance.clone(), service.clone(), stop);
        async move {
            serving.await;
            drop(slot);
        }
    };
    if !accept::run_admitted(listener, connections_max, admit, shutdown, serve).await {
        let left = requests.read().in_flight();
        tracing::warn!(requests = left, "shutdown did not wait for all requests");
    }
}

/// Whoever is on the other side of a connection.
#[derive(Clone)]
struct Client {
    origin: Origin,
    beginning: Beginning,
    /// The certificate that it showed, and who took it, and may know meanwhile that it was revoked.
    certificate: Option<(Fingerprint, Acceptor)>,
    tokens: Tokens,
    requests: Arc<Requests>,
    layout: CurrentLayout,
    bounds: Arc<Bounds>,
    lifetime: Arc<Lifetime>,
}

impl Client {
    /// Serves the client, after a handshake where the entrance has one.
    async fn enter<S: Node>(
        mut self,
        stream: Stream,
        entrance: Entrance,
        service: Services<S>,
        stop: CancellationToken,
    ) {
        let Entrance::Tls { acceptor, is_required } = entrance else {
            return self.serve(stream, service, stop).await;
        };
        let Some(entered) = self.shake(stream, &acceptor, &stop).await else { return };
        match entered {
            Entered::Tls(stream, holder) => {
                self.origin.is_member |= matches!(holder, Some(Holder::Node(_)));
                let shown = stream.peer_fingerprint();
                self.certificate = shown.map(|shown| (shown, acceptor.clone()));
                self.beginning = holder.map_or(Beginning::Anonymous, Beginning::Certified);
                self.serve(*stream, service, stop).await;
            }
            Entered::Plain(stream) if is_required => {
                let handshakes = &self.requests.handshakes;
                let reason = "the client does not speak TLS, which is required";
                handshakes.failed(Outcome::Plaintext, self.origin.source, reason);
                self.beginning = Beginning::Refused;
                let (closing, timeout) =
                    (stop.child_token(), self.bounds.options.first_request_timeout);
                let too_long = async {
                    tokio::time::sleep(timeout).await;
                    closing.cancel();
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    biased;
                    () = self.serve(stream, service, closing.clone()) => {}
                    () = too_long => {}
                }
            }
            Entered::Plain(stream) => self.serve(stream, service, stop).await,
        }
    }

    /// What the connection begins with, in time and where there is room for it.
    async fn shake(
        &self,
        stream: Stream,
        acceptor: &Acceptor,
        stop: &CancellationToken,
    ) -> Option<Entered> {
        let (requests, address) = (&self.requests, self.origin.source);
        let Ok(_under_way) = self.bounds.handshakes.take(self.origin, 1) else {
            requests.reached(Bound::Handshakes, address);
            return None;
        };
        let shaking = requests.handshakes.enter(acceptor, stream, address);
        let timeout = self.bounds.options.first_request_timeout;
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            shaken = tokio::time::timeout(timeout, shaking) => shaken.unwrap_or_else(|_| {
                requests.handshakes.failed(Outcome::Late, address, "the handshake took too long");
                None
            }),
        }
    }

    async fn serve<S: Node>(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        service: Services<S>,
        stop: CancellationToken,
    ) {
        self.requests.update(|counts| counts.connections += 1);
        let client = self.clone();
        let handler = service_fn(move |request: Request<Incoming>| {
            let exchange = client.lifetime.begin();
            let admitted = client.bounds.admit(request.uri().path(), client.origin);
            let (service, client) = (service.clone(), client.clone());
            let (ids, origin) = (&client.requests.ids, client.origin);
            let spans = door::spans_of(request.uri().path(), request.headers(), origin, ids);
            let within = spans.clone();
            let answering = async move {
                let mut response = client.handle(request, service, exchange, admitted).await;
                door::note_refusal(response.headers());
                stamp::stamp(response.headers_mut(), &client.layout);
                Ok::<_, Infallible>(door::within(within, response))
            };
            spans.cover(answering)
        });
        let options = &self.bounds.options;
        let connection = http2::Builder::new(self.clone())
            .timer(TaskTimer)
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::FRAME_BYTES_MAX)
            .max_concurrent_streams(options.streams_per_connection_max)
            .keep_alive_interval(limits::SERVER_KEEPALIVE_INTERVAL)
            .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
            .serve_connection(TokioIo::new(stream), handler);
        let mut connection = std::pin::pin!(connection);
        let mut stopped = std::pin::pin!(stop.cancelled());
        let (mut stopping, mut alarm) = (None, Alarm::default());
        let ended = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(Ok(ended));
                }
                if stopping.is_none() && stopped.as_mut().poll(cx).is_ready() {
                    stopping = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                let (due, over) = self.lifetime.due(stopping, options);
                match over {
                    Some(Bound::ConnectionIdle) => {
                        self.requests.reached(Bound::ConnectionIdle, self.origin.source);
                        stopping = Some(Instant::now());
                        connection.as_mut().graceful_shutdown();
                        continue;
                    }
                    Some(bound) => return Poll::Ready(Err(bound)),
                    None => {}
                }
                let Some(due) = due else { return Poll::Pending };
                if alarm.poll(due, cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = crate::wire::status::chain(&error), "connection ended");
            }
            Err(bound) => self.requests.reached(bound, self.origin.source),
        }
        self.requests.update(|counts| counts.connections -= 1);
    }

    async fn handle<S: Node>(
        &self,
        mut request: Request<Incoming>,
        service: Services<S>,
        exchange: Arc<Exchange>,
        admitted: Result<Vec<Held>, (Bound, String)>,
    ) -> Response<Answered> {
        let (requests, source) = (&self.requests, self.origin.source);
        let received = self.bounds.received_bytes.take(self.origin, 0);
        let (held, received) = match (admitted, received) {
            (Ok(held), Ok(received)) => (held, received),
            (Ok(_), Err(_)) => unreachable!("nothing is always there"),
            (Err((bound, words)), _) => {
                requests.refused();
                requests.reached(bound, source);
                let status = Status::resource_exhausted(words);
                return Answered::new(status.into_http(), None, exchange);
            }
        };
        requests.update(|counts| counts.attempted += 1);
        let in_flight = InFlight {
            requests: requests.clone(),
            succeeded: false,
            began: Instant::now(),
            // How long somebody watches says nothing.
            method: permissions::method(request.uri().path())
                .filter(|_| Question::of(request.uri().path()) != Some(Question::Watch)),
            _held: held,
        };
        let deadline = match timeout_of(request.headers()) {
            Ok(deadline) => deadline,
            Err(status) => {
                return Answered::new(status.into_http(), Some(in_flight), exchange);
            }
        };
        let until = Instant::now() + deadline;
        let late = |_| Status::deadline_exceeded("the request's deadline has passed");
        let path = request.uri().path().to_owned();
        let (secret, is_repair) =
            (take_secret(request.headers_mut()), stamp::is_background(request.headers()));
        let permitted = self.permitted(secret, &path, is_repair);
        let permitted = tokio::time::timeout(deadline, permitted).await.map_err(late);
        let noted = |denied: Denied| {
            requests.denials.note(&denied, source);
            denied.status()
        };
        let caller = match permitted.and_then(|permitted| permitted.map_err(noted)) {
            Ok(caller) => caller,
            Err(status) => return Answered::new(status.into_http(), Some(in_flight), exchange),
        };
        stamp::hear(request.headers(), &self.layout);
        let reached = {
            let requests = requests.clone();
            move |bound| requests.reached(bound, source)
        };
        let mut request =
            request.map(|body| Received::new(body, &path, exchange.clone(), received, reached));
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let call = service.answer(request);
        let left = until.saturating_duration_since(Instant::now());
        let response = match tokio::time::timeout(left, call).await {
            Ok(response) => response,
            Err(elapsed) => late(elapsed).into_http(),
        };
        Answered::new(response, Some(in_flight), exchange)
    }
}

impl Client {
    /// Who asks this, if that has to be somebody, and may.
    async fn permitted(
        &self,
        secret: Result<Option<String>, &'static str>,
        path: &str,
        is_repair: bool,
    ) -> Result<Option<Caller>, Denied> {
        if self.certificate.as_ref().is_some_and(|(shown, taker)| taker.has_revoked(shown)) {
            return Err(Denied::Revoked);
        }
        if Question::of(path).is_some() {
            // Whoever asks, and a secret that comes along is not looked at.
            return match self.beginning {
                Beginning::Refused => Err(Denied::TlsRequired),
                _ => Ok(None),
            };
        }
        let (from, recency) = (self.origin.source, permissions::recency(path));
        let caller = self.tokens.authenticate(&self.beginning, secret, from, recency).await?;
        if let Some(caller) = &caller {
            permissions::check(caller, path, is_repair).map_err(Denied::NotAllowed)?;
        }
        Ok(caller)
    }
}

/// Spawns the tasks of a connection's requests, each with an eye on its client.
impl<F> Executor<F> for Client
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let Some(open) = self.lifetime.begun() else {
            tokio::spawn(async move { drop(task.await) });
            return;
        };
        let (bounds, requests, origin) = (self.bounds.clone(), self.requests.clone(), self.origin);
        tokio::spawn(async move {
            let room = |bytes| bounds.unread_bytes.take(origin, bytes);
            let reached = |bound| requests.reached(bound, origin.source);
            open.exchange.tend(task, &bounds.options, room, reached).await;
        });
    }
}
