//! Directories that are made once, by somebody who wants them made.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::support::{Serve, listen, output, run, wait_until};
use crate::trio::Cluster;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a command that is refused says; its exit code is this one.
#[track_caller]
fn refused(arguments: &[&str], peers: &str, code: i32, words: &[&str]) {
    let refused = output(arguments, peers);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?}: {word:?} is not in: {said}");
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_empty_directory_is_not_served_and_one_that_was_founded_says_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (data, address) = (dir.path().join("data"), listen());
    let words = ["gitstratum init --data", "gitstratum join --peers", text(&data)];
    // The port is taken, which is not even met.
    let taken = TcpListener::bind(&address).unwrap();
    refused(&["serve", "--data", text(&data), "--listen", &address], "", 1, &words);
    fs::create_dir(&data).unwrap();
    refused(&["serve", "--data", text(&data), "--listen", &address], "", 1, &words);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "nothing was written");
    drop(taken);

    let init = ["init", "--data", text(&data), "--id", "alpha", "--address", &address];
    let made = run(&init, "");
    assert!(made.starts_with(&format!("node alpha address {address} cluster ")), "{made}");
    refused(&init, "", 1, &["node alpha's already", "gitstratum serve --data"]);
    run(&["init", "--if-needed", "--data", text(&data), "--id", "beta", "--listen", &address], "");
    let cluster = made.split(' ').nth(5).unwrap();

    // Nothing else needs to be said: the directory knows its address, its cluster and its id.
    for _ in 0..2 {
        let node = Serve::start(&["--data", text(&data)]);
        let status: Value = serde_json::from_str(&run(&["status", "--json"], &address)).unwrap();
        assert_eq!(status["nodes"][0]["node"], "alpha");
        assert_eq!(status["nodes"][0]["cluster"], cluster);
        node.terminate();
    }
    // It votes by itself, from the beginning.
    let node = Serve::start(&["--data", text(&data)]);
    run(&["repo", "create", "team/project", "--timeout", "20"], &address);
    let nodes = lines(&run(&["node", "list", "--json"], &address));
    assert_eq!((&nodes[0]["id"], &nodes[0]["raft"]), (&"alpha".into(), &1.into()));
    node.terminate();

    // It moves when that is said, and not because it listens elsewhere.
    let moved = listen();
    let node = Serve::start(&["--data", text(&data), "--listen", &moved, "--address", &moved]);
    assert!(run(&["layout", "show"], &moved).contains("version = 2"));
    assert_eq!(run(&["repo", "list", "--json"], &moved).lines().count(), 1);
    node.terminate();
    let node = Serve::start(&["--data", text(&data)]);
    run(&["status"], &moved);
    node.terminate();
}

#[test]
fn a_wrong_init_says_which_flag_is_wrong_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let init = |more: &[&str], words: &[&str]| {
        refused(&[&["init", "--data", text(&data)], more].concat(), "", 2, words);
        assert!(!data.exists());
    };
    init(&["--address", "n1.example:7400"], &["listen: missing", "--listen 0.0.0.0:7400"]);
    init(&["--address", "n1.example"], &["address"]);
    init(&["--listen", "0.0.0.0:7400"], &["listen: 0.0.0.0:7400 is no address"]);
    init(&["--id", "a b", "--listen", "127.0.0.1:7400"], &["node_id"]);
    refused(&["init", "--id", "n1", "--listen", "127.0.0.1:7400"], "", 2, &["data", "--data DIR"]);

    // A configuration that describes the cluster says it all.
    let file = dir.path().join("node.toml");
    let address = listen();
    let described = format!(
        "node_id = \"n1\"\nlisten = \"{address}\"\ndata = \"{}\"\n[cluster]\nversion = 1\n\
         replicas = 1\nwrite_quorum = 1\nread_quorum = 1\n\
         [[node]]\nid = \"n1\"\naddress = \"{address}\"\n",
        text(&data)
    );
    fs::write(&file, described).unwrap();
    refused(&["init", "--config", text(&file), "--address", "a:1"], "", 2, &["address"]);
    refused(&["serve", "--config", text(&file)], "", 1, &["gitstratum init"]);
    run(&["init", "--config", text(&file)], "");
    Serve::start(&["--config", text(&file)]).terminate();
}

