//! One request, from its headers to its answer.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Incoming;
use tracing::Instrument;

use super::answer::{self, Body, Content, Refusal, Work};
use super::body::{self, Encoding};
use super::requests::{InFlight, Outcome};
use super::route::{Endpoint, route, shown};
use super::{GitServer, credentials};
use crate::protocol::{self, Failure, Output, Service, Session, Version};
use crate::service::{Caller, Purpose, Repository};

/// By which a client asks for a version of the protocol.
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

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
        let session = self.session();
        let (parts, body) = request.into_parts();
        let span = tracing::info_span!(
            "git",
            request = session.id,
            %address,
            method = %parts.method,
            path = shown(parts.uri.path())
        );
        async {
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
        }
        .instrument(span)
        .await
    }

    /// Looks at the headers, and opens the repository. Nothing of the body is read: a client that
    /// waits for `100 Continue` is refused without it.
    async fn open(&self, parts: &http::request::Parts, address: String) -> Result<Asked, Refusal> {
        let headers = &parts.headers;
        let (name, endpoint) = route(parts.uri.path(), parts.uri.query())?;
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
        let version = headers.get(GIT_PROTOCOL).and_then(|value| value.to_str().ok());
        Ok(Asked { endpoint, version: Version::requested(version), encoding, repository })
    }

    /// Runs the exchange in a task, and answers as soon as there is something to say.
    async fn exchange(
        &self,
        asked: Asked,
        body: Incoming,
        session: Session,
        mut in_flight: InFlight,
    ) -> Response<Body> {
        in_flight.asks(asked.endpoint);
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
                    protocol::serve(service, version, &*repository, body, &output).await
                }
            };
            log(&done);
            done
        };
        let mut work = Work(tokio::spawn(exchange.in_current_span()));
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
        Err(failure) => tracing::warn!(reason = %failure, told = failure.told, "failed"),
    }
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
