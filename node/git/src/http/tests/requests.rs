//! Requests and their answers: statuses, headers, bodies.

use std::time::Duration;

use gitstratum_core::trace::RequestIds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::stopping::NEW_CONNECTION_GRACE;
use super::support::{Answer, Served, get, post};
use crate::fixture::{Scripted, id, lines, request};

const ADVERTISE: &str = "/a/info/refs?service=git-upload-pack";

#[tokio::test]
async fn refs_are_advertised_with_what_git_expects_of_headers() {
    let served = Served::new(Scripted::default());
    let answer = served.answer(get(ADVERTISE, "")).await;
    assert_eq!(answer.status, 200);
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("application/x-git-upload-pack-advertisement"));
    let cache = answer.header("cache-control");
    assert_eq!(cache, Some("no-cache, max-age=0, must-revalidate"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.header("expires"), Some("Fri, 01 Jan 1980 00:00:00 GMT"));
    let first = RequestIds::of_run(0x51).draw().to_string();
    assert_eq!(answer.header("x-request-id"), Some(&*first));
    assert_eq!(lines(&answer.body)[0], "# service=git-upload-pack");
    let v2 = served.answer(get(ADVERTISE, "Git-Protocol: version=2\r\n")).await;
    assert_eq!(lines(&v2.body)[0], "version 2");
    assert_eq!((served.count("requests_succeeded_total"), served.count("connections")), (2, 0));
}

#[tokio::test]
async fn what_is_refused_before_the_protocol_begins_is_plain_text() {
    let served = Served::new(Scripted::default());
    let push = "/info/refs?service=git-receive-pack";
    let cases: &[(String, u16, &str)] = &[
        (
            get("/missing/info/refs?service=git-upload-pack", ""),
            404,
            "repository \"missing\" not found",
        ),
        (get("/a/b/c", ""), 404, "there is nothing at this path"),
        (get("/a/../b/info/refs?service=git-upload-pack", ""), 404, "no repository has this path"),
        (get("/a/info/refs?service=git-dance", ""), 403, "unsupported service: 'git-dance'"),
        (get("/a/info/refs", ""), 403, "smart HTTP only"),
        (get("/a/HEAD", ""), 403, "smart HTTP only"),
        (get("/a/git-upload-pack", ""), 405, "POST is"),
        (get(&format!("/shut{push}"), ""), 403, "nobody may"),
        (get(&format!("/away{push}"), ""), 503, "too few nodes answer"),
        (get(&format!("/half{push}"), ""), 401, "who pushes here has a name"),
        (get(&format!("/often{push}"), ""), 429, "too many wrong ones"),
        (get(&format!("/a{push}&access_token=x"), ""), 400, "a URL is no place for a secret"),
    ];
    for (request, status, text) in cases {
        let answer = served.answer(request).await;
        assert_eq!(answer.status, *status, "{request}");
        assert!(answer.text().contains(text) && answer.text().ends_with('\n'), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let headers =
            [("allow", &[405][..]), ("retry-after", &[429, 503]), ("www-authenticate", &[401])];
        for (header, of) in headers {
            assert_eq!(answer.header(header).is_some(), of.contains(status), "{header}: {status}");
        }
        assert!(*status != 429 || answer.header("retry-after") == Some("3"), "{answer:?}");
    }
    assert_eq!(served.count("requests_rejected_total"), cases.len() as u64 - 1);
    assert_eq!(served.count("requests_failed_total"), 1);
}

#[tokio::test]
async fn each_request_is_authenticated_by_itself() {
    let served = Served::new(Scripted::default());
    let credentials = "Authorization: Basic YW5uOnB3\r\n";
    for (service, without) in [("git-upload-pack", 200), ("git-receive-pack", 401)] {
        for (headers, status) in [("", without), (credentials, 200)] {
            let answer = served.answer(post("half", service, headers, b"0000")).await;
            assert_eq!((answer.status, service), (status, service));
        }
    }
}

#[tokio::test]
async fn the_probe_before_a_chunked_request_is_answered_with_nothing() {
    let served = Served::new(Scripted::default());
    for service in ["git-upload-pack", "git-receive-pack"] {
        for body in [&b"0000"[..], b""] {
            let answer = served.answer(post("a", service, "", body)).await;
            assert_eq!((answer.status, answer.body.len()), (200, 0));
            assert_eq!(answer.header("content-length"), Some("0"));
            let expected = format!("application/x-{service}-result");
            assert_eq!(answer.header("content-type"), Some(&*expected));
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_or_encoding_is_not_looked_at() {
    let served = Served::new(Scripted::default());
    let wrong = String::from_utf8(post("a", "git-upload-pack", "", b"0000")).unwrap();
    let answer = served.answer(wrong.replace("upload-pack-request", "upload-pack-result")).await;
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains("application/x-git-upload-pack-request"));
    let encoded = post("a", "git-upload-pack", "Content-Encoding: br\r\n", b"0000");
    assert_eq!(served.answer(encoded).await.status, 415);
    let typed = wrong.replace("pack-request\r\n", "pack-REQUEST; charset=x\r\n");
    assert_eq!(served.answer(typed).await.status, 200);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let served = Served::new(Scripted::default());
    let want = format!("want {}", id(1));
    let body = request(&["command=fetch", "0001", &want, "done", "0000"]);
    let first = post("a", "git-upload-pack", "Git-Protocol: version=2\r\n", &body);
    let kept = String::from_utf8(first).unwrap().replace("Connection: close\r\n", "");
    let answer = served.answer([kept.as_bytes(), get(ADVERTISE, "").as_bytes()].concat()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(served.count("requests_succeeded_total"), 2);
    assert_eq!((served.count("fetches_total"), served.count("pushes_total")), (1, 0));
    assert!(served.count("received_bytes_total") >= body.len() as u64);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_connection_closed() {
    let served = Served::new(Scripted::default());
    assert_eq!(served.answer("dance\r\n\r\n").await.status, 400);
    let long = format!("X: {}\r\n", "x".repeat(400_000));
    assert_eq!(served.answer(get(ADVERTISE, &long)).await.status, 431);
    let many = "X: x\r\n".repeat(200);
    assert_eq!(served.answer(get(ADVERTISE, &many)).await.status, 431);
    served.until("connections", 0).await;
    assert_eq!(served.count("requests_attempted_total"), 0);
}

#[tokio::test]
async fn a_client_that_had_just_connected_when_the_server_stops_is_answered_once() {
    let served = Served::new(Scripted::default());
    let (mut client, serving) = served.connect(1 << 20);
    let (silent, closing) = served.connect(1 << 20);
    served.until("connections", 2).await;
    served.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Without `Connection: close`: the server says so itself.
    let asked = format!("GET {ADVERTISE} HTTP/1.1\r\nHost: h\r\n\r\n");
    client.write_all(asked.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    let answer = Answer::parse(&bytes);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    serving.await.unwrap();
    // One that says nothing is not waited for as long as headers may take.
    tokio::time::timeout(NEW_CONNECTION_GRACE * 5, closing).await.expect("it is closed").unwrap();
    drop(silent);
}
