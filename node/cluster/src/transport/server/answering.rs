//! Response body.
//!
//! An answer as it is read: it knows when, and how, its request ended.
//!
//! What is large is handed to the connection in parts, each when the client has made room for the
//! one before, and the last byte by itself: so the request ends when its client takes the end of
//! its answer, and what nobody reads lies here, where it is counted, and not in the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gitstratum_core::limits::ANSWER_PART_BYTES_MAX;
use http::{HeaderMap, Response};
use http_body::Frame;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::lifetime::Exchange;
use super::numbers::Requests;
use super::shares::Held;

/// A smaller answer goes as a whole.
const WHOLE_BYTES_MAX: usize = 64 << 10;

/// One request from its headers to the end of its answer. Dropped undecided (the peer went
/// away, the deadline passed, the handler panicked), it counts as failed.
pub(super) struct InFlight {
    pub(super) requests: Arc<Requests>,
    pub(super) succeeded: bool,
    pub(super) began: Instant,
    /// Of requests that are known.
    pub(super) method: Option<&'static str>,
    pub(super) _held: Vec<Held>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.requests.update(|counts| match self.succeeded {
            true => counts.succeeded += 1,
            false => counts.failed += 1,
        });
        if let Some(method) = self.method {
            self.requests.took(method, self.succeeded, self.began.elapsed());
        }
    }
}

/// The body of an answer.
pub(super) struct Answered {
    body: Body,
    in_flight: Option<InFlight>,
    exchange: Arc<Exchange>,
    /// Data that is still to be handed out.
    rest: Bytes,
}

impl Answered {
    /// The answer to a request. One that fails before any message comes is decided by its headers.
    pub(super) fn new(
        response: Response<Body>,
        in_flight: Option<InFlight>,
        exchange: Arc<Exchange>,
    ) -> Response<Self> {
        // An error before any message comes as a status in the headers.
        let in_flight = in_flight.filter(|_| ok(response.headers()) != Some(false));
        response.map(|body| Answered { body, in_flight, exchange, rest: Bytes::new() })
    }

    /// The next part of the data that there is.
    fn part(&mut self) -> Bytes {
        let part = match self.rest.len() {
            whole if whole <= 1 => whole,
            len => ANSWER_PART_BYTES_MAX.min(len - 1),
        };
        self.exchange.answers(self.rest.len());
        self.rest.split_to(part)
    }
}

/// What a header or trailer block says of the call's success, if it says anything.
fn ok(headers: &HeaderMap) -> Option<bool> {
    headers.get(Status::GRPC_STATUS).map(|status| status == "0")
}

impl http_body::Body for Answered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.exchange.answered();
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.part()))));
        }
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
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) if data.len() > WHOLE_BYTES_MAX => {
                self.rest = data;
                Poll::Ready(Some(Ok(Frame::data(self.part()))))
            }
            Some(Ok(Ok(data))) => {
                self.exchange.answers(data.len());
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Ok(Err(other))) => Poll::Ready(Some(Ok(other))),
            Some(Err(status)) => Poll::Ready(Some(Err(status))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.rest.is_empty() {
            true => self.body.size_hint(),
            false => http_body::SizeHint::default(),
        }
    }
}
