//! A cluster that changes while it runs: `layout show`, `check` and `apply`, SIGHUP, and a
//! node that left and still runs.

use std::fs;
use std::path::Path;

use crate::support::{Serve, listen, output, run, wait_until};

/// A layout of these nodes, N = 3, each with its address and state.
fn document(version: u64, nodes: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "[cluster]\nversion = {version}\nreplicas = 3\nwrite_quorum = 2\nread_quorum = 2\n"
    );
    for (id, address, state) in nodes {
        text += &format!("[[node]]\nid = \"{id}\"\naddress = \"{address}\"\nstate = \"{state}\"\n");
    }
    text
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_removed_node_that_still_runs_takes_no_writes_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let addresses: Vec<_> = (0..4).map(|_| listen()).collect();
    let with = |states: [&str; 4]| -> Vec<(String, String, String)> {
        let named = (1..).zip(&addresses).zip(states);
        named.map(|((n, a), state)| (format!("n{n}"), a.clone(), state.to_owned())).collect()
    };
    let written = |version, states| {
        let nodes = with(states);
        let nodes: Vec<_> = nodes.iter().map(|(i, a, s)| (&i[..], &a[..], &s[..])).collect();
        document(version, &nodes)
    };
    let layout = dir.path().join("layout.toml");
    fs::write(&layout, written(1, ["active"; 4])).unwrap();
    let nodes: Vec<_> = (1..)
        .zip(&addresses)
        .map(|(n, address)| {
            let config = dir.path().join(format!("n{n}.toml"));
            let data = dir.path().join(format!("n{n}"));
            let lines = format!(
                "node_id = \"n{n}\"\nlisten = \"{address}\"\ndata = \"{}\"\nlayout = \"{}\"\n",
                text(&data),
                text(&layout)
            );
            fs::write(&config, lines).unwrap();
            Serve::start(&["--config", text(&config)])
        })
        .collect();
    let peers = addresses.join(",");
    let put = |name: &str| {
        let files: Vec<_> = (0..20).map(|n| dir.path().join(format!("{name}-{n}"))).collect();
        for file in &files {
            fs::write(file, file.display().to_string()).unwrap();
        }
        let arguments: Vec<_> = ["put"].into_iter().chain(files.iter().map(|f| text(f))).collect();
        run(&arguments, &peers).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let objects_of_n4 = || {
        let status: serde_json::Value =
            serde_json::from_str(&run(&["status", "--json"], &peers)).unwrap();
        let n4 = status["nodes"].as_array().unwrap().iter().find(|node| node["node"] == "n4");
        n4.unwrap()["store"]["objects"].as_u64().unwrap()
    };
    let before = put("before");
    assert!(objects_of_n4() > 0, "it had its share");

    // A wrong one is refused by name before anyone is told; an older one by the nodes.
    let wrong = dir.path().join("wrong.toml");
    fs::write(&wrong, written(2, ["active", "active", "removed", "removed"])).unwrap();
    let refused = output(&["layout", "apply", text(&wrong)], &peers);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("wrong.toml:3: cluster.replicas: 3 exceeds the 2 active"), "{words}");

    fs::write(&layout, written(2, ["active", "active", "active", "removed"])).unwrap();
    let applied = run(&["layout", "apply", text(&layout)], &addresses[0]);
    assert!(applied.starts_with("version 2 agreed on\n"), "{applied}");
    assert_eq!(applied.matches("version 2 in force").count(), 4, "{applied}");
    let again = run(&["layout", "apply", text(&layout)], &peers);
    assert!(again.starts_with("version 2 agreed on already\n"), "{again}");
    assert_eq!(again.matches("version 2 in force").count(), 4, "{again}");
    let held = objects_of_n4();
    let after = put("after");
    assert_eq!(objects_of_n4(), held, "what left takes no writes");
    // What it alone was told by an older document is refused, and nothing changes.
    let older = dir.path().join("older.toml");
    fs::write(&older, written(1, ["active"; 4])).unwrap();
    assert_eq!(output(&["layout", "apply", text(&older)], &peers).status.code(), Some(1));
    for id in before.iter().chain(&after) {
        run(&["has", id], &addresses[3]);
        run(&["get", id], &addresses[0]);
    }

    // One node reads the next from its file; the others hear of it from that one.
    fs::write(&layout, written(3, ["active"; 4])).unwrap();
    nodes[0].hang_up();
    wait_until("all hold version 3", || {
        let shown = run(&["layout", "show"], &peers);
        put(&format!("while-it-spreads-{}", shown.len()));
        shown.matches("active    version 3").count() == 4
    });
    // A file that cannot be is logged; the node stays, and so does its layout.
    fs::write(&layout, "[cluster]\nversion = 4").unwrap();
    nodes[0].hang_up();
    let shown = run(&["layout", "show"], &addresses[0]);
    assert!(shown.contains("version = 3"), "{shown}");
    nodes.into_iter().for_each(Serve::terminate);
}

/// A cluster of nodes, each with the layout that it was started with.
struct Nodes {
    dir: tempfile::TempDir,
    addresses: Vec<String>,
}

