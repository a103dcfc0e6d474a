//! Answers of the monitoring endpoint, and what clients cannot do to it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicBool;

use gitstratum_cluster::repair::PeerTable;
use gitstratum_core::metrics;
use gitstratum_core::placement::{CurrentLayout, Layout, Member, NodeId};
use gitstratum_host::disk::{Scratch, scratch};
use gitstratum_store::{Fsync, SegmentStore, StoreOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::health::Check;
use super::*;

const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// How long a connection may take here.
const WITHIN: Duration = Duration::from_millis(300);
/// And how long on a machine that does much else.
const LONGEST: Duration = Duration::from_secs(30);

/// Node n1 of a layout of so many, of which no other answers.
async fn monitor(members: usize) -> (Arc<Monitor>, Scratch) {
    let stored = scratch();
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always).reserve_bytes(0);
    let store = SegmentStore::open(stored.disk.clone(), options).await.unwrap();
    let member = |n: usize| {
        let id = NodeId::new(format!("n{n}"));
        Member::active(id, format!("127.0.0.1:{n}"), format!("z{n}"), 1)
    };
    let quorum = members / 2 + 1;
    let numbers = (members, quorum, members + 1 - quorum);
    let layout = Layout::first(numbers, (1..=members).map(member).collect());
    let node = NodeId::new("n1");
    let health = Arc::new(Health {
        peers: Arc::new(PeerTable::new(&layout, &node)),
        node,
        store,
        layout: CurrentLayout::new(layout),
        participant: None,
        stopping: AtomicBool::new(false),
    });
    let mut registry = metrics::registry();
    health.register(&mut registry);
    // The status page tells of a whole node: real ones show it.
    let (registry, page, acceptor) = (Arc::new(registry), ArcSwapOption::empty(), None);
    (Arc::new(Monitor { registry, health, page, acceptor }), stored)
}

fn connect(monitor: &Arc<Monitor>) -> DuplexStream {
    let (client, server) = duplex(1 << 16);
    tokio::spawn(monitor.clone().serve_peer(server, CLIENT, WITHIN));
    client
}

/// All that comes back for a request.
async fn asked(monitor: &Arc<Monitor>, request: &str) -> String {
    let mut client = connect(monitor);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn got(monitor: &Arc<Monitor>, path: &str) -> String {
    asked(monitor, &format!("GET {path} HTTP/1.1\r\nhost: n1\r\n\r\n")).await
}

#[tokio::test]
async fn each_path_has_its_answer_and_others_are_refused_in_words() {
    let (monitor, _stored) = monitor(1).await;
    for (path, status, words) in [
        ("/healthz", "200 OK", "alive\n"),
        ("/readyz", "200 OK", "ok running\nok store\nok quorum\n"),
        ("/readyz?verbose", "200 OK", "ok running"),
        ("/", "200 OK", "/metrics"),
        ("/metrics", "200 OK", "gitstratum_ready{check=\"store\"} 1\n"),
        ("/nothing", "404 Not Found", "there are\n/metrics"),
        ("/status", "503 Service Unavailable", "the node ends"),
    ] {
        let answer = got(&monitor, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
        assert!(answer.contains(words), "{path}: {answer}");
    }
    let metrics = got(&monitor, "/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");

    let head = asked(&monitor, "HEAD /healthz HTTP/1.1\r\nhost: n1\r\n\r\n").await;
    assert!(head.contains("content-length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let posted = asked(&monitor, "POST /metrics HTTP/1.1\r\nhost: n1\r\n\r\n").await;
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("allow: GET, HEAD"), "{posted}");
}

#[tokio::test]
async fn a_node_is_not_ready_while_it_stops_or_too_few_others_answer() {
    let (alone, _stored) = monitor(1).await;
    alone.health.stops();
    let answer = got(&alone, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("failed running: it was told to stop"), "{answer}");
    assert!(got(&alone, "/metrics").await.contains("gitstratum_ready{check=\"running\"} 0\n"));

    let (lonely, _stored) = monitor(3).await;
    let failed: Vec<_> =
        lonely.health.check().into_iter().filter(|verdict| verdict.failure.is_some()).collect();
    let [quorum] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(quorum.check, Check::Quorum);
    let why = quorum.failure.as_deref().unwrap();
    assert!(why.contains("1 members answer") && why.ends_with("silent: n2, n3"), "{why}");
}

#[tokio::test]
async fn who_says_nothing_or_reads_nothing_is_cut_off() {
    let (monitor, _stored) = monitor(1).await;
    let began = Instant::now();
    let mut silent = connect(&monitor);
    let mut half = connect(&monitor);
    half.write_all(b"GET /metr").await.unwrap();
    for client in [&mut silent, &mut half] {
        let ended = timeout(LONGEST, client.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "it is open still");
    }
    assert!(began.elapsed() >= WITHIN);

    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let (mut client, server) = duplex(1 << 12);
    let serving = tokio::spawn(monitor.clone().serve_peer(server, CLIENT, WITHIN));
    // It is closed while this is written, or answered with a refusal.
    let _ = client.write_all(long.as_bytes()).await;
    timeout(LONGEST, serving).await.expect("a header that is too long ends it").unwrap();
}
