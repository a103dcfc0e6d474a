//! Metrics and health of nodes, as Prometheus and probes meet them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::support::{Dev, Node, git, kill, make_repository, wait_until};

/// Where a node of `dev` says how it is.
pub fn address_of(node: &Node) -> String {
    let config = fs::read_to_string(node.dir.join("config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    config["monitor"]["listen"].as_str().unwrap().to_owned()
}

/// The status and the body of an answer.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A metric's type and help text, by its name.
fn families(text: &str) -> BTreeMap<&str, (&str, &str)> {
    let mut families = BTreeMap::new();
    for line in text.lines() {
        let Some((what, rest)) = line.strip_prefix("# ").and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let (name, said) = rest.split_once(' ').unwrap();
        let family: &mut (&str, &str) = families.entry(name).or_default();
        match what {
            "TYPE" => family.0 = said,
            "HELP" => family.1 = said,
            "UNIT" => assert!(name.ends_with(said), "{line}"),
            _ => panic!("{line}"),
        }
    }
    families
}

/// The table of node/docs/metrics.md.
fn table(families: &BTreeMap<&str, (&str, &str)>) -> String {
    let mut table = "| metric | type | what it is |\n|---|---|---|\n".to_owned();
    for (name, (kind, help)) in families {
        let suffix = if *kind == "counter" { "_total" } else { "" };
        writeln!(table, "| `{name}{suffix}` | {kind} | {help} |").unwrap();
    }
    table
}

#[test]
fn nodes_say_what_they_count_and_whether_they_are_ready() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    make_repository(&work, 5);
    let dev = Dev::start(&dir.path().join("data"));
    dev.wait_for_voters();
    let monitors: Vec<String> = dev.nodes.iter().map(address_of).collect();

    // Ready, all of them, and each check says so.
    for monitor in &monitors {
        wait_until("the node is ready", || get(monitor, "/readyz").0 == 200);
        let (_, said) = get(monitor, "/readyz");
        assert_eq!(said, "ok running\nok store\nok quorum\nok catalog\n");
        assert_eq!(get(monitor, "/healthz"), (200, "alive\n".to_owned()));
        assert_eq!(get(monitor, "/nothing").0, 404);
    }

    // What a push did is counted.
    git(&work, &["push", "-q", &format!("{}project", dev.nodes[0].git), "HEAD:refs/heads/main"]);
    let (status, metrics) = get(&monitors[0], "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let value = |series: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse::<f64>().unwrap()
    };
    assert!(value("gitstratum_git_requests_succeeded_total") >= 1.0);
    assert!(value("gitstratum_store_objects") >= 1.0);
    assert_eq!(value("gitstratum_ready{check=\"quorum\"}"), 1.0);
    assert_eq!(value("gitstratum_catalog_voters"), 3.0);
    assert!(value("gitstratum_git_received_objects_total") >= 5.0);
    assert!(value("gitstratum_git_cache_bytes{cache=\"chunks\"}") > 0.0);
    let pushes = |protocol: u8| {
        let labels = format!("{{request=\"push\",protocol=\"{protocol}\",result=\"succeeded\"}}");
        value(&format!("gitstratum_git_requests_by_protocol_total{labels}"))
    };
    assert!((0..=2).map(pushes).sum::<f64>() >= 1.0);
    for peer in ["n2", "n3"] {
        let put = format!("peer=\"{peer}\",request=\"put\"");
        let stored = format!("gitstratum_replica_requests_total{{{put},result=\"succeeded\"}}");
        let took = format!("gitstratum_replica_request_seconds_count{{{put}}}");
        // What a write quorum did not wait for may be under way still.
        wait_until("the peer has stored it", || {
            let metrics = get(&monitors[0], "/metrics").1;
            let is_counted = |series: &String| {
                let line = metrics.lines().find_map(|line| line.strip_prefix(series));
                line.is_some_and(|count| count.trim() != "0")
            };
            is_counted(&stored) && is_counted(&took)
        });
        let circuit = format!("gitstratum_breaker_state{{peer=\"{peer}\",state=\"closed\"}}");
        assert_eq!(value(&circuit), 1.0);
    }
    assert!(value("gitstratum_quorum_puts_succeeded_total") >= 1.0);
    let flushed = |what: &str| value(&format!("gitstratum_store_flush_puts_{what}"));
    assert!(flushed("count") >= 1.0 && flushed("sum") >= flushed("count"));
    assert!(value("gitstratum_process_resident_memory_bytes") > 1e6);
    assert!(value("gitstratum_process_open_fds") > 3.0);
    assert_eq!(value("gitstratum_layout_members{state=\"active\"}"), 3.0);
    let leads =
        |monitor: &String| get(monitor, "/metrics").1.contains("\ngitstratum_catalog_leads 1\n");
    assert_eq!(monitors.iter().filter(|monitor| leads(monitor)).count(), 1);

    // The page of the documentation lists what there is, and nothing else.
    let families = families(&metrics);
    for (name, (kind, help)) in &families {
        assert!(name.starts_with("gitstratum_"), "{name}");
        assert!(!kind.is_empty() && help.ends_with('.'), "{name}: {kind}: {help}");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let documented = fs::read_to_string(&page).unwrap();
    let table = table(&families);
    if std::env::var_os("GITSTRATUM_WRITE_DOCS").is_some() {
        let before = documented.split("| metric |").next().unwrap();
        fs::write(&page, format!("{before}{table}")).unwrap();
    } else {
        assert!(
            documented.ends_with(&table),
            "node/docs/metrics.md is not of these metrics: run this test with \
             GITSTRATUM_WRITE_DOCS=1, and look at what it changed"
        );
    }

    // One of three may go, and the others stay ready. Of two that are gone the last one tells.
    kill(dev.nodes[1].pid);
    wait_until("its loss is seen", || {
        let metrics = get(&monitors[2], "/metrics").1;
        metrics.contains("gitstratum_peer_reachable{peer=\"n2\"} 0")
    });
    wait_until("the others are ready", || get(&monitors[2], "/readyz").0 == 200);
    kill(dev.nodes[0].pid);
    wait_until("the last one is not ready", || {
        let (status, said) = get(&monitors[2], "/readyz");
        let failed = |check: &str| said.contains(&format!("failed {check}: "));
        status == 503 && failed("quorum") && failed("catalog") && said.contains("ok store\n")
    });
    assert!(get(&monitors[2], "/readyz").1.contains("silent: n1, n2"));
    assert_eq!(get(&monitors[2], "/healthz").0, 200);
    dev.terminate();
}
