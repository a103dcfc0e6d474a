//! Requests of spans: what the rooms of a node ask the layer of traces.
//!
//! The id of a request is kept with its span in the registry, and read there by whoever asks others
//! for something within it. Where a trace is taken, the span of the trace says the same.

use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use gitstratum_core::trace::{Context, RequestId, RequestIds, SpanNumbers, Tracer};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context as OtelContext, ContextGuard};
use rand::TryRngCore;
use rand::rngs::OsRng;
use tracing::span::Id;
use tracing::{Dispatch, Span};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::layer::Started;

/// Kept with a span: which request it is of.
struct Noted(RequestId);

/// Answers what is asked about requests.
pub(super) struct Requests {
    started: Arc<OnceLock<Started>>,
    numbers: SpanNumbers,
    /// Of what the node does by itself.
    own: RequestIds,
}

impl Requests {
    pub(super) fn new(started: Arc<OnceLock<Started>>, numbers: SpanNumbers) -> Self {
        // These are for traces alone: nothing depends on them.
        let run = OsRng.try_next_u64().unwrap_or_default();
        Requests { started, numbers, own: RequestIds::of_run(run) }
    }
}

/// The parent of a trace's first span: nobody, but the library takes the id of the trace from one.
/// What is sent does not have it.
pub(super) fn nobody(trace: TraceId) -> SpanId {
    let half = u128::from_be_bytes(trace.to_bytes()) as u64;
    SpanId::from(half.max(1))
}

fn attached(trace: TraceId, parent: SpanId) -> ContextGuard {
    let (flags, state) = (TraceFlags::SAMPLED, TraceState::default());
    let parent = SpanContext::new(trace, parent, flags, true, state);
    OtelContext::new().with_remote_span_context(parent).attach()
}

impl Tracer for Requests {
    fn samples(&self, request: RequestId) -> bool {
        self.started.get().is_some_and(|started| request.is_within(started.sample))
    }

    fn is_on(&self) -> bool {
        self.started.get().is_some()
    }

    fn believes_callers(&self) -> bool {
        self.started.get().is_some_and(|started| started.believes_callers)
    }

    fn draw(&self) -> RequestId {
        self.own.draw()
    }

    fn note(&self, subscriber: &Dispatch, span: &Id, context: Context) {
        let registry = subscriber.downcast_ref::<Registry>();
        if let Some(span) = registry.and_then(|registry| registry.span(span)) {
            span.extensions_mut().replace(Noted(context.request));
        }
    }

    fn context(&self, subscriber: &Dispatch, span: &Id) -> Option<Context> {
        let span = subscriber.downcast_ref::<Registry>()?.span(span)?;
        for span in span.scope() {
            if let Some(Noted(request)) = span.extensions().get() {
                return Some(Context { request: *request, span: None });
            }
            let Some(context) = get_otel_context(&span.id(), subscriber) else { continue };
            let context = context.span().span_context().clone();
            let request = RequestId::new(u128::from_be_bytes(context.trace_id().to_bytes()));
            if let Some(request) = request {
                let span = NonZeroU64::new(u64::from_be_bytes(context.span_id().to_bytes()));
                return Some(Context { request, span });
            }
        }
        None
    }

    fn begin(&self, context: Context, make: &mut dyn FnMut() -> Span) -> Span {
        let trace = TraceId::from(context.request.value());
        let parent = context.span.map_or_else(|| nobody(trace), |span| SpanId::from(span.get()));
        let _attached = attached(trace, parent);
        make()
    }

    fn numbers(&self) -> SpanNumbers {
        self.numbers.clone()
    }
}
