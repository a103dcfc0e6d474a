//! Clients that stall. In the real world each of these takes minutes, and is left out of ordinary
//! runs; in the simulated one they take no time: `cargo test-sim -p gitstratum-git -- --ignored`.

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::limits::{GIT_HEADER_TIMEOUT, GIT_STALL_TIMEOUT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::support::{Served, post};
use crate::fixture::{Scripted, id, request};

const V2: &str = "Git-Protocol: version=2\r\n";
/// What is stalled ends within two limits, one of which may have begun just before the stall.
const PATIENCE: Duration = Duration::from_secs(GIT_STALL_TIMEOUT.as_secs() * 2 + 10);

fn fetch() -> Vec<u8> {
    let want = format!("want {}", id(1));
    request(&["command=fetch", "0001", &want, "done", "0000"])
}

#[tokio::test]
#[ignore = "waits for minutes of real time"]
async fn one_who_reads_no_more_is_given_up() {
    let parts = vec![Bytes::from(vec![0; 1 << 20]); 1000];
    let served = Served::new(Scripted { pack: parts, ..Scripted::default() });
    let (mut client, serving) = served.connect(1 << 16);
    client.write_all(&post("a", "git-upload-pack", V2, &fetch())).await.unwrap();
    client.read_exact(&mut [0; 1000]).await.unwrap();
    timeout(PATIENCE, serving).await.expect("it is given up").unwrap();
    assert_eq!(served.count("requests_failed_total"), 1);
}

#[tokio::test]
#[ignore = "waits for minutes of real time"]
async fn one_who_sends_no_more_is_told_so() {
    let served = Served::new(Scripted::default());
    let (mut client, _serving) = served.connect(1 << 16);
    let whole = post("a", "git-upload-pack", V2, &fetch());
    client.write_all(&whole[..whole.len() - 4]).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it is given up").unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("hardly anything came for 60 seconds"), "{answer}");
    assert_eq!(served.count("requests_failed_total"), 1);
}

#[tokio::test]
#[ignore = "waits for minutes of real time"]
async fn one_who_sends_byte_by_byte_is_told_so_and_one_who_sends_slowly_is_not() {
    let slow = |bytes_at_once: usize, times: usize| async move {
        let served = Served::new(Scripted::default());
        let (client, _serving) = served.connect(1 << 16);
        let (mut reader, mut writer) = tokio::io::split(client);
        let command = format!("{} {} refs/a\0report-status", "0".repeat(40), id(1));
        let body = [request(&[&command, "0000"]), vec![b'x'; bytes_at_once * times]].concat();
        let whole = post("a", "git-receive-pack", "", &body);
        let (at_once, rest) = whole.split_at(whole.len() - bytes_at_once * times);
        writer.write_all(at_once).await.unwrap();
        let send = async {
            for part in rest.chunks(bytes_at_once) {
                sleep(GIT_STALL_TIMEOUT / 4).await;
                if writer.write_all(part).await.is_err() {
                    return;
                }
            }
        };
        let mut answer = Vec::new();
        let read = async {
            let read = timeout(PATIENCE, reader.read_to_end(&mut answer)).await;
            read.expect("it is answered").unwrap();
        };
        futures_util::future::join(send, read).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (trickle, steady) = futures_util::future::join(slow(1, 8), slow(2000, 8)).await;
    assert!(!trickle.contains("unpack ok"), "{trickle}");
    assert!(steady.contains("unpack ok"), "{steady}");
}

#[tokio::test]
#[ignore = "waits for a minute of real time"]
async fn a_connection_without_a_request_is_closed() {
    for begun in ["", "GET /a/info"] {
        let served = Served::new(Scripted::default());
        let (mut client, serving) = served.connect(1 << 16);
        client.write_all(begun.as_bytes()).await.unwrap();
        let from = Instant::now();
        timeout(GIT_HEADER_TIMEOUT * 2, serving).await.expect("it is closed").unwrap();
        assert!(from.elapsed() >= GIT_HEADER_TIMEOUT);
    }
}
