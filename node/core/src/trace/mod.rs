//! Request context and trace propagation.
//!
//! Which request some work belongs to, whether a trace is taken of it, and how both go from node to
//! node. At every door a request gets an id ([`RequestId`]) or keeps the one that it came with, and
//! a span whose fields are in each line of the log that belongs to it. Where a trace is taken, the
//! id is that of the trace, and a second span below the first begins it on this node; spans that
//! are made within that one are of the trace too, and no others.
//!
//! What takes traces, and where they go, is the program's affair: a layer of its subscriber, which
//! is found through the span that is asked about, as that of `tracing-error` is. Where the
//! subscriber has no such layer, as on the testbed, nothing is taken and nothing goes along.
//!
//! Invariant: whether a trace is taken is decided once, at the door where the request began.

mod id;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::sync::Arc;

use tracing::instrument::Instrumented;
use tracing::span::{Entered, Id, Span};
use tracing::{Dispatch, Instrument, dispatcher, error_span};

use crate::metrics::{Counter, Registry};

pub use id::{RequestId, RequestIds};

/// The target of spans that begin a trace on this node: [`Request::begin`] and [`own`] make them,
/// and only of requests that are traced.
pub const ROOT: &str = "gitstratum::trace";

/// What some work is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The request.
    pub request: RequestId,
    /// The span that it is within, on whichever node, where a trace is taken.
    pub span: Option<NonZeroU64>,
}

impl Context {
    /// Reads the `traceparent` of W3C's Trace Context. One that says that no trace is taken has an
    /// id all the same.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut next = |digits| id::hexadecimal(parts.next()?, digits);
        let (version, request, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // Later versions may have more parts, and this one has not; ff is no version.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let span = NonZeroU64::new(u64::try_from(span).ok()?)?;
        Some(Context { request: RequestId::new(request)?, span: (flags & 1 == 1).then_some(span) })
    }

    /// The `traceparent` of what is asked of others within the span; none where no trace is taken.
    pub fn to_traceparent(self) -> Option<String> {
        Some(format!("00-{}-{:016x}-01", self.request, self.span?))
    }
}

/// What takes traces.
pub trait Tracer: Send + Sync {
    /// Whether a trace is taken of a request that nobody has decided about yet.
    fn samples(&self, request: RequestId) -> bool;

    /// Whether traces are taken that others have begun.
    fn is_on(&self) -> bool;

    /// Whether callers outside of the cluster say what their requests are called, and whether they
    /// are traced.
    fn believes_callers(&self) -> bool;

    /// A new id for what a node does by itself.
    fn draw(&self) -> RequestId;

    /// Notes that what is done within this span of the subscriber is part of that.
    fn note(&self, subscriber: &Dispatch, span: &Id, context: Context);

    /// What this span of the subscriber is part of.
    fn context(&self, subscriber: &Dispatch, span: &Id) -> Option<Context>;

    /// Has `make` make a span with the target [`ROOT`], below the one of the context or, without
    /// one, as the first of the trace.
    fn begin(&self, context: Context, make: &mut dyn FnMut() -> Span) -> Span;

    /// What became of spans.
    fn numbers(&self) -> SpanNumbers;
}

/// By which a subscriber is asked for what takes traces: its layer gives this out as itself.
pub struct Hook(pub Arc<dyn Tracer>);

/// What became of the spans that ended.
#[derive(Clone, Debug, Default)]
pub struct SpanNumbers {
    /// Those that a collector took.
    pub sent: Counter,
    /// Those that none did.
    pub dropped: Counter,
}

impl SpanNumbers {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Spans of traces that the collector took";
        registry.register("trace_spans_sent", help, self.sent.clone());
        let help = "Spans of traces that were given up: too many waited, or the collector did not \
                    take them";
        registry.register("trace_spans_dropped", help, self.dropped.clone());
    }
}

/// What takes traces here, if anything does.
fn tracer() -> Option<Arc<dyn Tracer>> {
    dispatcher::get_default(|subscriber| tracer_of(subscriber).cloned())
}

