//! Answers: their headers, and their bodies.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gitstratum_core::limits::GIT_RETRY_AFTER;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::credentials;
use super::requests::{InFlight, Outcome};
use super::route::RouteError;
use crate::protocol::{Failure, ProtocolError};
use crate::service::{OpenError, RepositoryError};

/// Tells which lines of the log are about an answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a request is refused before the protocol begins.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("{method} is not what this path takes: {allowed} is")]
    Method { method: Method, allowed: Method },
    #[error("a body of type {expected} is expected here")]
    Type { expected: String },
    #[error("Content-Encoding {0:?} is not understood: gzip is")]
    Encoding(String),
    #[error("too many requests are being worked on: come back later")]
    Overloaded,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Repository(ProtocolError),
    #[error("the request ended in a panic, which is a fault of the server")]
    Panicked,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::Route(error) => match error {
                RouteError::NotFound | RouteError::InvalidPath(_) => StatusCode::NOT_FOUND,
                RouteError::UnknownService(_) | RouteError::Dumb => StatusCode::FORBIDDEN,
                RouteError::SecretInUrl => StatusCode::BAD_REQUEST,
            },
            Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Type { .. } | Refusal::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Open(error) => match error {
                OpenError::NotFound { .. } | OpenError::InvalidName { .. } => StatusCode::NOT_FOUND,
                OpenError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
                OpenError::Forbidden(_) => StatusCode::FORBIDDEN,
                OpenError::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
                OpenError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
            Refusal::Repository(ProtocolError::Repository(error)) => match error {
                RepositoryError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                RepositoryError::Refused(_) => StatusCode::FORBIDDEN,
                RepositoryError::NotOurRef(_)
                | RepositoryError::Damaged(_)
                | RepositoryError::Gone => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Refusal::Repository(_) | Refusal::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer: its reason as text, which git shows its user, and by what the logs call it.
    pub fn answer(&self, request_id: &str, in_flight: Option<InFlight>) -> Response<Body> {
        let status = self.status();
        let in_flight = in_flight.map(|mut in_flight| {
            if status.is_client_error() {
                in_flight.outcome = Outcome::Rejected;
            }
            in_flight
        });
        let content = Content::Text(Some(Bytes::from(format!("{self}\nrequest {request_id}\n"))));
        let mut response =
            response(status, "text/plain; charset=utf-8", request_id, Body { content, in_flight });
        let headers = response.headers_mut();
        match self {
            Refusal::Method { allowed, .. } => {
                headers.insert(ALLOW, value(allowed.as_str()));
            }
            Refusal::Open(OpenError::Unauthorized(_)) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(credentials::CHALLENGE));
            }
            Refusal::Open(OpenError::Limited { retry_after, .. }) => {
                let seconds = retry_after.as_millis().div_ceil(1000) as u64;
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(GIT_RETRY_AFTER.as_secs()));
            }
            _ => {}
        }
        response
    }
}

/// An answer of the protocol.
pub(super) fn of_protocol(content_type: &str, request_id: &str, body: Body) -> Response<Body> {
    response(StatusCode::OK, content_type, request_id, body)
}

fn response(
    status: StatusCode,
    content_type: &str,
    request_id: &str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, value(content_type));
    headers.insert(REQUEST_ID, value(request_id));
    forbid_caching(headers);
    response
}

/// Answers change with every push.
fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT"));
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unprintable"))
}

/// The task of an exchange. Dropped, it ends at its next await.
pub(super) struct Work(pub JoinHandle<Result<(), Failure>>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of an answer.
pub(super) struct Body {
    pub content: Content,
    /// Of a request that is counted.
    pub in_flight: Option<InFlight>,
}

/// What it consists of.
pub(super) enum Content {
    /// Text that is there.
    Text(Option<Bytes>),
    /// What an exchange writes, until its task ends.
    Exchange {
        /// A part that was waited for.
        first: Option<Bytes>,
        /// Those that follow.
        parts: mpsc::Receiver<Bytes>,
        /// Who writes them.
        work: Work,
    },
}

impl Body {
    fn end(&mut self, outcome: Outcome) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.outcome = outcome;
        }
        self.in_flight = None;
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let part = match &mut this.content {
            Content::Text(text) => text.take(),
            Content::Exchange { first, parts, work } => match first.take() {
                Some(first) => Some(first),
                None => match ready!(parts.poll_recv(cx)) {
                    Some(part) => Some(part),
                    None => {
                        let ended = ready!(Pin::new(&mut work.0).poll(cx));
                        let (outcome, broken) = ending(ended.map_err(|_| Refusal::Panicked));
                        this.end(outcome);
                        return Poll::Ready(broken.map(Err));
                    }
                },
            },
        };
        if let (Some(part), Some(in_flight)) = (&part, &this.in_flight) {
            in_flight.requests().sent(part.len());
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Text(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Content::Exchange { .. } => SizeHint::default(),
        }
    }
}

/// How the end of a task counts, and what breaks the answer off, where the client was not told.
pub(super) fn ending(ended: Result<Result<(), Failure>, Refusal>) -> (Outcome, Option<io::Error>) {
    match ended {
        Ok(Ok(())) => (Outcome::Succeeded, None),
        Ok(Err(failure)) => {
            let outcome = match failure.error.is_clients() {
                true => Outcome::Rejected,
                false => Outcome::Failed,
            };
            (outcome, (!failure.told).then(|| io::Error::other(failure)))
        }
        Err(refusal) => (Outcome::Failed, Some(io::Error::other(refusal))),
    }
}
