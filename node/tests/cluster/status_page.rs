//! The status page of real nodes: well, without one of them, beside one that stands still, and for those
//! who may see it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::access::Secured;
use crate::monitor::address_of;
use crate::support::{Dev, Serve, git, kill, listen, make_repository, run, signal, wait_until};

/// An answer: its status, its headers in lower case, and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// What comes back for a path, with these lines of headers.
fn ask(address: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn page(address: &str) -> String {
    let answer = ask(address, "/status", "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn wait_for(address: &str, words: &str) -> String {
    let mut last = String::new();
    wait_until(&format!("the page says {words:?}"), || {
        last = page(address);
        last.contains(words)
    });
    last
}

#[test]
fn the_page_says_that_all_is_well_then_who_is_gone_and_waits_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    make_repository(&work, 5);
    let dev = Dev::start(&dir.path().join("data"));
    dev.wait_for_voters();
    let monitors: Vec<String> = dev.nodes.iter().map(address_of).collect();
    let first = &monitors[0];
    git(
        &work,
        &["push", "-q", &format!("{}team/project", dev.nodes[0].git), "HEAD:refs/heads/main"],
    );

    // Every node says so of all of them.
    for monitor in &monitors {
        let said = wait_for(monitor, "All is well: all 3 nodes answer, n");
        for words in ["team/project", "z1", "leads in term", "Nothing is known to lack a replica."]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    let said = page(first);
    // Git may ask more than once for a push.
    let pushes = said.split("data-label=\"Count\">").nth(1).unwrap();
    let count: u64 = pushes.split('<').next().unwrap().parse().unwrap();
    assert!((1..=3).contains(&count), "{said}");
    let answer = ask(first, "/status", "");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ] {
        assert!(answer.head.contains(header), "{header}: {}", answer.head);
    }
    assert!(ask(first, "/status?repositories=team/", "").body.contains(">team/project</th>"));
    assert!(!ask(first, "/status?repositories=x", "").body.contains(">team/project</th>"));

    // One that stands still is told as one that does not answer, and the page is there all the same: a
    // connection has ten seconds, and would be closed without a word.
    signal("-STOP", dev.nodes[1].pid);
    let said = wait_for(first, "n2 does not answer: heard of ");
    assert!(said.contains("2 of 3"), "{said}");
    signal("-CONT", dev.nodes[1].pid);
    wait_for(first, "All is well");

    kill(dev.nodes[2].pid);
    let said = wait_for(first, "n3 does not answer: heard of ");
    for words in ["Clients are served, and somebody should look", "What to do: GitStratumDown"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    kill(dev.nodes[1].pid);
    let said = wait_for(first, "cannot be pushed to or cloned here");
    assert!(said.contains("Clients are affected"), "{said}");
    dev.terminate();
}

#[test]
fn many_who_ask_at_once_are_answered_out_of_one_look() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(&dir.path().join("data"));
    dev.wait_for_voters();
    let monitor = address_of(&dev.nodes[0]);
    let asked = |node: usize| {
        let metrics = ask(&address_of(&dev.nodes[node]), "/metrics", "").body;
        let series =
            "gitstratum_server_request_seconds_count{request=\"Status\",result=\"succeeded\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |count| count.parse::<f64>().unwrap())
    };
    let (before, began) = (asked(1), Instant::now());
    let clients: Vec<_> = (0..48)
        .map(|_| {
            let monitor = monitor.clone();
            std::thread::spawn(move || ask(&monitor, "/status", "").status)
        })
        .collect();
    let mut answered = 0;
    for client in clients {
        // Those who find no room are told to come again.
        match client.join().unwrap() {
            200 => answered += 1,
            status => assert_eq!(status, 503),
        }
    }
    let looks = asked(1) - before;
    assert!(answered >= 16, "{answered}");
    // One a second, and one at each end.
    let looks_max = began.elapsed().as_secs_f64() + 2.0;
    assert!((1.0..=looks_max).contains(&looks), "{looks} looks for {answered} pages");
    // Probes have room beside them.
    assert_eq!(ask(&monitor, "/healthz", "").status, 200);
    dev.terminate();
}

/// As a browser sends a secret.
fn basic(secret: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("me:{secret}"));
    format!("Authorization: Basic {encoded}\r\n")
}

