//! Misuse of HTTP/2 and TLS at the port of nodes: what no library would send, and that others are served.

use gitstratum_cluster::transport::server::ServerOptions;
use gitstratum_core::limits::FRAME_BYTES_MAX;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::raw::{
    CONTINUATION, Came, DATA, END_HEADERS, HEADERS, RESET, RawClient, WINDOW_UPDATE, connect,
    headers,
};
use super::*;

const ATTACKER: &str = "127.0.0.2";
const WINDOW: u32 = 1 << 20;
/// Of waiting for a request.
const PATIENCE: Duration = Duration::from_millis(300);

/// A node that waits no longer for what is begun.
async fn impatient() -> (Running, Scratch) {
    let scratch = scratch();
    let mut config = config("n1", "127.0.0.1:1");
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.server = ServerOptions { first_request_timeout: PATIENCE, ..config.server };
    (start_with(config, &scratch.disk).await, scratch)
}

impl Running {
    async fn attacker(&self) -> RawClient {
        RawClient::connect(ATTACKER, self.address, WINDOW).await
    }

    /// An honest client is served, and nothing of anybody else's is in flight.
    async fn is_unharmed(&self) {
        let put = self.rpc().await.put(v1::PutRequest { object: Some(hello()) }).await;
        put.expect("an honest client is served");
        for _ in 0..500 {
            if self.metrics().await.count("gitstratum_server_requests_in_flight") == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("requests of the attacker are in flight");
    }
}

/// The connection is closed, whatever it was that did it.
async fn is_closed(mut client: RawClient, what: &str) {
    client.listen_until(|client| client.came(0) == Came::Closed).await;
    assert_eq!(client.came(0), Came::Closed, "{what}");
}

#[tokio::test]
async fn headers_that_never_end_are_given_up_and_so_are_those_that_are_too_long() {
    let (node, _scratch) = impatient().await;
    let mut slow = node.attacker().await;
    slow.frame(HEADERS, 0, 1, &headers("Put")[..20]).await;
    is_closed(slow, "half a header").await;
    let mut flood = node.attacker().await;
    flood.frame(HEADERS, 0, 1, &headers("Put")).await;
    let line = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(100);
    for _ in 0..1000 {
        flood.frame(CONTINUATION, 0, 1, &line).await;
    }
    is_closed(flood, "ten megabytes of headers").await;
    // Ended well, but longer than any request needs.
    let mut long = node.attacker().await;
    long.frame(HEADERS, 0, 1, &headers("Status")).await;
    for _ in 0..4 {
        long.frame(CONTINUATION, 0, 1, &line).await;
    }
    long.frame(CONTINUATION, END_HEADERS, 1, &line).await;
    long.listen_until(|client| client.came(1) != Came::Nothing).await;
    assert_ne!(long.came(1), Came::Nothing);
    assert_eq!(long.received, 0, "no status is told");
    node.is_unharmed().await;
    node.stop().await;
}

#[tokio::test]
async fn frames_that_are_too_large_or_out_of_place_end_their_connection_and_no_other() {
    let (node, _scratch) = one().await;
    let oversized = (FRAME_BYTES_MAX + 1).to_be_bytes();
    for (what, kind, stream, payload) in [
        ("a request on a stream of the server's", HEADERS, 2, headers("Status")),
        ("data that belong to no request", DATA, 0, vec![0; 10]),
        ("data of a request that never began", DATA, 9, vec![0; 10]),
        ("more of headers that nobody began", CONTINUATION, 1, headers("Status")),
        ("no more room than there was", WINDOW_UPDATE, 0, vec![0; 4]),
        ("more room than can be counted", WINDOW_UPDATE, 0, vec![0x7f, 0xff, 0xff, 0xff]),
        ("half a number", WINDOW_UPDATE, 0, vec![0; 3]),
        ("the end of what never began", RESET, 9, vec![0, 0, 0, 8]),
    ] {
        let mut client = node.attacker().await;
        client.frame(kind, END_HEADERS, stream, &payload).await;
        is_closed(client, what).await;
    }
    let mut client = node.attacker().await;
    let stream = client.begin("Put").await;
    let head = [&oversized[1..], &[DATA, 0], &stream.to_be_bytes()].concat();
    client.bytes(&head).await;
    is_closed(client, "a frame above the bound").await;
    node.is_unharmed().await;
    node.stop().await;
}

#[tokio::test]
async fn requests_that_are_taken_back_as_soon_as_they_are_made_end_their_connection() {
    let (node, _scratch) = one().await;
    let mut client = node.attacker().await;
    let reset = [0, 0, 0, 8];
    for number in 0..2000 {
        let stream = 2 * number + 1;
        client.frame(HEADERS, END_HEADERS, stream, &headers("Status")).await;
        client.frame(RESET, 0, stream, &reset).await;
    }
    is_closed(client, "resets").await;
    node.is_unharmed().await;
    node.stop().await;
}

#[tokio::test]
async fn what_is_no_method_and_what_is_packed_is_refused_before_it_is_looked_at() {
    let (node, _scratch) = one().await;
    let failed = async || node.metrics().await.count("gitstratum_server_requests_failed_total");
    let before = failed().await;
    let mut client = node.attacker().await;
    for (method, flag) in
        [("Nothing", 0), ("../Snapshot", 0), ("Put%00", 0), ("Put", 1), ("PutBatch", 1)]
    {
        let stream = client.begin(method).await;
        // A message that would unpack to a thousand times as much.
        let packed = [&[flag][..], &100u32.to_be_bytes(), &[0; 100]].concat();
        client.send(stream, &packed, true).await;
        client.listen_until(|client| client.came(stream) != Came::Nothing).await;
        assert_ne!(client.came(stream), Came::Nothing, "{method}");
    }
    assert_eq!(client.received, 0, "nothing was answered but why not");
    assert_eq!(failed().await, before + 5);
    assert_eq!(node.metrics().await.count("gitstratum_store_objects"), 0);
    node.is_unharmed().await;
    node.stop().await;
}

#[tokio::test]
async fn names_that_lead_elsewhere_or_break_a_line_are_refused_and_nothing_is_made() {
    let (node, scratch) = one().await;
    let mut rpc = node.rpc().await;
    let long = "n".repeat(1 << 16);
    for name in ["", ".", "..", "../up", "a/b", "/tmp/up", "a\0b", "a\nb", "a\x1b[2J", &long] {
        let refused = rpc.snapshot(v1::SnapshotRequest { name: name.into() }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name:?}: {refused}");
        assert!(!refused.message().contains(|c: char| c.is_control()), "{refused:?}");
        let job = v1::JobRequest { job: name.into(), order: v1::JobOrder::Start.into() };
        let refused = rpc.job(job).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name:?}: {refused}");
    }
    assert!(!scratch.disk.exists("up").await.unwrap(), "beside the snapshots");
    node.is_unharmed().await;
    node.stop().await;
}

