//! Span exporter: a bounded queue of spans that ended, and the task that sends them in batches.

use std::fmt;
use std::time::Duration;

use gitstratum_cluster::wire::status::chain;
use gitstratum_core::limits;
use gitstratum_core::seldom::Seldom;
use gitstratum_core::trace::SpanNumbers;
use gitstratum_host::Net;
use opentelemetry::Context;
use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::hook::nobody;
use super::send::{Connection, SendError};
use crate::config::Collector;

/// Takes spans as they end, without ever waiting.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    numbers: SpanNumbers,
}

impl Queue {
    /// One with its other end.
    pub(super) fn new(numbers: SpanNumbers) -> (Self, mpsc::Receiver<SpanData>) {
        let (spans, waiting) = mpsc::channel(limits::TRACE_SPANS_WAITING_MAX);
        (Queue { spans, numbers }, waiting)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("room", &self.spans.capacity()).finish_non_exhaustive()
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if span.parent_span_id == nobody(span.span_context.trace_id()) {
            (span.parent_span_id, span.parent_span_is_remote) = (SpanId::INVALID, false);
        }
        if self.spans.try_send(span).is_err() {
            self.numbers.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The task that sends.
pub(super) struct Export {
    finish: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    /// Sends what waits to this collector, as spans of this resource.
    pub(super) fn begin(
        waiting: mpsc::Receiver<SpanData>,
        collector: Collector,
        net: Net,
        resource: &Resource,
        numbers: SpanNumbers,
    ) -> Self {
        let (finish, finishing) = oneshot::channel();
        let exporter = Exporter {
            waiting,
            connection: Connection::new(net, collector),
            resource: resource.into(),
            numbers,
            dropped_told: 0,
            failures: Seldom::default(),
        };
        Export { finish, task: tokio::spawn(exporter.run(finishing)) }
    }

    /// Sends what waits, once, and ends.
    pub(super) async fn finish(self) {
        // It waits for this as long as it lives.
        let _ = self.finish.send(());
        let mut task = self.task;
        if tokio::time::timeout(limits::TRACE_FLUSH_TIMEOUT, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("spans of traces were not all sent before the end");
        }
    }
}

struct Exporter {
    waiting: mpsc::Receiver<SpanData>,
    connection: Connection,
    resource: ResourceAttributesWithSchema,
    numbers: SpanNumbers,
    /// Dropped spans that the log knows of.
    dropped_told: u64,
    failures: Seldom,
}

impl Exporter {
    async fn run(mut self, mut finishing: oneshot::Receiver<()>) {
        loop {
            let mut batch = Vec::new();
            let is_over = tokio::select! {
                biased;
                _ = &mut finishing => true,
                () = gather(&mut self.waiting, &mut batch) => false,
            };
            if is_over {
                return self.send_last(batch).await;
            }
            let sent = self.send_patiently(&batch);
            tokio::select! {
                biased;
                done = sent => self.note(batch.len(), done),
                _ = &mut finishing => return self.send_last(batch).await,
            }
        }
    }

    /// Sends this and what else is there, without waiting for more.
    async fn send_last(&mut self, mut batch: Vec<SpanData>) {
        loop {
            while batch.len() < limits::TRACE_BATCH_SPANS_MAX
                && let Ok(span) = self.waiting.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let body = self.encoded(&batch);
            let done = self.connection.send(body).await;
            self.note(batch.len(), done);
            batch.clear();
        }
    }

    fn encoded(&self, batch: &[SpanData]) -> bytes::Bytes {
        let spans = group_spans_by_resource_and_scope(batch.to_vec(), &self.resource);
        ExportTraceServiceRequest { resource_spans: spans }.encode_to_vec().into()
    }

    /// Sends a batch, more than once where that may help.
    async fn send_patiently(&mut self, batch: &[SpanData]) -> Result<(), SendError> {
        let body = self.encoded(batch);
        let mut pause = limits::TRACE_SEND_PAUSE;
        for _ in 1..limits::TRACE_SEND_ATTEMPTS_MAX {
            match self.connection.send(body.clone()).await {
                Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
                done => return done,
            }
            pause *= 2;
        }
        self.connection.send(body).await
    }

    /// Counts, and says once in a while what was dropped and why.
    fn note(&mut self, spans: usize, done: Result<(), SendError>) {
        let failed = match done {
            Ok(()) => {
                self.numbers.sent.inc_by(spans as u64);
                None
            }
            Err(error) => {
                self.numbers.dropped.inc_by(spans as u64);
                Some(error)
            }
        };
        let dropped = self.numbers.dropped.get() - self.dropped_told;
        if dropped == 0 || self.failures.count().is_none() {
            return;
        }
        self.dropped_told += dropped;
        let reason = match &failed {
            Some(error) => chain(error),
            None => "they come faster than the collector takes them".to_owned(),
        };
        tracing::warn!(dropped, reason, "spans of traces are dropped");
    }
}

/// Waits for spans: for the first as long as it takes, for others until the batch is full or the
/// first has waited long enough. What was taken is in `batch` whenever this is dropped.
async fn gather(waiting: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    match waiting.recv().await {
        Some(span) => batch.push(span),
        // The queue lives as long as the program's subscriber.
        None => return std::future::pending().await,
    }
    let due = Instant::now() + limits::TRACE_BATCH_INTERVAL;
    while batch.len() < limits::TRACE_BATCH_SPANS_MAX {
        let left = due.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, waiting.recv()).await {
            Ok(Some(span)) => batch.push(span),
            Ok(None) | Err(_) => return,
        }
    }
}
