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
    assert_eq!(applied.matches("version 2 applied").count(), 4, "{applied}");
    let again = run(&["layout", "apply", text(&layout)], &peers);
    assert_eq!(again.matches("version 2 already in force").count(), 4, "{again}");
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