#[test]
fn with_tokens_required_the_page_is_for_their_holders_and_shows_them_their_own() {
    let mut at = Secured::start();
    let monitor = address_of(&at.dev.nodes[0]);
    let secret = at.secrets[0].trim().to_owned();
    let owner = basic(&secret);
    wait_until("the page is there for a token", || {
        ask(&monitor, "/status", &owner).body.contains("All is well: all 3 nodes answer")
    });

    // Nobody else.
    let refused = ask(&monitor, "/status", "");
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("www-authenticate: basic realm="), "{}", refused.head);
    for (headers, status) in [
        (basic(&format!("gst_{}", "0".repeat(64))), 401),
        ("Authorization: Negotiate x\r\n".to_owned(), 401),
        (format!("{owner}{owner}"), 401),
    ] {
        let refused = ask(&monitor, "/status", &headers);
        assert_eq!(refused.status, status, "{}", refused.body);
        assert!(!refused.body.contains("n2") && !refused.body.contains("gst_"), "{}", refused.body);
    }
    let path = format!("/status?token={secret}");
    assert_eq!(ask(&monitor, &path, &owner).status, 400);
    // What is for programs is as it was.
    assert_eq!(ask(&monitor, "/readyz", "").status, 200);

    // One that may read, and of one prefix alone.
    let peers = at.dev.peers();
    for name in ["team/project", "other/project"] {
        run(&["repo", "create", name], &peers);
    }
    let bob = basic(&at.token("bob", "read", "team"));
    let shown = |headers: &str| {
        let answer = ask(&monitor, "/status", headers);
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.body.contains("team/project"), answer.body.contains("other/project"))
    };
    wait_until("the repositories are there", || shown(&owner) == (true, true));
    assert_eq!(shown(&bob), (true, false));
    run(&["token", "revoke", "2"], &peers);
    wait_until("a revoked token is refused", || ask(&monitor, "/status", &bob).status == 401);

    // Two of three are gone, and so is the majority: who was known is shown that.
    for node in [1, 2] {
        kill(at.dev.nodes[node].pid);
    }
    wait_until("the page says that the majority is gone", || {
        ask(&monitor, "/status", &owner).body.contains("Clients are affected")
    });
    let log = at.log(0);
    assert!(at.secrets.iter().all(|secret| !log.contains(secret.trim())));
    assert!(
        log.contains("access tokens that are not known were given to the status page"),
        "{log}"
    );
    at.dev.terminate();
}

/// What comes back for a path from a node whose certificate this authority has signed.
fn by_tls(address: &str, path: &str, authority: &[u8]) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = address.split(':').next().unwrap().to_owned();
    let client = ClientConnection::new(Arc::new(config), host.try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(address).unwrap());
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn with_a_certificate_the_page_and_all_beside_it_come_by_https() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let made = path("certificates");
    run(&["cert", "init", "--dir", &made], "");
    run(&["cert", "issue", "--dir", &made, "127.0.0.1"], "");
    let (monitor, config) = (listen(), path("node.toml"));
    let text = format!(
        "listen = \"{}\"\ndata = \"{}\"\n[monitor]\nlisten = \"{monitor}\"\n\
         certificate = \"{made}/127.0.0.1.pem\"\nkey = \"{made}/127.0.0.1.key\"\n",
        listen(),
        path("data")
    );
    fs::write(&config, text).unwrap();
    let node = Serve::start(&["--config", &config]);
    let authority = fs::read(format!("{made}/authority.pem")).unwrap();
    let https = |path: &str| by_tls(&monitor, path, &authority);
    assert!(https("/readyz").contains("ok store"));
    wait_until("the page is there", || https("/status").contains("All is well: the node answers"));
    // It shows its own, and in how many days it expires.
    let said = https("/status");
    assert!(said.contains("whoever watches it") && said.contains("365 d"), "{said}");
    let mut plain = TcpStream::connect(&monitor).unwrap();
    plain.write_all(b"GET /status HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It is reset, or closed after an alert.
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");
    node.terminate();
}
