//! Subscriber layer: which spans are OpenTelemetry's, and when they begin.
//!
//! Of all spans those are taken that begin a trace, which are made only where one is taken
//! ([`gitstratum_core::trace`]), and those that are made within one that is taken. So what is not
//! sampled costs the question whether it is within such a span, and no more.

use std::any::TypeId;
use std::sync::{Arc, OnceLock};

use gitstratum_core::trace::{Hook, ROOT};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::Registry;

use super::Traces;
use super::hook::Requests;

/// What is there once traces are taken.
pub(super) struct Started {
    spans: OpenTelemetryLayer<Registry, SdkTracer>,
    /// Owns what the tracer uses.
    _provider: SdkTracerProvider,
    /// The share of requests that are traced.
    pub(super) sample: f64,
    /// Whether callers say whether theirs are.
    pub(super) believes_callers: bool,
}

impl Started {
    pub(super) fn new(
        tracer: SdkTracer,
        provider: SdkTracerProvider,
        sample: f64,
        believes_callers: bool,
    ) -> Self {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false);
        Started { spans, _provider: provider, sample, believes_callers }
    }
}

/// Says what goes into traces.
pub(super) struct OfTraces(pub(super) Arc<OnceLock<Started>>);

impl OfTraces {
    /// Whether a kind of span or event may be part of a trace. Spans at other levels than `debug`
    /// are there for the log, and so are events that are more verbose than `info`.
    fn may_be(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with("gitstratum");
        let level = *metadata.level();
        let may_be = if metadata.is_span() { level == Level::DEBUG } else { level <= Level::INFO };
        is_ours && may_be && self.0.get().is_some()
    }
}

impl Filter<Registry> for OfTraces {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        self.may_be(metadata) && (metadata.target() == ROOT || context.lookup_current().is_some())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.may_be(metadata) {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.get().map_or(LevelFilter::OFF, |_| LevelFilter::DEBUG))
    }
}

/// Makes OpenTelemetry's spans, once traces are taken, and keeps which request spans are of.
pub(super) struct TraceLayer {
    started: Arc<OnceLock<Started>>,
    hook: Hook,
}

impl TraceLayer {
    pub(super) fn new(traces: &Traces) -> Self {
        let (started, numbers) = (traces.started.clone(), traces.numbers.clone());
        let hook = Hook(Arc::new(Requests::new(started.clone(), numbers)));
        TraceLayer { started, hook }
    }

    fn spans(&self) -> Option<&OpenTelemetryLayer<Registry, SdkTracer>> {
        self.started.get().map(|started| &started.spans)
    }
}

impl Layer<Registry> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_new_span(attributes, id, context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_record(id, values, context);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_follows_from(id, follows, context);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_enter(id, context);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_exit(id, context);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, Registry>) {
        if let Some(spans) = self.spans() {
            spans.on_close(id, context);
        }
    }

    // SAFETY: what is given out is `self`, its hook, or what the layer within gives out of itself,
    // each under its own type id; that layer is never replaced and lives as long as `self`.
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        if id == TypeId::of::<Hook>() {
            return Some(std::ptr::from_ref(&self.hook).cast());
        }
        // SAFETY: as above.
        unsafe { self.spans()?.downcast_raw(id) }
    }
}
