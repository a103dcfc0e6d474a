//! HTTP answers: a path and a method in, a page of text out.

use bytes::Bytes;
use gitstratum_core::metrics;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::Monitor;
use super::gate::Came;
use super::health::Verdict;

/// What Prometheus asks for, and what it says that it takes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

const PATHS: &str = "\
/metrics   what this node counts and measures, as OpenMetrics text
/healthz   200 as long as the process answers
/readyz    200 while clients can be sent here, else 503; a line says why for each check
/status    how the cluster is, as a page for people
";

impl Monitor {
    /// Answers a request, whose body is not looked at.
    pub(super) async fn answer(&self, request: &Parts, came: Came) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(&request.method) {
            let mut refused =
                page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n".to_owned());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match request.uri.path() {
            "/metrics" => self.metrics(),
            "/healthz" => page(StatusCode::OK, PLAIN, "alive\n".to_owned()),
            "/readyz" => ready(&self.health.check()),
            "/status" => match self.page.load_full() {
                Some(page) => page.answer(&request.uri, &request.headers, came).await,
                None => {
                    let gone = "there is no status page here: the node ends\n".to_owned();
                    page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, gone)
                }
            },
            "/" => page(StatusCode::OK, PLAIN, PATHS.to_owned()),
            _ => page(StatusCode::NOT_FOUND, PLAIN, format!("not found; there are\n{PATHS}")),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        page(StatusCode::OK, OPEN_METRICS, metrics::open_metrics(&self.registry))
    }
}

/// `ok CHECK` or `failed CHECK: why`, a line each.
fn ready(verdicts: &[Verdict]) -> Response<Full<Bytes>> {
    let line = |Verdict { check, failure }: &Verdict| match failure {
        None => format!("ok {}\n", check.name()),
        Some(why) => format!("failed {}: {}\n", check.name(), why.replace('\n', " ")),
    };
    let is_ready = verdicts.iter().all(|verdict| verdict.failure.is_none());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    page(status, PLAIN, verdicts.iter().map(line).collect())
}

/// hyper leaves the body of an answer to HEAD away, and says its length.
fn page(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
