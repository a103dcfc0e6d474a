//! Request spans of the server: which request one is, in the log and in a trace.
//!
//! A request that came from another node is part of the one that it says. What others say of
//! themselves counts only where the configuration believes callers: whoever could name requests
//! could fill the lines of others' with its own, and make the node trace all that it asks.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use gitstratum_core::trace::{self, Request, RequestIds, Spans};
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;
use tracing::field::Empty;
use tracing::{Span, debug_span, error_span};

use super::permissions;
use super::shares::Origin;
use crate::wire::stamp;

/// The spans that a request with this path and these headers is answered in.
pub(super) fn spans_of(path: &str, headers: &HeaderMap, from: Origin, ids: &RequestIds) -> Spans {
    let is_believed = from.is_member || trace::believes_callers();
    let came = is_believed.then(|| stamp::context_of(headers)).flatten();
    let request = Request::new(came, ids);
    let method = permissions::method(path).unwrap_or("unknown");
    let (id, address): (_, IpAddr) = (request.id(), from.source);
    // At the least verbose level: it is there whatever is logged.
    let log = error_span!("rpc", request = %id, method);
    request.begin(log, || {
        debug_span!(
            target: trace::ROOT,
            "rpc",
            otel.name = method,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system = "grpc",
            rpc.method = method,
            rpc.grpc.status_code = Empty,
            client.address = %address,
        )
    })
}

/// Notes in the current span, and in the log, what a request is refused with, where its headers say so.
pub(super) fn note_refusal(headers: &HeaderMap) {
    let Some(code) = headers.get(Status::GRPC_STATUS).filter(|code| *code != "0") else { return };
    let code = code.to_str().unwrap_or("?");
    let span = Span::current();
    span.record("rpc.grpc.status_code", code).record("otel.status_code", "ERROR");
    let reason = Status::from_header_map(headers);
    let reason = reason.as_ref().map_or("", Status::message);
    tracing::debug!(code, reason, "refused");
}

/// The body of an answer that is made within the spans of its request.
pub(super) struct Within<B> {
    spans: Spans,
    body: B,
}

/// Has the body of an answer made within the spans.
pub(super) fn within<B>(spans: Spans, answer: Response<B>) -> Response<Within<B>> {
    answer.map(|body| Within { spans, body })
}

impl<B: Body + Unpin> Body for Within<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Within { spans, body } = &mut *self;
        let _within = spans.enter();
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
