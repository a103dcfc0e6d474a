//! The gRPC health service, `grpc.health.v1.Health`, as load balancers and orchestrators ask for it.
//!
//! It answers by the node's checks of readiness, which are looked at with each question; why a node is
//! not ready is no part of the protocol. Its messages are those of `tonic-health`; what that crate has
//! beside them wants to be told whenever something changes, and nobody is told here.
//!
//! Invariant: an answer says no more than one word, because nobody who asks has to say who they are.
//! A stream of them ends when the node stops, so that it keeps nobody waiting.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use gitstratum_core::limits;
use gitstratum_proto::v1::node_server::{Node, NodeServer};
use http::Request;
use tonic::body::Body;
use tonic::{Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_service::Service;

/// What paths of the service begin with.
const PATH: &str = "/grpc.health.v1.Health/";
/// What is answered for: the server as a whole, and each service of it.
const SERVICES: [&str; 3] = ["", "gitstratum.v1.Node", "grpc.health.v1.Health"];

/// Whether clients can be sent to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They can.
    Ready,
    /// They cannot, for now.
    NotReady,
    /// They cannot, and will not be: it was told to stop.
    Stopping,
}

/// Who knows whether they can. It is asked often, and answers from memory.
pub trait ReadinessSource: Send + Sync {
    /// How it is now.
    fn readiness(&self) -> Readiness;
}

/// What a request to the service asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// How it is.
    Check,
    /// How it is, from now on.
    Watch,
}

impl Question {
    /// What a request to this path asks the service, if it is meant.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path.strip_prefix(PATH)? {
            "Check" => Some(Question::Check),
            "Watch" => Some(Question::Watch),
            _ => None,
        }
    }

    /// What it is called in metrics and in the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Question::Check => "HealthCheck",
            Question::Watch => "HealthWatch",
        }
    }
}

/// The services of a server, which requests find by their path.
pub(super) struct Services<S> {
    node: NodeServer<S>,
    health: HealthServer<Answering>,
}

// Not derived: a service that is shared need not be cloned.
impl<S> Clone for Services<S> {
    fn clone(&self) -> Self {
        Services { node: self.node.clone(), health: self.health.clone() }
    }
}

impl<S: Node> Services<S> {
    /// A node, and how it is.
    pub(super) fn new(node: Arc<S>, readiness: Arc<dyn ReadinessSource>) -> Self {
        let node = NodeServer::from_arc(node)
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
        let health = HealthServer::new(Answering(readiness))
            .max_decoding_message_size(limits::HEALTH_REQUEST_BYTES_MAX);
        Services { node, health }
    }
}

impl<S: Node> Services<S> {
    /// What the service that is meant answers; its errors are statuses.
    pub(super) async fn answer<B>(mut self, request: Request<B>) -> http::Response<Body>
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let answered = match request.uri().path().starts_with(PATH) {
            true => self.health.call(request).await,
            false => self.node.call(request).await,
        };
        answered.unwrap_or_else(|never: Infallible| match never {})
    }
}

/// Answers by what somebody knows.
struct Answering(Arc<dyn ReadinessSource>);

impl Answering {
    fn status_of(&self, service: &str) -> Option<ServingStatus> {
        SERVICES.contains(&service).then(|| match self.0.readiness() {
            Readiness::Ready => ServingStatus::Serving,
            Readiness::NotReady | Readiness::Stopping => ServingStatus::NotServing,
        })
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Answering {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.status_of(&request.get_ref().service) {
            Some(status) => Ok(Response::new(answer(status))),
            None => Err(Status::not_found("no service here has this name")),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let watching = Watching { answering: Answering(self.0.clone()), service, said: None };
        Ok(Response::new(Box::pin(unfold(Some(watching), watching_on))))
    }
}

/// A stream of answers.
struct Watching {
    answering: Answering,
    service: String,
    said: Option<ServingStatus>,
}

/// The next that is to be said, and what is behind it; nothing behind the end.
async fn watching_on(
    watching: Option<Watching>,
) -> Option<(Result<HealthCheckResponse, Status>, Option<Watching>)> {
    let mut watching = watching?;
    loop {
        // Known first: a node that stops meanwhile has its last word said all the same.
        let stops = watching.answering.0.readiness() == Readiness::Stopping;
        let status = watching.answering.status_of(&watching.service);
        let status = Some(status.unwrap_or(ServingStatus::ServiceUnknown));
        if status != watching.said {
            watching.said = status;
            return Some((Ok(answer(status?)), Some(watching)));
        }
        if stops {
            return Some((Err(Status::unavailable("the node stops")), None));
        }
        tokio::time::sleep(limits::HEALTH_WATCH_INTERVAL).await;
    }
}
