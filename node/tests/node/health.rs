//! The gRPC health service of a node, as any client of the protocol meets it: without a token, under
//! load, and while the node stops.

use std::task::{Context, Poll};

use gitstratum::config::CommandTokens;
use gitstratum_cluster::transport::server::Portions;
use gitstratum_core::placement::{Layout, Member};
use gitstratum_host::rt::TaskExecutor;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::*;

/// How long anything may take here.
const LONGEST: Duration = Duration::from_secs(20);

/// A connection that says nothing of who it is.
#[derive(Clone)]
pub struct Stranger(http2::SendRequest<Body>);

impl Service<http::Request<Body>> for Stranger {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// A client of the protocol, and of nothing else.
pub async fn health_of(node: &Running) -> HealthClient<Stranger> {
    let stream = TcpStream::connect(node.address).await.unwrap();
    let (sender, connection) = http2::handshake(TaskExecutor, TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    HealthClient::with_origin(Stranger(sender), http::Uri::from_static("http://gitstratum"))
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// What is answered for a service.
pub async fn check(
    client: &mut HealthClient<Stranger>,
    service: &str,
) -> Result<ServingStatus, Status> {
    client.check(of(service)).await.map(|answer| answer.into_inner().status())
}

/// What a stream says next; nothing at its end.
async fn next(
    watched: &mut Streaming<HealthCheckResponse>,
) -> Result<Option<ServingStatus>, Status> {
    let message = timeout(LONGEST, watched.message()).await.expect("it is said in time");
    message.map(|message| message.map(|message| message.status()))
}

/// Waits until a node serves.
async fn until_serving(client: &mut HealthClient<Stranger>) {
    let began = Instant::now();
    while check(client, "").await.unwrap() != ServingStatus::Serving {
        assert!(began.elapsed() < LONGEST, "it is not ready");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_node_serves_until_it_is_told_to_stop_and_whoever_watches_keeps_it_from_nothing() {
    let (node, _scratch) = one().await;
    let mut client = health_of(&node).await;
    until_serving(&mut client).await;
    for service in ["", "gitstratum.v1.Node", "grpc.health.v1.Health"] {
        assert_eq!(check(&mut client, service).await.unwrap(), ServingStatus::Serving, "{service}");
    }
    let unknown = check(&mut client, "gitstratum.v2.Node").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "{unknown}");

    let mut watched = client.watch(of("")).await.unwrap().into_inner();
    assert_eq!(next(&mut watched).await.unwrap(), Some(ServingStatus::Serving));
    let mut strange = client.watch(of("gitstratum.v2.Node")).await.unwrap().into_inner();
    assert_eq!(next(&mut strange).await.unwrap(), Some(ServingStatus::ServiceUnknown));
    // Nothing changes, and so nothing is said.
    let silent = timeout(Duration::from_millis(1500), watched.message()).await;
    assert!(silent.is_err(), "{silent:?}");

    let began = Instant::now();
    node.stop.send(()).unwrap();
    assert_eq!(next(&mut watched).await.unwrap(), Some(ServingStatus::NotServing));
    for watched in [&mut watched, &mut strange] {
        assert_eq!(next(watched).await.unwrap_err().code(), Code::Unavailable);
    }
    node.served.await.unwrap().unwrap();
    assert!(began.elapsed() < gitstratum_core::limits::SHUTDOWN_TIMEOUT, "it waited for watchers");
}

#[tokio::test]
async fn a_node_without_its_quorum_does_not_serve() {
    let member = |number: usize| {
        let address = format!("127.0.0.1:{number}");
        Member::active(NodeId::new(format!("n{number}")), address, "z".to_owned(), 1)
    };
    let scratch = scratch();
    let mut config = config("n1", "127.0.0.1:1");
    // Nobody listens where the others should be.
    config.layout = Layout::first((3, 2, 2), (1..=3).map(member).collect());
    config.listen = "127.0.0.1:0".parse().unwrap();
    let node = start_with(config, &scratch.disk).await;
    let mut client = health_of(&node).await;
    assert_eq!(check(&mut client, "").await.unwrap(), ServingStatus::NotServing);
    let mut watched = client.watch(of("gitstratum.v1.Node")).await.unwrap().into_inner();
    assert_eq!(next(&mut watched).await.unwrap(), Some(ServingStatus::NotServing));
    node.stop().await;
}

#[tokio::test]
async fn streams_of_health_have_a_bound_of_their_own_and_questions_find_room_beside() {
    let scratch = scratch();
    let mut config = config("n1", "127.0.0.1:1");
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.server.watches = Portions { all: 3, of_clients: 2, of_one: 2 };
    let node = start_with(config, &scratch.disk).await;
    let mut client = health_of(&node).await;
    let mut watched = Vec::new();
    for _ in 0..2 {
        watched.push(client.watch(of("")).await.unwrap().into_inner());
    }
    let refused = client.watch(of("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("streams of health of one address are open"), "{refused}");
    until_serving(&mut client).await;
    assert_eq!(bounds::reached_in(&node.metrics().await, "watches"), 1);
    // What is given back is there for the next one.
    drop(watched);
    let began = Instant::now();
    while client.watch(of("")).await.is_err() {
        assert!(began.elapsed() < LONGEST, "the room of a stream is not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.stop().await;
}

#[tokio::test]
async fn whoever_has_no_token_is_told_whether_the_node_serves_and_nothing_else() {
    let scratch = scratch();
    let mut config = config("n1", "127.0.0.1:1");
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.access.command_tokens = CommandTokens::Required;
    let node = start_with(config, &scratch.disk).await;
    let mut client = health_of(&node).await;
    until_serving(&mut client).await;
    // A secret that nobody has is not looked at, so this door is none for guessing.
    for _ in 0..100 {
        let mut request = tonic::Request::new(of(""));
        let secret = "Bearer gst_wrong".parse().unwrap();
        request.metadata_mut().insert("authorization", secret);
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let refused = Dialler::new(Net::new(), "").open(&node.address.to_string(), None).await;
    let refused = refused.map(drop).expect_err("it asks for a token").to_string();
    assert!(refused.contains("asks for an access token"), "{refused}");
    node.stop().await;
}
