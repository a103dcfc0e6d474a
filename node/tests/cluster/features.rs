//! Features that some node lacks: off in the whole cluster, whoever is asked, and seen to be off.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{
    Serve, git, listen, make_repository, output, run, wait_for_voters, wait_until,
};
use crate::trio::Cluster;

/// A backup of a cluster of one, with one repository.
fn backup(dir: &Path) -> String {
    let (address, http) = (listen(), listen());
    let config = format!(
        "node_id = \"n1\"\nlisten = \"{address}\"\ndata = \"{}\"\n[http]\nlisten = \"{http}\"\n",
        dir.join("one").display()
    );
    fs::write(dir.join("one.toml"), config).unwrap();
    let node = Serve::start(&["--config", dir.join("one.toml").to_str().unwrap()]);
    wait_until("it has a catalog", || output(&["repo", "list"], &address).status.success());
    run(&["repo", "create", "project"], &address);
    make_repository(&dir.join("work"), 3);
    git(&dir.join("work"), &["push", "-q", &format!("http://{http}/project.git"), "--all"]);
    let backup = dir.join("backup").to_str().unwrap().to_owned();
    run(&["backup", &backup], &address);
    node.terminate();
    backup
}

fn json(arguments: &[&str], peers: &str) -> Value {
    serde_json::from_str(&run(arguments, peers)).unwrap()
}

/// Who lacks `restore` as each node that answers says it.
fn lacking(peers: &str) -> Vec<Vec<String>> {
    let status = json(&["status", "--json"], peers);
    let lacking = |node: &Value| {
        let off = node["features_off"].as_array().unwrap();
        let nodes = off.iter().flat_map(|off| {
            assert_eq!(off["feature"], "restore");
            off["nodes"].as_array().unwrap()
        });
        nodes.map(|node| node["node"].as_str().unwrap().to_owned()).collect()
    };
    status["nodes"].as_array().unwrap().iter().map(lacking).collect()
}

#[test]
fn what_one_node_lacks_is_refused_by_all_and_done_once_it_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let backup = backup(dir.path());
    let lacks = "[catalog]\nfeatures_off = [\"restore\"]";
    let mut cluster = Cluster::start_with(["", "", lacks]);
    let peers = cluster.peers.clone();
    wait_for_voters(&peers);
    wait_until("all know it", || lacking(&peers) == [["n3"], ["n3"], ["n3"]]);

    // Of three nodes two pass it on to the one that leads.
    for node in peers.split(',') {
        let refused = output(&["restore", &backup], node);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "`restore` is off until every node has it, and nothing was changed; it \
                                is lacked by n3 (version {version})."
        );
        assert!(said.contains(&expected), "{said}");
    }
    assert_eq!(run(&["repo", "list"], &peers), "");
    let details = run(&["status", "--details"], &peers);
    let line = format!("`restore` is off: n3 (version {}) lack it\n", env!("CARGO_PKG_VERSION"));
    assert!(details.contains(&line), "{details}");
    let list = run(&["node", "list"], &peers);
    assert!(list.contains(&line), "{list}");
    let nodes = run(&["node", "list", "--json"], &peers);
    let node = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let nodes: Vec<Value> = nodes.lines().map(node).collect();
    let features: Vec<_> = nodes.iter().map(|node| node["features"].to_string()).collect();
    assert_eq!(features, ["[\"restore\"]", "[\"restore\"]", "[]"]);

    // It is upgraded.
    cluster.nodes[2].take().unwrap().terminate();
    let config = cluster.dir.path().join("n3.toml");
    let lines = fs::read_to_string(&config).unwrap();
    fs::write(&config, lines.replace("features_off = [\"restore\"]", "")).unwrap();
    cluster.start_node(2);
    let nobody: [&[&str]; 3] = [&[], &[], &[]];
    wait_until("all know it", || lacking(&peers) == nobody);
    run(&["restore", &backup], &peers);
    assert!(run(&["repo", "list"], &peers).contains("project"));
    assert!(!run(&["status", "--details"], &peers).contains("is off"));
}