impl Nodes {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, n: usize, layout: &Path) -> Serve {
        let config = self.path(&format!("n{n}.toml"));
        let lines = format!(
            "node_id = \"n{n}\"\nlisten = \"{}\"\ndata = \"{}\"\nlayout = \"{}\"\n",
            self.addresses[n - 1],
            text(&self.path(&format!("n{n}"))),
            text(layout)
        );
        fs::write(&config, lines).unwrap();
        Serve::start(&["--config", text(&config)])
    }

    /// What `node/docs/layouts.md` says: `layout show > F`, `$EDITOR F`, `layout check F`, `layout apply F`.
    fn change(&self, peers: &str, edit: impl Fn(String) -> String) -> (std::path::PathBuf, String) {
        let shown = run(&["layout", "show"], peers);
        let version = shown.lines().find_map(|line| line.strip_prefix("version = "));
        let next = version.unwrap().parse::<u64>().unwrap() + 1;
        let edited =
            shown.replacen(&format!("version = {}", next - 1), &format!("version = {next}"), 1);
        let file = self.path(&format!("layout-{next}.toml"));
        fs::write(&file, edit(edited)).unwrap();
        run(&["layout", "check", text(&file)], peers);
        let applied = output(&["layout", "apply", text(&file)], peers);
        let words = String::from_utf8([applied.stdout, applied.stderr].concat()).unwrap();
        assert_eq!(applied.status.code(), Some(0), "{words}");
        (file, words)
    }
}

#[test]
fn the_procedures_to_add_drain_remove_and_settle_run_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let addresses: Vec<_> = (0..4).map(|_| listen()).collect();
    let cluster = Nodes { dir, addresses: addresses.clone() };
    let three: Vec<_> = (1..4).map(|n| format!("n{n}")).collect();
    let members: Vec<_> =
        three.iter().zip(&addresses).map(|(id, at)| (&id[..], &at[..], "active")).collect();
    let first = cluster.path("layout.toml");
    fs::write(&first, document(1, &members)).unwrap();
    let mut nodes: Vec<_> = (1..=3).map(|n| Some(cluster.start(n, &first))).collect();
    let peers = addresses.join(",");
    let files: Vec<_> = (0..60).map(|n| cluster.path(&format!("file-{n}"))).collect();
    for file in &files {
        fs::write(file, file.display().to_string()).unwrap();
    }
    let arguments: Vec<_> = ["put"].into_iter().chain(files.iter().map(|f| text(f))).collect();
    let put = run(&arguments, &peers);
    let ids: Vec<_> = put.lines().collect();
    let status = || -> serde_json::Value {
        serde_json::from_str(&run(&["status", "--json"], &peers)).unwrap()
    };
    let objects = |n: usize| status()["nodes"][n - 1]["store"]["objects"].as_u64().unwrap_or(0);

    // Add: apply it, then start the node with it. It gets its share of what was there.
    let comes = format!("[[node]]\nid = \"n4\"\naddress = \"{}\"\n", addresses[3]);
    let (second, words) = cluster.change(&peers, |text| text + &comes);
    assert!(words.contains("n4") && words.contains("start it with this layout"), "{words}");
    assert_eq!(words.matches("version 2 in force").count(), 3, "{words}");
    nodes.push(Some(cluster.start(4, &second)));
    wait_until("the new node has its share", || {
        let n4 = &status()["nodes"][3];
        n4["reconcile"]["absence_unproven"] == false && objects(4) > 0
    });

    // Drain: what it has goes to those that take its place.
    let first_state = |text: String, from: &str, to: &str| {
        let address = format!("address = \"{}\"\n", addresses[0]);
        let (before, after) = text.split_once(&address).unwrap();
        let (set, unset) = (format!("state = \"{to}\"\n"), format!("state = \"{from}\"\n"));
        let after = if from.is_empty() { after.into() } else { after.replacen(&unset, "", 1) };
        format!("{before}{address}{set}{after}")
    };
    cluster.change(&peers, |text| first_state(text, "", "draining"));
    wait_until("the others have all", || (2..=4).all(|n| objects(n) == ids.len() as u64));

    // Remove, and take the machine away.
    cluster.change(&peers, |text| first_state(text, "draining", "removed"));
    nodes[0].take().unwrap().terminate();
    let shown = status();
    assert_eq!(shown["partial"], false, "{shown}");
    assert_eq!(
        (&shown["nodes"][0]["member"], &shown["nodes"][0]["reachable"]),
        (&"removed".into(), &false.into())
    );
    for command in [["status"].as_slice(), &["repair", "status"], &["scrub", "status"]] {
        let said = run(command, &peers);
        assert!(said.contains("removed; does not answer") && !said.contains("partial"), "{said}");
        assert!(!said.contains("does not reach"), "{said}");
    }
    let made = run(&["snapshot", "monday"], &peers);
    assert_eq!(made.matches("snapshots/monday").count(), 3, "{made}");
    run(&["scrub", "start"], &peers);
    run(&["repair", "start"], &peers);
    for id in &ids {
        run(&["get", id], &peers);
    }

    // Settle, with the history that `layout show` prints.
    let shown = run(&["layout", "show"], &peers);
    assert_eq!(shown.matches("[[previous]]").count(), 3, "{shown}");
    cluster.change(&peers, |text| text.replacen("version = 5\n", "version = 5\nsettled = 4\n", 1));
    let shown = run(&["layout", "show"], &peers);
    assert_eq!(shown.matches("[[previous]]").count(), 1, "{shown}");
    let absent = output(&["has", "0123456789012345678901234567890123456789"], &peers);
    assert!(String::from_utf8(absent.stderr).unwrap().contains("not found"));
    // And once more, when it is not to be named any longer.
    cluster.change(&peers, |text| {
        let text = text.replacen("settled = 4", "settled = 6", 1);
        let from = text.find("[[node]]\nid = \"n1\"").unwrap();
        let to = text.find("[[node]]\nid = \"n2\"").unwrap();
        format!("{}{}", &text[..from], &text[to..])
    });
    for id in &ids {
        run(&["get", id], &peers);
    }
    nodes.into_iter().flatten().for_each(Serve::terminate);
}