/// Files of a node with an authority of its own.
fn certificates(dir: &Path) -> gitstratum::config::TlsConfig {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::from_ca_cert_pem(&authority, key).unwrap();
    let mut params = CertificateParams::new(["n1.node.gitstratum.internal".to_owned()]).unwrap();
    params.extended_key_usages = vec![
        rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        rcgen::ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    let file = |name: &str, content: &str| {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, permissions).unwrap();
        Some(path)
    };
    gitstratum::config::TlsConfig {
        certificate: file("n1.pem", &certificate),
        key: file("n1.key", &key.serialize_pem()),
        authority: file("authority.pem", &authority),
        revoked: None,
        mode: gitstratum::config::TlsMode::Accepted,
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() {
    let (scratch, dir) = (scratch(), tempfile::tempdir().unwrap());
    let mut config = config("n1", "127.0.0.1:1");
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.server.first_request_timeout = PATIENCE;
    config.tls = certificates(dir.path());
    let node = start_with(config, &scratch.disk).await;
    // Nothing; one byte; the beginning of a hello that is to have a thousand.
    for sent in [&[][..], &[0x16], &[0x16, 3, 1, 3, 0xe8, 1]] {
        let mut stream = connect(ATTACKER, node.address).await;
        stream.write_all(sent).await.unwrap();
        let mut read = [0; 100];
        let ended = tokio::time::timeout(10 * PATIENCE, stream.read(&mut read)).await;
        let ended = ended.unwrap_or_else(|_| panic!("{sent:?} is waited for"));
        assert!(matches!(ended, Ok(0) | Err(_)), "{sent:?}: {ended:?}");
    }
    let metrics = node.metrics().await;
    let late = metrics.0.iter().find(|sample| {
        sample.name == "gitstratum_server_handshakes_total"
            && sample.labels.iter().any(|(_, value)| value == "late")
    });
    assert!((late.unwrap().value - 3.0).abs() < 0.1, "{late:?}");
    node.is_unharmed().await;
    node.stop().await;
}
