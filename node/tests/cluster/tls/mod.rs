//! Mutual TLS at the nodes' port: who is let in, what everybody else is told, certificates that
//! change, and a cluster that is brought to it while it is written to.

mod misuse;
mod nodes;
mod revoked;
mod rollout;
mod tokens;

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use gitstratum_core::limits::TOKENS_KNOWN_FOR_MAX;

use crate::monitor::get;
use crate::support::{make_repository, wait_until};
use nodes::{Nodes, Tls, text};
use tokens::{token, with_token};

#[test]
fn three_nodes_replicate_and_serve_git_by_tls_alone() {
    let mut nodes = Nodes::new();
    (0..3).for_each(|node| nodes.configure_access(node, Tls::Required, "accepted"));
    (0..3).for_each(|node| nodes.start(node));
    nodes.wait_for_voters();
    let file = nodes.path("file");
    fs::write(&file, "replicated").unwrap();
    let id = nodes.run(&["put", text(&file)]);
    wait_until("all three have it", || nodes.holders(id.trim()) == 3);

    let (work, clone) = (nodes.path("work"), nodes.path("clone"));
    make_repository(&work, 20);
    let git = |dir: &std::path::Path, arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(dir).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = git.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&work, &["push", "-q", &nodes.url(0), "main"]);
    git(nodes.dir(), &["clone", "-q", "--bare", &nodes.url(2), text(&clone)]);
    assert_eq!(git(&clone, &["rev-parse", "main"]), git(&work, &["rev-parse", "main"]));
    nodes.run(&["repo", "verify", "project"]);

    // Who is who, and until when, can be watched.
    assert!(nodes.all_reachable());
    let (_, metrics) = get(nodes.monitor(0), "/metrics");
    for series in [
        "gitstratum_certificate_expiry_timestamp_seconds{use=\"cluster\"} ",
        "gitstratum_server_handshakes_total{outcome=\"done\"} ",
    ] {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        let value = line.and_then(|value| value.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{series} in {metrics}");
    }
    // A token is good at every node when it is made, and worth nothing soon after it is revoked.
    let secret = token(&nodes, "bob", "read", &[]);
    let is_taken = |node| with_token(&nodes, &secret, node, &["repo", "list"]).status.success();
    assert!((0..3).all(is_taken));
    nodes.run(&["token", "revoke", "1"]);
    let revoked = Instant::now();
    for node in 0..3 {
        wait_until("it is worth nothing", || !is_taken(node));
    }
    // Commands take their time, too, where the machine is busy.
    assert!(revoked.elapsed() < 8 * TOKENS_KNOWN_FOR_MAX, "{:?}", revoked.elapsed());
    for node in 0..3 {
        let log = nodes.log(node).replace("were refused: who calls?", "");
        assert!(!log.contains("were refused") && !log.contains("dial failed"), "{log}");
    }
    nodes.stop_all();
}

#[test]
fn certificates_and_authorities_that_are_replaced_fail_no_request() {
    let mut nodes = Nodes::new();
    (0..3).for_each(|node| nodes.configure(node, Tls::Required));
    (0..3).for_each(|node| nodes.start(node));
    nodes.wait_for_voters();
    let next = nodes.authority("next");
    let [ours, theirs] = [nodes.trusted(), next.join("authority.pem")];
    let both = [ours, theirs].map(|path| fs::read_to_string(path).unwrap()).concat();
    let client = Mutex::new(Some("alice"));
    let written = nodes.while_written_to_by(&client, |nodes| {
        // Other certificates by the authority that is trusted; then one that comes, and one that goes.
        nodes.issue_nodes("ours");
        nodes.wait_for_changes(1);
        nodes.place("authority.pem", &both);
        nodes.wait_for_changes(2);
        nodes.issue_nodes("next");
        nodes.issue("next", "--client", "bob");
        nodes.wait_for_changes(3);
        *client.lock().unwrap() = Some("bob");
        // What alice had begun is done.
        nodes.wait_for_a_put();
        nodes.place("authority.pem", &fs::read_to_string(next.join("authority.pem")).unwrap());
        nodes.wait_for_changes(4);
        nodes.issue("next", "--client", "alice");
    });
    assert!(written > 8, "{written}");
    // Nodes find each other by the new ones, too.
    nodes.stop(0);
    nodes.start(0);
    wait_until("each reaches the others", || nodes.all_reachable());
    // What cannot be used leaves the one in force, and is said.
    nodes.place("n2.pem", "words");
    wait_until("it is said", || nodes.log(1).contains("the one before stays"));
    assert!(nodes.log(1).contains("there is no certificate in it"), "{}", nodes.log(1));
    wait_until("each reaches the others", || nodes.all_reachable());
    nodes.stop_all();
}