fn tracer_of(subscriber: &Dispatch) -> Option<&Arc<dyn Tracer>> {
    subscriber.downcast_ref::<Hook>().map(|Hook(tracer)| tracer)
}

/// Whether callers outside of the cluster say what their requests are called, and whether they are
/// traced.
pub fn believes_callers() -> bool {
    tracer().is_some_and(|tracer| tracer.believes_callers())
}

/// What became of spans here; numbers that stay zero where no traces are taken.
pub fn span_numbers() -> SpanNumbers {
    tracer().map(|tracer| tracer.numbers()).unwrap_or_default()
}

/// What the code that asks is part of.
pub fn current() -> Option<Context> {
    let context =
        |(id, subscriber): (&Id, &Dispatch)| tracer_of(subscriber)?.context(subscriber, id);
    Span::current().with_subscriber(context).flatten()
}

/// A request at a door.
pub struct Request {
    context: Context,
    is_traced: bool,
    tracer: Option<Arc<dyn Tracer>>,
}

impl Request {
    /// The one that `came` from another node, or from a caller who is believed; without that a new
    /// one, which gets its id from `ids`.
    pub fn new(came: Option<Context>, ids: &RequestIds) -> Self {
        let tracer = tracer();
        let context = came.unwrap_or_else(|| Context { request: ids.draw(), span: None });
        let is_traced = tracer.as_ref().is_some_and(|tracer| match came {
            Some(context) => context.span.is_some() && tracer.is_on(),
            None => tracer.samples(context.request),
        });
        Request { context, is_traced, tracer }
    }

    /// Its id.
    pub fn id(&self) -> RequestId {
        self.context.request
    }

    /// The spans that its work is to be done in: `log`, whose fields go into the lines of the log,
    /// and where a trace is taken the one that `traced` makes, with the target [`ROOT`].
    pub fn begin(&self, log: Span, mut traced: impl FnMut() -> Span) -> Spans {
        let Some(tracer) = &self.tracer else { return Spans { log, traced: Span::none() } };
        log.with_subscriber(|(id, subscriber)| {
            let context = Context { request: self.context.request, span: None };
            tracer.note(subscriber, id, context);
        });
        let traced = match self.is_traced {
            true => log.in_scope(|| tracer.begin(self.context, &mut traced)),
            false => Span::none(),
        };
        Spans { log, traced }
    }
}

/// The spans that the work of a request is done in. Both of them are entered: each layer of a
/// subscriber looks for the innermost span of its own among those, and not further up.
#[derive(Clone)]
pub struct Spans {
    log: Span,
    traced: Span,
}

impl Spans {
    /// Has work done in them.
    pub fn cover<F: Future>(&self, work: F) -> Instrumented<Instrumented<F>> {
        work.instrument(self.traced.clone()).instrument(self.log.clone())
    }

    /// Enters them, until what is returned is dropped.
    pub fn enter(&self) -> (Entered<'_>, Entered<'_>) {
        let log = self.log.enter();
        (self.traced.enter(), log)
    }

    /// The one that is traced.
    pub fn traced(&self) -> &Span {
        &self.traced
    }
}

/// Work for a task of its own, as part of what is being done now: within this span, if it is there.
pub fn carried<F: Future>(work: F, span: Span) -> Instrumented<Instrumented<F>> {
    let (log, span) = match current() {
        // The log shows spans around this one, which it looks for only from one of its own.
        Some(Context { span: Some(_), .. }) => {
            let span = if span.is_disabled() { Span::current() } else { span };
            (error_span!("traced"), span)
        }
        _ => (Span::current(), span),
    };
    work.instrument(span).instrument(log)
}

/// The span of something that a node does by itself, and that is a trace of its own: the one that
/// `make` makes with the target [`ROOT`], or none where no trace is taken.
pub fn own(mut make: impl FnMut() -> Span) -> Span {
    let Some(tracer) = tracer() else { return Span::none() };
    let context = Context { request: tracer.draw(), span: None };
    match tracer.samples(context.request) {
        true => tracer.begin(context, &mut make),
        false => Span::none(),
    }
}
