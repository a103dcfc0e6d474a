//! Traces of real processes, taken by a collector, and the request id from a user to the logs.

mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::monitor::get;
use crate::support::{Serve, listen, make_repository, output, wait_for_voters, wait_until};
use crate::trio::Cluster;
use receiver::{Receiver, Span};

/// A trace is complete by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where nodes serve Git and say how they are.
struct Doors {
    git: [String; 3],
    monitor: [String; 3],
}

impl Doors {
    fn choose() -> Self {
        Doors { git: [(); 3].map(|()| listen()), monitor: [(); 3].map(|()| listen()) }
    }

    /// A configuration of all three, with what is said of each besides.
    fn configured(&self, more: [&str; 3]) -> [String; 3] {
        [0, 1, 2].map(|node| {
            format!(
                "[http]\nlisten = \"{}\"\ncreate_on_push = true\n[monitor]\nlisten = \"{}\"\n{}",
                self.git[node], self.monitor[node], more[node]
            )
        })
    }
}

fn start(doors: &Doors, more: [&str; 3]) -> Cluster {
    let configured = doors.configured(more);
    let cluster = Cluster::start_logging([0, 1, 2].map(|node| &*configured[node]));
    wait_for_voters(&cluster.peers);
    cluster
}

/// Pushes, with these options of git before the command.
fn push(work: &Path, options: &[&str], url: &str, refs: &str) -> Output {
    let mut command = Command::new("git");
    command.current_dir(work).args(options).args(["push", url, refs]).stdin(Stdio::null());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.output().unwrap()
}

/// What comes after the word "request" in what git said.
fn request_id(said: &str) -> String {
    let (_, rest) = said.rsplit_once("request ").unwrap_or_else(|| panic!("no id in {said}"));
    let id: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(id.len(), 32, "{said}");
    id
}

/// Whether all spans lead to a single one that has no parent.
fn is_one_tree(spans: &[Span]) -> bool {
    let ids: BTreeSet<&str> = spans.iter().map(|span| &*span.id).collect();
    let (first, others): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.parent.is_empty());
    first.len() == 1 && others.iter().all(|span| ids.contains(&*span.parent))
}

fn name_of<'a>(spans: &'a [Span], span: &Span) -> &'a str {
    spans.iter().find(|other| other.id == span.parent).map_or("", |parent| &parent.name)
}

