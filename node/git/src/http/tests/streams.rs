//! HTTP/2: several requests on one connection, and clients that stall one.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_core::limits::{GIT_HEADER_TIMEOUT, GIT_STALL_TIMEOUT};
use gitstratum_host::rt::{TaskExecutor, TaskTimer};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::support::Served;
use crate::fixture::{Scripted, id, lines, request};

type Client = SendRequest<Full<Bytes>>;

/// A client whose streams have this window, and the server's task.
async fn connect(served: &Served, window_bytes: u32) -> (Client, JoinHandle<()>) {
    let (client, stream) = tokio::io::duplex(1 << 20);
    let serving = served.server.clone().serve_streams(stream, "client".into(), served.stop.clone());
    let serving = tokio::spawn(serving);
    let connected = http2::Builder::new(TaskExecutor)
        .timer(TaskTimer)
        .initial_stream_window_size(window_bytes)
        .handshake(TokioIo::new(client))
        .await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    (client, serving)
}

fn advertise() -> Request<Full<Bytes>> {
    let uri = "https://h/a/info/refs?service=git-upload-pack";
    Request::get(uri).body(Full::default()).unwrap()
}

fn fetch() -> Request<Full<Bytes>> {
    let want = format!("want {}", id(1));
    let body = request(&["command=fetch", "0001", &want, "done", "0000"]);
    Request::post("https://h/a/git-upload-pack")
        .header("content-type", "application/x-git-upload-pack-request")
        .header("git-protocol", "version=2")
        .body(Full::from(body))
        .unwrap()
}

async fn read(answer: Response<Incoming>) -> (u16, Bytes) {
    let status = answer.status().as_u16();
    (status, answer.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_side_by_side() {
    let served =
        Served::new(Scripted { thinks: Duration::from_millis(200), ..Scripted::default() });
    let (client, serving) = connect(&served, 1 << 16).await;
    let began = Instant::now();
    let answers = (0..16).map(|n| {
        let mut client = client.clone();
        async move {
            let asked = if n % 2 == 0 { fetch() } else { advertise() };
            read(client.send_request(asked).await.unwrap()).await
        }
    });
    for (n, (status, body)) in join_all(answers).await.into_iter().enumerate() {
        assert_eq!(status, 200);
        let first = if n % 2 == 0 { "packfile" } else { "# service=git-upload-pack" };
        assert_eq!(lines(&body)[0], first);
    }
    assert!(began.elapsed() < Duration::from_millis(8 * 200), "{:?}", began.elapsed());
    assert_eq!(served.count("requests_succeeded_total"), 16);
    drop(client);
    serving.await.unwrap();
    assert_eq!(served.count("connections"), 0);
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_is_in_flight() {
    let served =
        Served::new(Scripted { thinks: Duration::from_millis(300), ..Scripted::default() });
    let (mut client, serving) = connect(&served, 1 << 16).await;
    let answer = client.send_request(fetch());
    served.until("requests_in_flight", 1).await;
    served.stop.cancel();
    assert_eq!(read(answer.await.unwrap()).await.0, 200);
    serving.await.unwrap();
    assert!(client.send_request(advertise()).await.is_err());
}

#[tokio::test]
async fn a_client_that_had_just_connected_when_the_server_stops_is_answered_once() {
    let served = Served::new(Scripted::default());
    let (mut client, serving) = connect(&served, 1 << 16).await;
    served.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(read(client.send_request(advertise()).await.unwrap()).await.0, 200);
    timeout(GIT_HEADER_TIMEOUT, serving).await.expect("it was the last").unwrap();
    assert!(client.send_request(advertise()).await.is_err());
}

#[tokio::test]
#[ignore = "waits for minutes of real time"]
async fn one_who_gives_a_stream_no_window_is_given_up_and_holds_no_room() {
    let pack = vec![Bytes::from(vec![0; 1 << 20]); 100];
    let served = Served::new(Scripted { pack, ..Scripted::default() });
    let (mut client, serving) = connect(&served, 1000).await;
    let answer = client.send_request(fetch()).await.unwrap();
    let from = Instant::now();
    timeout(GIT_STALL_TIMEOUT * 3, serving).await.expect("it is given up").unwrap();
    assert!(from.elapsed() >= GIT_STALL_TIMEOUT);
    drop(answer);
    served.until("requests_in_flight", 0).await;
}

#[tokio::test]
#[ignore = "waits for minutes of real time"]
async fn a_connection_on_which_nothing_is_asked_ends_and_one_that_is_worked_for_does_not() {
    let thinks = GIT_HEADER_TIMEOUT + GIT_STALL_TIMEOUT;
    let served = Served::new(Scripted { thinks, ..Scripted::default() });
    let (mut client, serving) = connect(&served, 1 << 16).await;
    let (status, _) = read(client.send_request(fetch()).await.unwrap()).await;
    assert_eq!(status, 200, "however long it took");
    timeout(GIT_HEADER_TIMEOUT * 2, serving).await.expect("it is closed").unwrap();
}