#[test]
fn an_init_that_was_interrupted_is_completed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (data, address) = (dir.path().join("data"), listen());
    let init = ["init", "--data", text(&data), "--id", "n1", "--address", &address];
    run(&init, "");
    // As if it had come no further.
    for file in ["layout.toml", "cluster"] {
        fs::remove_file(data.join(file)).unwrap();
    }
    fs::remove_dir_all(data.join("catalog")).unwrap();
    run(&init, "");
    refused(&init, "", 1, &["already"]);
    let node = Serve::start(&["--data", text(&data)]);
    run(&["repo", "create", "team/project", "--timeout", "20"], &address);
    node.terminate();
}

/// A layout of three nodes with W = 2 of N = 3, as `layout apply` wants it.
fn layout(version: u64, nodes: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "[cluster]\nversion = {version}\nreplicas = 3\nwrite_quorum = 2\nread_quorum = 2\n"
    );
    for (id, address, state) in nodes {
        text += &format!("[[node]]\nid = \"{id}\"\naddress = \"{address}\"\nstate = \"{state}\"\n");
    }
    text
}

#[test]
fn a_layout_is_agreed_on_by_a_majority_and_learnt_by_who_was_away() {
    let mut cluster = Cluster::start();
    let peers = cluster.peers.clone();
    let at: Vec<&str> = peers.split(',').collect();
    let file = cluster.dir.path().join("next.toml");
    let (n4, n5, n6) = (listen(), listen(), listen());
    let with = |version, states: [&str; 3]| {
        let [a, b, c] = states;
        let old = [("n1", at[0], a), ("n2", at[1], b), ("n3", at[2], c)];
        let new = [("n4", &*n4, "active"), ("n5", &n5, "active"), ("n6", &n6, "active")];
        fs::write(&file, layout(version, &[&old[..], &new[..]].concat())).unwrap();
    };
    let apply = ["layout", "apply", text(&file)];

    // Two of three replicas would be gone: nobody is told, and what to do is said.
    with(2, ["active", "removed", "removed"]);
    refused(&apply, &peers, 1, &["only 1 replicas would be left", "let them drain first"]);
    assert!(!run(&["layout", "show"], &peers).contains("version 2"));
    with(3, ["active"; 3]);
    refused(&apply, &peers, 1, &["3 does not follow 1", "the next change is version 2"]);

    // One of three is away, which does not matter, and knows it as soon as it is back: by then it
    // has the layout on its disk.
    cluster.kill(2);
    fs::write(&file, run(&["layout", "show"], at[0]).replacen("version = 1", "version = 2", 1))
        .unwrap();
    let others = at[..2].join(",");
    let agreed = run(&apply, &others);
    assert!(agreed.starts_with("version 2 agreed on\n"), "{agreed}");
    cluster.start_node(2);
    let kept = cluster.data(2).join("layout.toml");
    wait_until("the third has it", || fs::read_to_string(&kept).unwrap().contains("version = 2"));

    // A minority agrees on nothing.
    cluster.kill(0);
    cluster.kill(1);
    let shown = fs::read_to_string(&file).unwrap();
    fs::write(&file, shown.replacen("version = 2", "version = 3", 1)).unwrap();
    let alone = output(&[&apply[..], &["--timeout", "3"]].concat(), at[2]);
    assert_eq!(alone.status.code(), Some(1), "{alone:?}");
    assert!(fs::read_to_string(&kept).unwrap().contains("version = 2"));

    // What is accepted is done all the same.
    cluster.start_node(0);
    cluster.start_node(1);
    with(3, ["active", "removed", "removed"]);
    let lossy = [&apply[..], &["--accept-loss", "--timeout", "20"]].concat();
    assert!(run(&lossy, &peers).starts_with("version 3 agreed on\n"));
    let events = lines(&run(&["events", "--timeout", "20"], &peers));
    let applied = events.iter().filter(|event| event["change"] == "layout_applied");
    assert_eq!(applied.map(|e| e["version"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
}

/// A cluster that grows by `init` and `join`.
struct Growing {
    dir: tempfile::TempDir,
    addresses: Vec<String>,
    nodes: Vec<Option<Serve>>,
}

impl Growing {
    /// Founds it, and starts its first node.
    fn found() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Growing { dir, addresses: vec![listen()], nodes: Vec::new() };
        let (data, address) = (cluster.data(1), cluster.addresses[0].clone());
        run(&["init", "--data", &data, "--id", "n1", "--address", &address], "");
        cluster.nodes.push(Some(Serve::start(&["--data", &data])));
        cluster
    }

    fn data(&self, n: usize) -> String {
        text(&self.dir.path().join(format!("n{n}"))).to_owned()
    }

    fn peers(&self) -> String {
        let running = self.addresses.iter().zip(&self.nodes).filter(|(_, node)| node.is_some());
        running.map(|(address, _)| address.as_str()).collect::<Vec<_>>().join(",")
    }

    /// The arguments by which node `n` joins.
    fn join(&self, n: usize, address: &str, more: &[&str]) -> Vec<String> {
        let id = format!("n{n}");
        let fixed = ["join", "--data", &self.data(n), "--id", &id, "--address", address];
        fixed.iter().chain(more).map(|word| (*word).to_owned()).collect()
    }

    /// Has the next node join, and starts it.
    fn grow(&mut self, more: &[&str]) {
        let (n, address) = (self.nodes.len() + 1, listen());
        let join = self.join(n, &address, more);
        let join: Vec<&str> = join.iter().map(String::as_str).collect();
        run(&join, &self.peers());
        self.addresses.push(address);
        self.nodes.push(Some(Serve::start(&["--data", &self.data(n)])));
    }

    fn kill(&mut self, n: usize) {
        self.nodes[n - 1].take().unwrap().kill();
    }

    fn layout(&self) -> String {
        run(&["layout", "show"], &self.peers())
    }

    /// Waits until these vote, and no others.
    fn wait_for_voters(&self, expected: &[&str]) {
        wait_until("they vote", || {
            let listed = output(&["node", "list", "--json"], &self.peers());
            let nodes = lines(&String::from_utf8_lossy(&listed.stdout));
            let voters = nodes.iter().filter(|node| node["state"] == "voter");
            voters.map(|node| node["id"].as_str().unwrap()).collect::<Vec<_>>() == expected
        });
    }

    /// Puts so many files; returns their ids.
    fn put(&self, name: &str, count: usize) -> Vec<String> {
        let files: Vec<_> =
            (0..count).map(|n| self.dir.path().join(format!("{name}-{n}"))).collect();
        for file in &files {
            fs::write(file, file.display().to_string()).unwrap();
        }
        let words: Vec<_> = ["put"].into_iter().chain(files.iter().map(|f| text(f))).collect();
        run(&words, &self.peers()).lines().map(str::to_owned).collect()
    }

    fn holders(&self, id: &str) -> Vec<String> {
        let held = run(&["has", id], &self.peers());
        let nodes = (1..=self.nodes.len()).map(|n| format!("n{n}"));
        nodes.filter(|node| held.contains(node.as_str())).collect()
    }
}

#[test]
fn a_cluster_grows_from_one_to_three_by_two_joins_and_replaces_a_dead_machine() {
    let mut cluster = Growing::found();
    run(&["repo", "create", "team/project", "--timeout", "20"], &cluster.peers());
    let ids = cluster.put("before", 20);

    cluster.grow(&[]);
    wait_until("the second is in the layout", || cluster.layout().contains("replicas = 2"));
    cluster.grow(&["--zone", "rack-3"]);
    wait_until("the third is in the layout", || cluster.layout().contains("replicas = 3"));
    assert!(cluster.layout().contains("write_quorum = 2\nread_quorum = 2"));
    assert!(cluster.layout().contains("zone = \"rack-3\""));
    cluster.wait_for_voters(&["n1", "n2", "n3"]);
    let settled = run(&["layout", "settle"], &cluster.peers());
    assert!(settled.contains("all objects are in their places"), "{settled}");
    assert_eq!(cluster.layout().matches("[[previous]]").count(), 1);
    for id in &ids {
        assert_eq!(cluster.holders(id).len(), 3, "{id}");
    }

    // The founder dies, and another machine takes its place.
    cluster.kill(1);
    let more = cluster.put("meanwhile", 5);
    fs::remove_dir_all(cluster.data(1)).unwrap();
    let again = cluster.join(1, &listen(), &[]);
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    let words = ["another id", "gitstratum node replace n1 --with NEW"];
    refused(&again, &cluster.peers(), 1, &words);
    cluster.grow(&["--spare"]);
    assert!(!cluster.layout().contains("id = \"n4\""), "it waits");
    let replaced = run(&["node", "replace", "n1", "--with", "n4"], &cluster.peers());
    assert!(replaced.ends_with("n1 is removed\n"), "{replaced}");
    cluster.wait_for_voters(&["n2", "n3", "n4"]);
    for id in ids.iter().chain(&more) {
        assert_eq!(cluster.holders(id), ["n2", "n3", "n4"], "{id}");
    }
    assert_eq!(run(&["repo", "list", "--json"], &cluster.peers()).lines().count(), 1);

    // Its id is used no more, by whatever directory; and nobody else's is.
    let gone = cluster.dir.path().join("elsewhere");
    let join = ["join", "--data", text(&gone), "--address", &listen(), "--id"];
    for id in ["n1", "n2"] {
        let join = [&join[..], &[id]].concat();
        refused(&join, &cluster.peers(), 1, &[id, "another data directory", "another id"]);
        assert!(!gone.exists(), "nothing was made");
    }
}

#[test]
fn a_machine_that_lost_its_disk_takes_its_own_place_under_another_id() {
    let mut cluster = Growing::found();
    for n in [2, 3] {
        cluster.grow(&["--if-needed"]);
        let grown = format!("replicas = {n}");
        wait_until("it is in the layout", || cluster.layout().contains(&grown));
    }
    cluster.wait_for_voters(&["n1", "n2", "n3"]);
    run(&["layout", "settle"], &cluster.peers());
    let ids = cluster.put("before", 5);

    // What is run at every start joins once, and not under the id of what was lost.
    let address = cluster.addresses[1].clone();
    let data = cluster.data(2);
    let start = ["join", "--if-needed", "--data", &data, "--id", "n2", "--address", &address];
    run(&start, &cluster.peers());
    cluster.kill(2);
    fs::remove_dir_all(&data).unwrap();
    refused(&start, &cluster.peers(), 1, &["another data directory", "node replace n2"]);

    let elsewhere = ["join", "--data", &data, "--id", "n4", "--address", &address];
    let words = ["--address", "already the address"];
    refused(&elsewhere, &cluster.peers(), 2, &words);
    run(&[&elsewhere[..], &["--spare"]].concat(), &cluster.peers());
    run(&start, &cluster.peers());
    cluster.nodes[1] = Some(Serve::start(&["--data", &data]));
    let replaced = run(&["node", "replace", "n2", "--with", "n4"], &cluster.peers());
    assert!(replaced.ends_with("n2 is removed\n"), "{replaced}");
    cluster.wait_for_voters(&["n1", "n3", "n4"]);
    run(&start, &cluster.peers());
    for id in &ids {
        let held = run(&["has", id], &cluster.peers());
        assert!(held.contains("n4"), "{held}");
    }
}

#[test]
fn a_node_is_drained_and_removed_and_never_one_too_many() {
    let mut cluster = Growing::found();
    let alone = cluster.peers();
    wait_until("it votes", || {
        run(&["node", "list", "--json"], &alone).contains("\"state\":\"voter\"")
    });
    refused(&["node", "remove", "n1"], &alone, 1, &["only one that votes", "join first"]);
    refused(&["node", "drain", "n1"], &alone, 1, &["cluster.replicas", "join first"]);
    refused(&["node", "drain", "n7"], &alone, 1, &["n7 is not in the layout"]);
    // One after the other: who is there first votes, and goes on to.
    for version in 2..=4 {
        cluster.grow(&[]);
        let version = format!("version = {version}");
        wait_until("it is in the layout", || cluster.layout().contains(&version));
    }
    cluster.wait_for_voters(&["n1", "n2", "n3"]);
    let ids = cluster.put("object", 30);

    // Two at once would be the last copies of something.
    run(&["node", "drain", "n1"], &cluster.peers());
    assert!(cluster.layout().contains("state = \"draining\""));
    run(&["node", "drain", "n1"], &cluster.peers());
    let removed = run(&["node", "remove", "n1"], &cluster.peers());
    assert!(removed.ends_with("n1 is removed\n"), "{removed}");
    cluster.nodes[0].take().unwrap().terminate();
    cluster.wait_for_voters(&["n2", "n3", "n4"]);
    for id in &ids {
        assert_eq!(cluster.holders(id), ["n2", "n3", "n4"], "{id}");
    }
    refused(
        &["node", "drain", "n2"],
        &cluster.peers(),
        1,
        &["3 exceeds the 2 active", "--replicas"],
    );

    // One more that is dead, and those left would be no majority.
    cluster.kill(2);
    let words = ["no majority any more", "start n2 first"];
    refused(&["node", "remove", "n3", "--replicas", "2"], &cluster.peers(), 1, &words);
    run(&["node", "list"], &cluster.peers());
}

#[test]
fn a_directory_of_another_cluster_does_not_join() {
    let (ours, theirs) = (Growing::found(), Growing::found());
    let join = ours.join(1, &listen(), &[]);
    let join: Vec<&str> = join.iter().map(String::as_str).collect();
    refused(&join, &theirs.peers(), 1, &["it is node n1's", "for good"]);
    let data = ours.dir.path().join("photos");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("photo"), "x").unwrap();
    let join = ["join", "--id", "n2", "--address", "127.0.0.1:1", "--data", text(&data)];
    refused(&join, &theirs.peers(), 1, &["\"photo\"", "empty or a new directory"]);
    let new = ours.dir.path().join("new");
    let join = ["join", "--id", "n2", "--data", text(&new)];
    refused(&join, &theirs.peers(), 2, &["--address: missing"]);
    let wrong = [&join[..], &["--listen", "127.0.0.1:1", "--replicas", "7"]].concat();
    refused(&wrong, &theirs.peers(), 2, &["--replicas: 7 exceeds the 2"]);
    assert!(!new.exists());
}

#[test]
fn one_survivor_of_three_goes_on_alone_and_the_cluster_grows_again() {
    let mut cluster = Growing::found();
    run(&["repo", "create", "team/project", "--timeout", "20"], &cluster.peers());
    cluster.grow(&[]);
    cluster.grow(&[]);
    wait_until("all are in the layout", || cluster.layout().contains("version = 3"));
    cluster.wait_for_voters(&["n1", "n2", "n3"]);
    let ids = cluster.put("object", 10);
    let dumped = run(&["catalog", "dump"], &cluster.peers());
    assert!(dumped.contains("team/project") && dumped.contains("\"kind\":\"end\""), "{dumped}");

    let data = cluster.data(3);
    refused(&["recover", "--data", &data, "--force"], "", 1, &["in use"]);
    for n in 1..=3 {
        cluster.kill(n);
    }
    // What the stopped node has is what all had agreed on.
    let kept = run(&["catalog", "dump", "--data", &data], "");
    assert!(kept.contains("team/project"), "{kept}");
    let words = ["member 3", "n1, n2", "is lost", "nothing was changed", "--force"];
    refused(&["recover", "--data", &data], "", 1, &words);
    let recovered = run(&["recover", "--data", &data, "--force"], "");
    assert_eq!(recovered, "node n3 goes on alone as member 4\n");

    cluster.nodes[2] = Some(Serve::start(&["--data", &data]));
    cluster.wait_for_voters(&["n3"]);
    let names = run(&["repo", "list", "--json"], &cluster.peers());
    assert!(names.contains("team/project"), "{names}");
    run(&["repo", "create", "team/after"], &cluster.peers());
    for id in &ids {
        assert!(cluster.holders(id).contains(&"n3".to_owned()), "{id}");
    }

    cluster.grow(&["--spare"]);
    cluster.grow(&["--spare"]);
    let replace = ["node", "replace", "n1", "n2", "--timeout", "20", "--with"];
    let few = [&replace[..], &["n4"]].concat();
    refused(&few, &cluster.peers(), 2, &["--with: 1 nodes for 2 places"]);
    let twice = [&replace[..], &["n4,n4"]].concat();
    refused(&twice, &cluster.peers(), 2, &["--with: each node is named once"]);
    let both = [&replace[..], &["n4,n5", "--accept-loss"]].concat();
    let replaced = run(&both, &cluster.peers());
    assert!(replaced.ends_with("n1 is removed\nn2 is removed\n"), "{replaced}");
    cluster.wait_for_voters(&["n3", "n4", "n5"]);
    for id in &ids {
        assert_eq!(cluster.holders(id), ["n3", "n4", "n5"], "{id}");
    }
    assert_eq!(run(&["repo", "list", "--json"], &cluster.peers()).lines().count(), 2);
}

#[test]
fn a_cluster_is_restored_from_copies_of_its_stores_with_its_names() {
    let cluster = Growing::found();
    run(&["repo", "create", "team/project", "--timeout", "20"], &cluster.peers());
    run(&["token", "create", "ci"], &cluster.peers());
    let ids = cluster.put("object", 5);
    wait_until("the layout is known", || {
        run(&["events"], &cluster.peers()).contains("layout_applied")
    });
    run(&["snapshot", "monday"], &cluster.peers());
    let (data, peers) = (cluster.data(1), cluster.peers());
    let copied = std::path::Path::new(&data).join("snapshots/monday");
    let copy = cluster.dir.path().join("copy");
    let text_file = copy.join("catalog.jsonl");
    let mut copying = std::process::Command::new("cp");
    assert!(copying.arg("-r").args([&copied, &copy]).status().unwrap().success());
    assert!(fs::read_to_string(&text_file).unwrap().contains("team/project"));
    assert!(run(&["store", "verify", text(&copy)], "").contains("all sound"));

    let status = run(&["status"], &peers);
    let id = status.lines().find_map(|line| line.strip_prefix("cluster ")).unwrap();

    // Into a catalog that is not new nothing is loaded, nor anything that is cut or another's, nor
    // into the directory of a node that the text does not know.
    let load = |file: &Path, data: &Path, words: &[&str]| {
        refused(&["catalog", "load", text(file), "--data", text(data)], "", 1, words);
    };
    drop(cluster.nodes);
    load(&text_file, Path::new(&data), &["its catalog is not new", "1 repositories"]);
    let cut = cluster.dir.path().join("cut");
    let whole = fs::read_to_string(&text_file).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    load(&cut, &copy, &["cut: line "]);
    let other = cluster.dir.path().join("other");
    run(&["init", "--data", text(&other), "--id", "n1", "--address", &peers], "");
    let load_other = ["catalog", "load", text(&text_file), "--data", text(&other)];
    refused(&load_other, "", 2, &["cluster.id", "belongs to cluster"]);
    let stranger = cluster.dir.path().join("stranger");
    let init = ["init", "--cluster", id, "--data", text(&stranger), "--id", "n9"];
    run(&[&init[..], &["--address", "127.0.0.1:1"]].concat(), "");
    load(&text_file, &stranger, &["node n9 is not in the layout of the text, which has n1"]);
    run(&["store", "verify", text(&stranger)], "");

    // A copy does not begin without its names.
    let node = Serve::start(&["--data", text(&copy), "--listen", &peers]);
    refused(&["repo", "list", "--timeout", "2"], &peers, 1, &["a copy", "catalog load"]);
    node.terminate();
    let loaded = run(&["catalog", "load", text(&text_file), "--data", text(&copy)], "");
    assert!(loaded.ends_with("with 1 repositories, 1 refs and 1 tokens\n"), "{loaded}");
    let node = Serve::start(&["--data", text(&copy), "--listen", &peers]);
    let names = run(&["repo", "list", "--json", "--timeout", "20"], &peers);
    assert!(names.contains("team/project"), "{names}");
    for id in &ids {
        run(&["get", id], &peers);
    }
    node.terminate();
}
