//! Traces: spans of requests, sent to a collector by OTLP.
//!
//! A layer of the program's subscriber ([`layer`]) makes OpenTelemetry's spans of those of `tracing`
//! that belong to a traced request; a task ([`export`]) sends them. The layer is there from the
//! beginning, and does nothing, at no cost, until a node's configuration starts it.
//!
//! Invariant: nothing that serves a request ever waits for a collector. What waits to be sent is
//! bounded; what does not fit, or is not taken, is dropped and counted.

mod export;
mod hook;
mod layer;
mod send;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::trace::SpanNumbers;
use gitstratum_host::Net;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::Registry;

use crate::config::TracesConfig;
use export::{Export, Queue};
use layer::{OfTraces, Started, TraceLayer};

/// Takes traces, once it is started. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Traces {
    started: Arc<std::sync::OnceLock<Started>>,
    numbers: SpanNumbers,
}

/// Who sends spans.
pub(crate) struct Service<'a> {
    /// The node.
    pub(crate) node: &'a str,
    /// Its program.
    pub(crate) version: &'static str,
}

/// Spans on their way to a collector.
pub(crate) struct Sending(Export);

impl Traces {
    /// The layer that takes them, for a subscriber that begins with it.
    pub(crate) fn layer(&self) -> impl Layer<Registry> + use<> {
        TraceLayer::new(self).with_filter(OfTraces(self.started.clone()))
    }

    /// Starts to take traces as the configuration says, if it says so; `None` if it does not.
    /// Spans that are being made meanwhile are not traced.
    ///
    /// # Errors
    /// What is wrong with the endpoint.
    pub(crate) fn start(
        &self,
        config: &TracesConfig,
        service: Service<'_>,
        net: Net,
    ) -> Result<Option<Sending>, String> {
        let Some(collector) = config.collector()? else { return Ok(None) };
        let resource = Resource::builder_empty()
            .with_service_name("gitstratum")
            .with_attribute(KeyValue::new("service.instance.id", service.node.to_owned()))
            .with_attribute(KeyValue::new("service.version", service.version))
            .build();
        let (queue, waiting) = Queue::new(self.numbers.clone());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            // What is not traced never gets so far.
            .with_sampler(Sampler::AlwaysOn)
            .with_max_attributes_per_span(limits::TRACE_ATTRIBUTES_MAX)
            .with_max_attributes_per_event(limits::TRACE_ATTRIBUTES_MAX)
            .with_max_events_per_span(limits::TRACE_EVENTS_MAX)
            .with_resource(resource.clone())
            .build();
        let scope = InstrumentationScope::builder("gitstratum").with_version(service.version);
        let tracer = provider.tracer_with_scope(scope.build());
        let started = Started::new(tracer, provider, config.sample, config.believe_callers);
        if self.started.set(started).is_err() {
            unreachable!("a program runs one node, and starts it once");
        }
        // Whoever asked before was told that nothing is taken.
        tracing::callsite::rebuild_interest_cache();
        Ok(Some(Sending(Export::begin(waiting, collector, net, &resource, self.numbers.clone()))))
    }
}

impl Sending {
    /// Sends what has ended so far, for at most `limits::TRACE_FLUSH_TIMEOUT`.
    pub(crate) async fn finish(self) {
        self.0.finish().await;
    }
}
