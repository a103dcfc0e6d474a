//! Two clusters that meet: a node of one at the address of the other's, under its id and with
//! a newer layout; documents, directories and peer lists of the wrong cluster.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Serve, listen, output, run, wait_until};
use crate::trio::Cluster;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A layout of one node, N = 1; with an id when there is one.
fn document(cluster: Option<&str>, version: u64, node: &str, address: &str) -> String {
    let id = cluster.map(|id| format!("id = \"{id}\"\n")).unwrap_or_default();
    format!(
        "[cluster]\n{id}version = {version}\nreplicas = 1\nwrite_quorum = 1\nread_quorum = 1\n\
         [[node]]\nid = \"{node}\"\naddress = \"{address}\"\n"
    )
}

/// The configuration of the only node of a cluster, in a file.
fn configured(dir: &Path, name: &str, node: &str, address: &str, layout: &str) -> PathBuf {
    let (file, data) = (dir.join(format!("{name}.toml")), dir.join(name));
    let head =
        format!("node_id = \"{node}\"\nlisten = \"{address}\"\ndata = \"{}\"\n", text(&data));
    fs::write(&file, head + layout).unwrap();
    file
}

/// What a command that is refused says, and with which exit code.
#[track_caller]
fn refused(arguments: &[&str], peers: &str, words: &[&str]) -> Option<i32> {
    let refused = output(arguments, peers);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{arguments:?} succeeded");
    for word in words {
        assert!(said.contains(word), "{arguments:?}: {word:?} is not in: {said}");
    }
    refused.status.code()
}

fn status(peers: &str) -> Value {
    serde_json::from_str(&run(&["status", "--json"], peers)).unwrap()
}

/// The cluster of the node at `address`, as it says itself.
fn cluster_at(address: &str) -> String {
    status(address)["nodes"][0]["cluster"].as_str().unwrap().to_owned()
}

/// What a node's pool knows of a peer.
fn peer<'s>(status: &'s Value, node: &str, peer: &str) -> &'s Value {
    let nodes = status["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|asked| asked["node"] == node).unwrap();
    let peers = node["pool"]["peers"].as_array().unwrap();
    peers.iter().find(|known| known["node"] == peer).unwrap()
}