/// The trace of a push, once it has all that it should have.
fn complete_trace(receiver: &Receiver, is_first: impl Fn(&Span) -> bool) -> Vec<Span> {
    let began = Instant::now();
    loop {
        // Git may ask first whether it would be let in, which is a push of nothing.
        let first = receiver.spans().into_iter().filter(&is_first);
        let spans = first.map(|first| receiver.trace(&first.trace)).max_by_key(Vec::len);
        let spans = spans.unwrap_or_default();
        let nodes: BTreeSet<&str> = spans.iter().map(|span| &*span.node).collect();
        let lacks = |(name, parent): &&(&str, &str)| {
            // The leader may be another node than the gateway, which asks it then.
            let is_parent = |of: &str| of == *parent || (of == "Agree" && *name == "propose");
            !spans.iter().any(|span| span.name == *name && is_parent(name_of(&spans, span)))
        };
        let lacking: Vec<_> = EXPECTED.iter().filter(lacks).collect();
        if nodes.len() == 3 && is_one_tree(&spans) && lacking.is_empty() {
            return spans;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "of {nodes:?}, one tree: {}, without {lacking:?}: {spans:#?}",
            is_one_tree(&spans)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What has to be in the trace of a push: a span's name, and its parent's.
const EXPECTED: [(&str, &str); 16] = [
    ("git push", ""),
    ("take_pack", "git push"),
    ("seal_pack", "take_pack"),
    ("quorum_put", "take_pack"),
    ("put", "quorum_put"),
    ("Put", "put"),
    ("store_put", "Put"),
    ("append", "store_put"),
    ("fsync", "append"),
    ("check_connectivity", "git push"),
    ("update_refs", "git push"),
    ("catalog_command", "update_refs"),
    ("propose", "catalog_command"),
    ("append", "propose"),
    ("commit", "propose"),
    ("apply", "propose"),
];

#[test]
fn a_push_is_one_trace_from_the_gateway_to_its_replicas_and_the_leader() {
    let (doors, receiver) = (Doors::choose(), Receiver::start());
    let traced = format!("[traces]\nendpoint = \"{}\"\nsample = 1.0\n", receiver.endpoint);
    let cluster = start(&doors, [&traced, &traced, &traced]);
    let work = cluster.dir.path().join("work");
    make_repository(&work, 20);
    let mut leaders = BTreeSet::new();
    for (node, git) in doors.git.iter().enumerate() {
        let name = format!("team/project-{node}");
        let pushed = push(&work, &[], &format!("http://{git}/{name}"), "HEAD:refs/heads/main");
        assert!(pushed.status.success(), "{pushed:?}");
        let is_ours =
            |span: &Span| span.name == "git push" && span.attributes["repository"] == name;
        let spans = complete_trace(&receiver, is_ours);
        let first = spans.iter().find(|span| span.parent.is_empty()).unwrap();
        assert_eq!(first.node, format!("n{}", node + 1));
        assert_eq!(first.attributes["service"], "git-receive-pack");
        assert!(spans.iter().all(|span| span.start <= span.end && !span.failed), "{spans:#?}");
        let leader = spans.iter().find(|span| span.name == "commit").unwrap().node.clone();
        leaders.insert((first.node == leader, leader));
        // The log of the gateway, its audit included, calls it the same.
        let log = fs::read_to_string(cluster.log(node)).unwrap();
        let line = log.lines().find(|line| line.contains("audit: ") && line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("no line of the audit log in {log}"));
        assert!(line.contains(&first.trace), "{line}");
    }
    // It led a push that came to itself, and those of the others.
    assert_eq!(
        leaders.iter().map(|(is_gateway, _)| is_gateway).collect::<Vec<_>>(),
        [&false, &true]
    );
    connections_were_traced_by_stages(&receiver.spans());
    let (_, metrics) = get(&doors.monitor[0], "/metrics");
    assert!(metric(&metrics, "gitstratum_trace_spans_sent_total") > 0, "{metrics}");
    assert_eq!(metric(&metrics, "gitstratum_trace_spans_dropped_total"), 0);
}

fn connections_were_traced_by_stages(spans: &[Span]) {
    let mut stages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for span in spans {
        stages.entry(&span.parent).or_default().push(&span.name);
    }
    let dials = spans.iter().filter(|span| span.name == "dial" && !span.failed);
    let of = |dial: &Span| stages.get(&*dial.id).cloned().unwrap_or_default();
    let expected = ["resolve", "connect", "secure", "handshake", "identify"];
    let mut dials = dials.map(of);
    assert!(dials.any(|dial| expected.iter().all(|stage| dial.contains(stage))), "{spans:#?}");
}

fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()).expect(name);
    value.parse().unwrap()
}

#[test]
fn a_push_that_fails_tells_its_user_by_what_the_logs_of_all_nodes_call_it() {
    let doors = Doors::choose();
    let logged = "[log]\nlevels = \"warn,gitstratum=debug,audit=info\"\n";
    // These two have never so much room that they would take anything.
    let full = format!("[store]\nreserve_bytes = {}\n{logged}", u64::MAX / 4);
    let cluster = start(&doors, ["", &full, &full]);
    let work = cluster.dir.path().join("work");
    make_repository(&work, 5);
    let url = format!("http://{}/project", doors.git[0]);
    let failed = push(&work, &[], &url, "HEAD:refs/heads/main");
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(!failed.status.success() && said.contains("remote: request "), "{said}");
    let id = request_id(&said);
    let line = |node: usize, words: &str| {
        let log = fs::read_to_string(cluster.log(node)).unwrap();
        let found = log.lines().any(|line| line.contains(&id) && line.contains(words));
        assert!(found, "no line of n{} has {id} and {words}:\n{log}", node + 1);
    };
    line(0, "git{request=");
    line(0, "audit: push failed");
    line(1, "refused");
    line(2, "refused");
    // One that is refused before it begins, too; and each request has an id of its own.
    let refused = push(&work, &[], &format!("http://{}/a/b/../c", doors.git[0]), "HEAD");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_ne!(request_id(&said), id);
}

#[test]
fn without_its_collector_a_node_serves_and_stops_as_ever_and_counts_what_it_drops() {
    let dir = tempfile::tempdir().unwrap();
    let (address, door, monitor) = (listen(), listen(), listen());
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let text = format!(
        "node_id = \"n1\"\nlisten = \"{address}\"\ndata = \"{}\"\n[http]\nlisten = \"{door}\"\n\
         create_on_push = true\n[monitor]\nlisten = \"{monitor}\"\n[traces]\nsample = 1.0\n\
         endpoint = \"http://{}\"\n",
        dir.path().join("data").display(),
        listen(),
    );
    let config = dir.path().join("config.toml");
    fs::write(&config, text).unwrap();
    let node = Serve::start_logging(log.into(), &["--config", config.to_str().unwrap()]);
    let work = dir.path().join("work");
    make_repository(&work, 5);
    wait_until("a push is taken", || {
        push(&work, &[], &format!("http://{door}/project"), "HEAD:refs/heads/main").status.success()
    });
    wait_until("what is dropped is counted", || {
        metric(&get(&monitor, "/metrics").1, "gitstratum_trace_spans_dropped_total") > 0
    });
    wait_until("it is said in the log", || {
        let log = fs::read_to_string(dir.path().join("log")).unwrap();
        log.contains("spans of traces are dropped") && log.contains("cannot be connected to")
    });
    node.terminate();
}

#[test]
fn a_caller_says_what_is_traced_where_callers_are_believed_and_nowhere_else() {
    let receiver = Receiver::start();
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    make_repository(&work, 5);
    for (believe, sample, name) in [(true, "0.0", "believes"), (false, "1.0", "does-not")] {
        let (address, door) = (listen(), listen());
        let config = dir.path().join(format!("{name}.toml"));
        let text = format!(
            "node_id = \"{name}\"\nlisten = \"{address}\"\ndata = \"{}\"\n[http]\n\
             listen = \"{door}\"\ncreate_on_push = true\n[traces]\nendpoint = \"{}\"\n\
             sample = {sample}\nbelieve_callers = {believe}\n",
            dir.path().join(name).display(),
            receiver.endpoint
        );
        fs::write(&config, text).unwrap();
        let node = Serve::start(&["--config", config.to_str().unwrap()]);
        let url = format!("http://{door}/project");
        wait_until("a push is taken", || {
            push(&work, &[], &url, "HEAD:refs/heads/main").status.success()
        });
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let header = format!("http.extraHeader=traceparent: 00-{trace}-00f067aa0ba902b7-01");
        assert!(push(&work, &["-c", &header], &url, "HEAD:refs/heads/other").status.success());
        // What has ended is sent before the end.
        node.terminate();
        let spans: Vec<_> = receiver.spans().into_iter().filter(|span| span.node == name).collect();
        let pushes: Vec<&Span> = spans.iter().filter(|span| span.name == "git push").collect();
        assert!(!pushes.is_empty(), "{spans:#?}");
        for push in pushes {
            let is_theirs = push.trace == trace && push.parent == "00f067aa0ba902b7";
            let is_ours = push.trace != trace && push.parent.is_empty();
            assert!(if believe { is_theirs } else { is_ours }, "{push:?}");
        }
    }
}

#[test]
fn a_wrong_collector_is_refused_by_field_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("config.toml"), dir.path().join("data"));
    for (line, field) in [
        ("endpoint = \"https://collector\"", "traces.endpoint"),
        ("sample = 2.0", "traces.sample"),
        ("sampel = 1.0", "traces.sampel"),
    ] {
        let text = format!("listen = \"127.0.0.1:1\"\ndata = {data:?}\n[traces]\n{line}\n");
        fs::write(&config, text).unwrap();
        for command in [&["check-config"][..], &["init", "--config"]] {
            let refused = output(&[command, &[config.to_str().unwrap()]].concat(), "");
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(2), "{said}");
            assert!(said.contains(field), "{said}");
        }
    }
    assert!(!data.exists());
}
