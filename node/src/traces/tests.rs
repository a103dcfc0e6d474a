//! Tests of what is taken, of what goes along, and of the bound on what waits.

use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Mutex;

use gitstratum_core::trace::{self, Context, Request, RequestIds, Spans};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{debug_span, error_span, info_span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A subscriber of this thread alone, and the spans that it would send.
struct Taken {
    _subscriber: DefaultGuard,
    log: Log,
    spans: mpsc::Receiver<SpanData>,
    numbers: SpanNumbers,
}

impl Taken {
    fn start(sample: f64) -> Self {
        let traces = Traces::default();
        let log = Log::default();
        let writer = log.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.with_ansi(false).with_filter(LevelFilter::INFO);
        let subscriber = set_default(registry().with(traces.layer()).with(layer));
        let (queue, spans) = Queue::new(traces.numbers.clone());
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        let started = Started::new(provider.tracer("test"), provider, sample, false);
        assert!(traces.started.set(started).is_ok());
        tracing::callsite::rebuild_interest_cache();
        Taken { _subscriber: subscriber, log, spans, numbers: traces.numbers }
    }

    fn said(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    fn ended(&mut self) -> Vec<SpanData> {
        std::iter::from_fn(|| self.spans.try_recv().ok()).collect()
    }
}

fn within<T>(request: &Request, look: impl FnOnce() -> T) -> T {
    let spans = begin(request);
    let _within = spans.enter();
    look()
}

fn begin(request: &Request) -> Spans {
    let log = error_span!("log", request = %request.id());
    request.begin(log, || debug_span!(target: trace::ROOT, "door"))
}

#[test]
fn a_trace_has_the_request_s_id_and_what_is_within_it_and_nothing_else() {
    let mut taken = Taken::start(1.0);
    let request = Request::new(None, &RequestIds::of_run(7));
    drop(debug_span!("before"));
    within(&request, || {
        let within = debug_span!("within").entered();
        tracing::info!("said");
        drop(info_span!("for the log alone"));
        drop(within);
    });
    drop(debug_span!("after"));
    let spans = taken.ended();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["within", "door"]);
    let [within, door] = &spans[..] else { unreachable!("there are two") };
    for span in &spans {
        assert_eq!(span.span_context.trace_id().to_string(), request.id().to_string());
    }
    assert_eq!(door.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    assert_eq!(within.parent_span_id, door.span_context.span_id());
    assert_eq!(within.events.len(), 1);
}

#[test]
fn what_goes_along_names_the_span_that_is_traced_and_else_the_request_alone() {
    let mut taken = Taken::start(0.0);
    let ids = RequestIds::of_run(7);
    assert_eq!(trace::current(), None);
    // Not sampled: the id goes along.
    let request = Request::new(None, &ids);
    let current = within(&request, || debug_span!("within").in_scope(trace::current));
    assert_eq!(current, Some(Context { request: request.id(), span: None }));
    assert!(taken.ended().is_empty());
    // Decided by who sent it, whatever is sampled here.
    let came = Context { request: ids.draw(), span: NonZeroU64::new(9) };
    let request = Request::new(Some(came), &ids);
    let current = within(&request, trace::current).unwrap();
    let [door] = &taken.ended()[..] else { panic!("one span") };
    assert_eq!(door.parent_span_id, opentelemetry::trace::SpanId::from(9));
    let own = u64::from_be_bytes(door.span_context.span_id().to_bytes());
    assert_eq!(current, Context { request: came.request, span: NonZeroU64::new(own) });
    let came = Context { span: None, ..came };
    let request = Request::new(Some(came), &ids);
    assert_eq!(within(&request, trace::current), Some(came));
    assert!(taken.ended().is_empty());
}

#[tokio::test]
async fn work_for_another_task_takes_its_trace_along_and_lines_of_the_log_their_request() {
    let mut taken = Taken::start(1.0);
    let request = Request::new(None, &RequestIds::of_run(7));
    let work = async {
        tracing::info!("said within");
        trace::current()
    };
    let work = within(&request, || trace::carried(work, debug_span!("task")));
    let context = tokio::spawn(work).await.unwrap().unwrap();
    assert_eq!((context.request, context.span.is_some()), (request.id(), true));
    let line = format!("log{{request={}}}:traced: ", request.id());
    assert!(taken.said().contains(&line), "{}", taken.said());
    let spans = taken.ended();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(named("task").parent_span_id, named("door").span_context.span_id());
}

#[test]
fn what_a_node_does_by_itself_is_a_trace_by_itself() {
    let mut taken = Taken::start(1.0);
    for _ in 0..2 {
        trace::own(|| debug_span!(target: trace::ROOT, "repair")).in_scope(|| ());
    }
    let [one, other] = &taken.ended()[..] else { panic!("two spans") };
    assert_ne!(one.span_context.trace_id(), other.span_context.trace_id());
    assert_eq!(one.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    drop(taken);
    let mut taken = Taken::start(0.0);
    assert!(trace::own(|| unreachable!("it is not sampled")).is_none());
    assert!(taken.ended().is_empty());
}

#[test]
fn spans_past_the_bound_are_dropped_and_counted() {
    let mut taken = Taken::start(1.0);
    let more = 3;
    for _ in 0..limits::TRACE_SPANS_WAITING_MAX + more {
        drop(trace::own(|| debug_span!(target: trace::ROOT, "work")));
    }
    assert_eq!(taken.numbers.dropped.get(), more as u64);
    assert_eq!(taken.ended().len(), limits::TRACE_SPANS_WAITING_MAX);
}
