//! A collector: takes spans by OTLP over HTTP, and keeps them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.instance.id` of who sent it.
    pub node: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub start: u64,
    pub end: u64,
    pub failed: bool,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// Takes spans until it is dropped.
pub struct Receiver {
    pub endpoint: String,
    spans: Spans,
    _runtime: Runtime,
}

impl Receiver {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address: SocketAddr = crate::support::listen().parse().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let spans = Spans::default();
        runtime.spawn(serve(listener, spans.clone()));
        Receiver { endpoint: format!("http://{address}"), spans, _runtime: runtime }
    }

    /// All that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// Those of one trace.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.trace == id).collect()
    }
}

async fn serve(listener: TcpListener, spans: Spans) {
    while let Ok((stream, _)) = listener.accept().await {
        let spans = spans.clone();
        let taking = service_fn(move |request| take(request, spans.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), taking));
    }
}

async fn take(
    request: Request<Incoming>,
    spans: Spans,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_right = request.method() == "POST"
        && request.uri() == "/v1/traces"
        && request.headers()["content-type"] == "application/x-protobuf";
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut response = Response::new(Full::default());
    match ExportTraceServiceRequest::decode(body) {
        Ok(message) if is_right => spans.lock().unwrap().extend(read(message)),
        _ => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

fn read(message: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in message.resource_spans {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        assert_eq!(resource["service.name"], "gitstratum");
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                node: resource["service.instance.id"].clone(),
                trace: hex::encode(span.trace_id),
                id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
                name: span.name,
                attributes: attributes(span.attributes),
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                failed: span.status.is_some_and(|it| it.code() == SpanStatus::Error),
            });
        }
    }
    spans
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}
