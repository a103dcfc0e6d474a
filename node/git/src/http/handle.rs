//! One request, from its headers to its answer.

use std::sync::Arc;

use gitstratum_core::trace::{self, Context, Request as Begun};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Incoming;
use tracing::field::Empty;
use tracing::{Span, debug_span, error_span};

use super::answer::{self, Body, Content, Refusal, Work};
use super::body::{self, Encoding};
use super::requests::{InFlight, Outcome};
use super::route::{Endpoint, route, shown};
use super::{GitServer, credentials};
use crate::protocol::{self, Failure, Output, Service, Session, Version};
use crate::service::{Caller, Purpose, Repository};

/// By which a client asks for a version of the protocol.
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");
/// By which a proxy says of what trace a request is part.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// What is known once the headers were read.
struct Asked {
    endpoint: Endpoint,
    version: Version,
    encoding: Encoding,
    repository: Arc<dyn Repository>,
}

impl GitServer {
    /// Answers a request of the client at `address`.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        address: String,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let begun = Begun::new(context_of(&parts.headers), &self.ids);
        let session = Session { id: begun.id().to_string() };
        let path = shown(parts.uri.path());
        // At the least verbose level: it is there whatever is logged.
        let log = error_span!("git", request = %session.id, %address, method = %parts.method, path);
        let spans = begun.begin(log, || {
            debug_span!(
                target: trace::ROOT,
                "git",
                otel.name = Empty,
                otel.kind = "server",
                otel.status_code = Empty,
                service = Empty,
                repository = Empty,
                protocol = Empty,
                client.address = %address,
                http.request.method = %parts.method,
                http.response.status_code = Empty,
            )
        });
        let answer = async {
            let Ok(permit) = self.room.clone().try_acquire_owned() else {
                self.requests.refuse();
                body::drain(body, self.requests.clone());
                return Refusal::Overloaded.answer(&session.id, None);
            };
            let in_flight = self.requests.begin(permit);
            match self.open(&parts, address.clone()).await {
                Ok(asked) => self.exchange(asked, body, session, in_flight).await,
                Err(refusal) => {
                    tracing::debug!(reason = %refusal, "refused");
                    // One who waits to be told to go on has sent nothing, and need not.
                    if !parts.headers.contains_key(EXPECT) {
                        body::drain(body, self.requests.clone());
                    }
                    refusal.answer(&session.id, Some(in_flight))
                }
            }
        };
        let answer = spans.cover(answer).await;
        let status = answer.status();
        spans.traced().record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            spans.traced().record("otel.status_code", "ERROR");
        }
        answer
    }

    /// Looks at the headers, and opens the repository. Nothing of the body is read: a client that
    /// waits for `100 Continue` is refused without it.
    async fn open(&self, parts: &http::request::Parts, address: String) -> Result<Asked, Refusal> {
        let headers = &parts.headers;
        let (name, endpoint) = route(parts.uri.path(), parts.uri.query())?;
        let version = headers.get(GIT_PROTOCOL).and_then(|value| value.to_str().ok());
        let version = Version::requested(version);
        // Before there is any span below it: then it has its name.
        let span = Span::current();
        span.record("otel.name", endpoint.traced_as()).record("repository", &name);
        span.record("service", endpoint.service().as_str());
        span.record("protocol", tracing::field::debug(version));
        let allowed = endpoint.method();
        if parts.method != allowed {
            return Err(Refusal::Method { method: parts.method.clone(), allowed });
        }
        let mut encoding = Encoding::Identity;
        if let Endpoint::Exchange(service) = endpoint {
            check_type(headers, service)?;
            let named = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
            encoding = Encoding::of(named)
                .ok_or_else(|| Refusal::Encoding(named.unwrap_or_default().to_owned()))?;
        }
        let purpose = match endpoint.service() {
            Service::UploadPack => Purpose::Fetch,
            Service::ReceivePack => Purpose::Push,
        };
        let caller = Caller { credentials: credentials::of(headers), address, identity: None };
        let repository = self.repositories.open(&name, purpose, &caller).await?;
        Ok(Asked { endpoint, version, encoding, repository })
    }

    /// Runs the exchange in a task, and answers as soon as there is something to say.
    async fn exchange(
        &self,
        asked: Asked,
        body: Incoming,
        session: Session,
        mut in_flight: InFlight,
    ) -> Response<Body> {
        in_flight.asks(asked.endpoint, asked.version);
        let (output, mut parts) = Output::channel();
        let Asked { endpoint, version, encoding, repository } = asked;
        let (service, request_id) = (endpoint.service(), session.id.clone());
        let requests = self.requests.clone();
        let exchange = async move {
            let done = match endpoint {
                Endpoint::Advertisement(_) => {
                    protocol::advertise(service, version, &*repository, &session, &output)
                        .await
                        .map_err(|error| Failure { error, told: false })
                }
                Endpoint::Exchange(_) => {
                    requests.exchange(service);
                    let body = body::stream(body, encoding, requests);
                    let id = &session.id;
                    protocol::serve((service, version), id, &*repository, body, &output).await
                }
            };
            log(&done);
            done
        };
        let mut work = Work(tokio::spawn(trace::carried(exchange, Span::none())));
        let content_type = content_type(endpoint);
        let Some(first) = parts.recv().await else {
            return finished((&mut work.0).await, &content_type, &request_id, in_flight);
        };
        let content = Content::Exchange { first: Some(first), parts, work };
        let body = Body { content, in_flight: Some(in_flight) };
        answer::of_protocol(&content_type, &request_id, body)
    }
}

/// The answer of an exchange that ended without a word.
fn finished(
    ended: Result<Result<(), Failure>, tokio::task::JoinError>,
    content_type: &str,
    request_id: &str,
    mut in_flight: InFlight,
) -> Response<Body> {
    match ended {
        Ok(Ok(())) => {
            in_flight.outcome = Outcome::Succeeded;
            let body = Body { content: Content::Text(None), in_flight: Some(in_flight) };
            answer::of_protocol(content_type, request_id, body)
        }
        Ok(Err(failure)) => Refusal::Repository(failure.error).answer(request_id, Some(in_flight)),
        Err(_) => Refusal::Panicked.answer(request_id, Some(in_flight)),
    }
}

fn log(done: &Result<(), Failure>) {
    match done {
        Ok(()) => tracing::debug!("served"),
        Err(failure) if failure.error.is_clients() => {
            tracing::debug!(reason = %failure, "rejected");
        }
        Err(failure) => {
            Span::current().record("otel.status_code", "ERROR");
            tracing::warn!(reason = %failure, told = failure.told, "failed");
        }
    }
}

/// What a proxy says of a request, where callers are believed.
fn context_of(headers: &HeaderMap) -> Option<Context> {
    let parent = headers.get(TRACE_PARENT).filter(|_| trace::believes_callers())?;
    Context::from_traceparent(parent.to_str().ok()?)
}

fn content_type(endpoint: Endpoint) -> String {
    match endpoint {
        Endpoint::Advertisement(service) => {
            format!("application/x-{}-advertisement", service.as_str())
        }
        Endpoint::Exchange(service) => format!("application/x-{}-result", service.as_str()),
    }
}

/// Makes sure that a request is of the type that its service takes.
fn check_type(headers: &HeaderMap, service: Service) -> Result<(), Refusal> {
    let expected = format!("application/x-{}-request", service.as_str());
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim();
    match named.eq_ignore_ascii_case(&expected) {
        true => Ok(()),
        false => Err(Refusal::Type { expected }),
    }
}
