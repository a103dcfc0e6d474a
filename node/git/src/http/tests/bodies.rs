//! Bodies: chunked, compressed, larger than is allowed, cut off, slow, and read by nobody.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gitstratum_core::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Served, get, post};
use crate::fixture::{Scripted, id, lines, request};
use crate::service::{PushOutcome, RepositoryError};

const V2: &str = "Git-Protocol: version=2\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A request in chunks of these sizes, over and over.
fn chunked(headers: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = format!(
        "POST /a/git-upload-pack HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\
         Content-Type: application/x-git-upload-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for part in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn fetch() -> Vec<u8> {
    let want = format!("want {}", id(1));
    let haves: Vec<_> = (0..200).map(|_| format!("have {}", id(2))).collect();
    let mut asked = vec!["command=fetch", "0001", &want];
    asked.extend(haves.iter().map(String::as_str));
    asked.extend(["done", "0000"]);
    request(&asked)
}

#[tokio::test]
async fn gzipped_and_chunked_requests_are_read_whatever_their_parts() {
    let served = Served::new(Scripted::default());
    let expected = ["packfile", "\u{1}PACK", "0000"];
    let (plain, gzipped) = (fetch(), gzip(&fetch()));
    for (encoding, body) in [("", &plain), ("Content-Encoding: gzip\r\n", &gzipped)] {
        let headers = format!("{V2}{encoding}");
        let answer = served.answer(post("a", "git-upload-pack", &headers, body)).await;
        assert_eq!(lines(&answer.body), expected);
        for size in [1, 7, 1000] {
            let answer = served.answer(chunked(&headers, body, size)).await;
            assert_eq!(lines(&answer.body), expected, "{encoding} {size}");
        }
    }
}

#[tokio::test]
async fn damaged_gzip_is_refused_in_a_packet() {
    let served = Served::new(Scripted::default());
    let headers = format!("{V2}Content-Encoding: x-gzip\r\n");
    let whole = gzip(&fetch());
    // Within the checksum at its end nobody looks: by then the request was read and is answered.
    for at in [0, 3, 20, whole.len() / 2] {
        let mut broken = whole.clone();
        broken[at] ^= 0x55;
        for body in [&broken, &whole[..at]] {
            let answer = served.answer(post("a", "git-upload-pack", &headers, body)).await;
            assert_eq!(answer.status, 200);
            let first = &lines(&answer.body)[0];
            assert!(first.starts_with("ERR "), "{at}: {first}");
        }
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_is_refused_in_a_packet() {
    let served = Served::new(Scripted::default());
    let whole = fetch();
    for length in (1..whole.len()).step_by(7) {
        let answer = served.answer(post("a", "git-upload-pack", V2, &whole[..length])).await;
        assert_eq!(answer.status, 200, "{length}");
        let said = lines(&answer.body);
        assert!(said[0].starts_with("ERR "), "{length}: {said:?}");
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_stopped() {
    let served = Served::new(Scripted::default());
    let line = [&b"fff0"[..], &[b'x'; 65_516]].concat();
    let command = format!("{} {} refs/a\0push-options\n", "0".repeat(40), id(1));
    let lines_of_options = [request(&[&command, "0000"]), line.repeat(400)].concat();
    let bomb = gzip(&lines_of_options);
    assert!(bomb.len() < 200_000);
    let headers = "Content-Encoding: gzip\r\n";
    let answer = served.answer(post("a", "git-receive-pack", headers, &bomb)).await;
    let said = &lines(&answer.body)[0];
    assert!(said.contains("inflates to more than 100 times what was received"), "{said}");
}

#[tokio::test]
async fn a_request_of_too_many_lines_is_refused() {
    let served = Served::new(Scripted::default());
    let mut asked = request(&["command=fetch", "0001"]);
    let have = request(&[&format!("have {}", id(2))]);
    asked.extend(have.repeat(limits::FETCH_REQUEST_BYTES_MAX as usize / have.len() + 1));
    let answer = served.answer(post("a", "git-upload-pack", V2, &asked)).await;
    let said = &lines(&answer.body)[0];
    assert!(said.contains("the request is larger than 33554432 bytes"), "{said}");
}

#[tokio::test]
async fn one_who_waits_to_go_on_is_told_so_or_refused_at_once() {
    let served = Served::new(Scripted::default());
    for (name, first) in [("a", "HTTP/1.1 100"), ("missing", "HTTP/1.1 404")] {
        let (mut client, _serving) = served.connect(1 << 16);
        let whole = post(name, "git-upload-pack", "Expect: 100-continue\r\n", b"0000");
        client.write_all(&whole[..whole.len() - 4]).await.unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&status), first);
    }
}

#[tokio::test]
async fn who_is_refused_is_told_so_while_it_still_sends() {
    let outcome = PushOutcome { unpacked: Err("too large".into()), verdicts: vec![Ok(())] };
    let served = Served::new(Scripted { push: Ok(outcome), reads: 1, ..Scripted::default() });
    let command = format!("{} {} refs/a\0report-status", "0".repeat(40), id(1));
    let cases = [
        ("git-receive-pack", request(&[&command, "0000"]), "unpack too large"),
        ("git-receive-pack", request(&["dance"]), "ERR protocol error: expected old/new/ref"),
        ("git-upload-pack", request(&["dance"]), "ERR git upload-pack: protocol error"),
        ("git-dance", request(&["dance"]), "there is nothing at this path"),
    ];
    for (service, begin, told) in cases {
        let (mut client, _serving) = served.connect(1 << 10);
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let body = [begin, vec![b'x'; 3 << 20]].concat();
        let sent = post("a", service, "", &body);
        let mut answer = Vec::new();
        let (sent, read) = futures_util::future::join(
            async { writer.write_all(&sent).await },
            reader.read_to_end(&mut answer),
        )
        .await;
        sent.expect("all of it is taken");
        read.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(told), "{answer}");
    }
    served.until("requests_in_flight", 0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_work_for_it() {
    let endless = vec![Bytes::from(vec![0; 1 << 20]); 1000];
    let long = Duration::from_secs(3600);
    for repository in [
        Scripted { pack: endless, ..Scripted::default() },
        Scripted { thinks: long, ..Scripted::default() },
    ] {
        let served = Served::new(repository);
        let (mut client, _serving) = served.connect(1 << 16);
        let mut begun = [0; 15];
        client.write_all(&post("a", "git-upload-pack", V2, &fetch())).await.unwrap();
        client.read_exact(&mut begun).await.unwrap();
        assert_eq!((&begun, served.count("requests_in_flight")), (b"HTTP/1.1 200 OK", 1));
        drop(client);
        served.until("requests_in_flight", 0).await;
        assert_eq!(served.count("requests_failed_total"), 1);
        served.until("connections", 0).await;
    }
}

#[tokio::test]
async fn a_bare_pack_that_fails_breaks_the_answer_off() {
    let damaged = Err(RepositoryError::Damaged("it is not whole".into()));
    let served = Served::new(Scripted { pack_ends: damaged, ..Scripted::default() });
    let asked = request(&[&format!("want {}", id(1)), "0000", "done"]);
    let (mut client, serving) = served.connect(1 << 16);
    client.write_all(&post("a", "git-upload-pack", "", &asked)).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    serving.await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("NAK") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(served.count("requests_failed_total"), 1);
}

#[tokio::test]
async fn too_many_requests_are_asked_to_come_back() {
    let served = Served::new(Scripted { thinks: Duration::from_secs(3600), ..Scripted::default() });
    let mut clients = Vec::new();
    for _ in 0..limits::GIT_REQUESTS_MAX {
        let (mut client, _serving) = served.connect(1 << 12);
        client.write_all(&post("a", "git-upload-pack", V2, &fetch())).await.unwrap();
        clients.push(client);
    }
    served.until("requests_in_flight", limits::GIT_REQUESTS_MAX as u64).await;
    let answer = served.answer(get("/a/info/refs?service=git-upload-pack", "")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    assert_eq!(served.count("requests_overloaded_total"), 1);
    clients.pop();
    served.until("requests_in_flight", limits::GIT_REQUESTS_MAX as u64 - 1).await;
    let answer = served.answer(get("/a/info/refs?service=git-upload-pack", "")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn at_the_end_what_is_in_flight_is_finished_and_idle_connections_are_closed() {
    let served =
        Served::new(Scripted { thinks: Duration::from_millis(200), ..Scripted::default() });
    let (mut idle, idle_serving) = served.connect(1 << 12);
    let (mut busy, busy_serving) = served.connect(1 << 12);
    busy.write_all(&post("a", "git-upload-pack", V2, &fetch())).await.unwrap();
    served.until("requests_in_flight", 1).await;
    served.stop.cancel();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("PACK"));
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    idle_serving.await.unwrap();
    busy_serving.await.unwrap();
    assert_eq!(served.count("requests_succeeded_total"), 1);
}