#[test]
fn another_clusters_node_under_a_known_id_and_address_is_refused_whatever_its_layout() {
    let mut ours = Cluster::start();
    let addresses: Vec<String> = ours.peers.split(',').map(str::to_owned).collect();
    let cluster = cluster_at(&addresses[0]);
    let before = ours.put("before", 10);
    let files = [0, 1].map(|node| ours.data(node).join("layout.toml"));
    let kept = || files.each_ref().map(|file| fs::read_to_string(file).unwrap());
    let layouts = kept();
    let dialled = |status: &Value| {
        [("n1", "n3"), ("n2", "n3")].map(|(n, p)| peer(status, n, p)["counts"]["dialled"].as_u64())
    };

    // The third node is gone, and at its address is one of the same name whose layout is newer.
    ours.kill(2);
    let elsewhere = tempfile::tempdir().unwrap();
    let layout = document(Some("another"), 2, "n3", &addresses[2]);
    let config = configured(elsewhere.path(), "n3", "n3", &addresses[2], &layout);
    let first = dialled(&status(&addresses[0]));
    let impostor = Serve::start(&["--config", text(&config)]);
    let words = format!("wrong peer: it belongs to cluster another, not to {cluster}");
    wait_until("both nodes say who answers", || {
        let status = status(&addresses[0]);
        ["n1", "n2"].iter().all(|node| {
            // There is nothing to say before the first dial has failed.
            let backing_off = peer(&status, node, "n3")["backing_off"].as_str();
            backing_off.is_some_and(|reason| reason.contains(&words))
        })
    });
    let table = run(&["status"], &addresses[0]);
    assert!(table.contains(&format!("cluster {cluster}\n")), "{table}");
    assert!(
        table.contains(&format!("n1 does not reach n3: identifying {}: {words}", addresses[2]))
    );
    let met = status(&addresses[0]);
    for node in ["n1", "n2"] {
        assert!(peer(&met, node, "n3")["counts"]["dials_failed"]["identify"].as_u64() > Some(0));
    }
    assert_eq!(dialled(&met), first, "nobody took it for the peer");

    // Nothing of it is believed: the layout stays, puts and gets go on, and it is given nothing.
    let shown = run(&["layout", "show"], &addresses[0]);
    assert_eq!(shown.matches("version 1\n").count(), 2, "{shown}");
    assert!(shown.contains(&format!("id = \"{cluster}\"\nversion = 1\n")), "{shown}");
    // The caller does not name the address of which nobody knows who answers there.
    ours.peers = addresses[..2].join(",");
    let meanwhile = ours.put("meanwhile", 10);
    for id in before.iter().chain(&meanwhile) {
        run(&["get", id], &addresses[0]);
    }
    assert_eq!(kept(), layouts);
    let theirs = status(&addresses[2]);
    assert_eq!(theirs["nodes"][0]["cluster"], "another");
    assert_eq!(theirs["nodes"][0]["store"]["objects"], 0, "{theirs}");
    assert_eq!(theirs["nodes"][0]["missed"]["count"], 0, "{theirs}");

    // A list of peers that names both is refused, whoever answers first, and so is a document.
    let other = listen();
    let lone = elsewhere.path().join("lone");
    let lone = Serve::start(&["--data", text(&lone), "--listen", &other, "--node-id", "n3"]);
    let both = format!("{},{other}", addresses[0]);
    let code = refused(&["status"], &both, &["--peers", &cluster, &cluster_at(&other)]);
    assert_eq!(code, Some(2));
    let theirs = elsewhere.path().join("theirs.toml");
    fs::write(&theirs, run(&["layout", "show"], &other).replace("version = 1", "version = 2"))
        .unwrap();
    refused(
        &["layout", "apply", text(&theirs)],
        &addresses[0],
        &["cluster.id", &cluster, &cluster_at(&other)],
    );
    assert_eq!(kept(), layouts);
    lone.terminate();

    // One that names no cluster is of the one that is asked; the impostor is not told.
    let next = ours.dir.path().join("next.toml");
    let written = fs::read_to_string(ours.dir.path().join("layout.toml")).unwrap();
    fs::write(&next, written.replace("version = 1", "version = 2")).unwrap();
    let told = output(&["layout", "apply", text(&next)], &addresses[0]);
    assert_eq!(String::from_utf8(told.stdout).unwrap().matches("version 2 in force").count(), 2);
    let complaint = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.success() && complaint.contains(&words), "two of three agree: {complaint}");
    let unmoved = run(&["layout", "show"], &addresses[2]);
    assert!(unmoved.contains("id = \"another\"\nversion = 2\nreplicas = 1\n"), "{unmoved}");

    // The node comes back where it was, and is used again.
    impostor.terminate();
    ours.start_node(2);
    wait_until("the third node has everything", || {
        before.iter().chain(&meanwhile).all(|id| ours.holders(id) == 3)
    });
    assert_eq!(cluster_at(&addresses[2]), cluster);
}

#[test]
fn a_node_stays_in_the_cluster_of_its_directory_whatever_its_configuration_says() {
    let dir = tempfile::tempdir().unwrap();
    let (address, dir) = (listen(), dir.path());
    let with = |layout: &str| configured(dir, "node", "n1", &address, layout);
    let starts = |layout: &str| {
        let node = Serve::start(&["--config", text(&with(layout))]);
        let cluster = cluster_at(&address);
        node.terminate();
        cluster
    };
    assert_eq!(starts(&document(Some("prod"), 1, "n1", &address)), "prod");
    // The line is lost, and later the whole description.
    assert_eq!(starts(&document(None, 1, "n1", &address)), "prod");
    assert_eq!(starts(""), "prod");
    assert_eq!(starts(&document(None, 2, "n1", &address)), "prod");

    // Another id is refused before a port is bound: that this one is taken is not even met.
    let taken = TcpListener::bind(&address).unwrap();
    let config = with(&document(Some("test"), 3, "n1", &address));
    let words = ["cluster.id", "says test", "cluster prod"];
    assert_eq!(refused(&["serve", "--config", text(&config)], "", &words), Some(2));
    let config = with(&document(Some("prod"), 3, "n1", &address));
    refused(&["serve", "--config", text(&config)], "", &["listen: "]);
    drop(taken);

    // A backup is of its cluster too.
    let node = Serve::start(&["--config", text(&config)]);
    run(&["snapshot", "monday"], &address);
    node.terminate();
    let backup = dir.join("node/snapshots/monday");
    let mut copy = std::process::Command::new("cp");
    copy.arg("-r").args([backup, dir.join("restored")]);
    assert!(copy.status().unwrap().success());
    let restored =
        configured(dir, "restored", "n1", &address, &document(Some("test"), 1, "n1", &address));
    assert_eq!(refused(&["serve", "--config", text(&restored)], "", &words), Some(2));
    assert!(!dir.join("restored/lock").exists(), "nothing was written");
    let plainly = Serve::start(&["--data", text(&dir.join("restored")), "--listen", &address]);
    assert_eq!(cluster_at(&address), "prod");
    plainly.terminate();
}

#[test]
fn a_new_node_needs_the_id_of_a_cluster_that_was_changed_and_old_directories_have_one() {
    let mut ours = Cluster::start();
    let addresses: Vec<String> = ours.peers.split(',').map(str::to_owned).collect();
    let cluster = cluster_at(&addresses[0]);
    let (layout, address) = (ours.dir.path().join("layout.toml"), listen());
    let node = format!("[[node]]\nid = \"n4\"\naddress = \"{address}\"\n");
    let written =
        fs::read_to_string(&layout).unwrap().replace("version = 1", "version = 2") + &node;
    fs::write(&layout, written).unwrap();
    // The new node does not answer yet, and need not: the others agree.
    let told = run(&["layout", "apply", text(&layout)], &ours.peers);
    assert_eq!(told.matches("version 2 in force").count(), 3, "{told}");

    let new = |layout: &Path| {
        let line = format!("layout = \"{}\"\n", text(layout));
        configured(ours.dir.path(), "n4", "n4", &address, &line)
    };
    let words = ["cluster.id: missing", "version 2", "`gitstratum layout show`"];
    assert_eq!(refused(&["init", "--config", text(&new(&layout))], "", &words), Some(2));
    let shown = ours.dir.path().join("shown.toml");
    fs::write(&shown, run(&["layout", "show"], &ours.peers)).unwrap();
    let said = run(&["check-config", text(&new(&shown))], "");
    assert!(said.ends_with(&format!(", cluster {cluster}\n")), "{said}");
    let fourth = Serve::start(&["--config", text(&new(&shown))]);
    assert_eq!(cluster_at(&address), cluster);
    wait_until("all reach the new node", || {
        let status = status(&ours.peers);
        let mut nodes = status["nodes"].as_array().unwrap().iter();
        nodes.all(|node| {
            let peers = node["peers"].as_array().unwrap();
            peers.len() == 3 && peers.iter().all(|peer| peer["reachable"] == true)
        })
    });
    fourth.terminate();

    // Directories from before there were ids: each finds the same, and they are one cluster.
    for node in 0..3 {
        ours.kill(node);
        fs::remove_file(ours.data(node).join("cluster")).unwrap();
        let kept = ours.data(node).join("layout.toml");
        let without: String =
            fs::read_to_string(&kept).unwrap().replace(&format!("id = \"{cluster}\"\n"), "");
        assert!(!without.contains(&cluster), "{without}");
        fs::write(&kept, without).unwrap();
    }
    (0..3).for_each(|node| ours.start_node(node));
    assert_eq!(ours.put("after", 5).len(), 5);
    for node in status(&ours.peers)["nodes"].as_array().unwrap().iter().take(3) {
        assert_eq!(node["cluster"], cluster.as_str(), "{node}");
    }
}
