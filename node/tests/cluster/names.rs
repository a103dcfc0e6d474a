//! Repositories, tokens and events by name, whichever node is asked and whichever is dead.

use serde_json::Value;

use crate::support::{output, run, wait_for_voters};
use crate::trio::Cluster;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(peers: &str) -> Vec<String> {
    let listed = lines(&run(&["repo", "list", "--json"], peers));
    listed.iter().map(|found| found["name"].as_str().unwrap().to_owned()).collect()
}

/// What the command line says against it.
fn refused(arguments: &[&str], peers: &str) -> String {
    let refused = output(arguments, peers);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stdout.is_empty(), "{refused:?}");
    String::from_utf8(refused.stderr).unwrap()
}

#[test]
fn names_are_agreed_on_by_all_and_survive_whoever_leads() {
    let mut cluster = Cluster::start();
    wait_for_voters(&cluster.peers);
    let peers = cluster.peers.clone();
    let one: Vec<&str> = peers.split(',').collect();
    run(&["repo", "create", "team/project", "--description", "what it is"], one[0]);
    // What was acknowledged by one is seen through any other at once.
    for peer in &one {
        assert!(names(peer).contains(&"team/project".to_owned()));
    }
    let problem = refused(&["repo", "create", "team/project"], one[1]);
    assert!(problem.contains("has the name team/project already"), "{problem}");
    let problem = refused(&["repo", "create", "team/project/inner"], one[2]);
    assert!(problem.contains("team/project"), "{problem}");

    // Any of the three may go, and comes back with what it missed.
    for node in 0..3 {
        cluster.kill(node);
        let others = one.iter().enumerate().filter(|(n, _)| *n != node).map(|(_, peer)| *peer);
        let others = others.collect::<Vec<_>>().join(",");
        run(&["repo", "create", &format!("without/{node}"), "--timeout", "20"], &others);
        cluster.start_node(node);
    }
    for peer in &one {
        let all = names(peer);
        assert!((0..3).all(|node| all.contains(&format!("without/{node}"))), "{all:?}");
    }

    // A name that is deleted is free, and comes back.
    run(&["repo", "delete", "team/project"], one[0]);
    assert!(!names(one[1]).contains(&"team/project".to_owned()));
    run(&["repo", "undelete", "team/project"], one[1]);
    run(&["repo", "rename", "team/project", "team/other"], one[2]);
    let shown = run(&["repo", "show", "team/other"], one[0]);
    assert!(shown.contains("what it is") && shown.contains("HEAD ref refs/heads/main"), "{shown}");

    // Secrets are shown once, and tokens end.
    let secret = run(&["token", "create", "ci", "--scope", "write", "--prefix", "team"], &peers);
    assert!(secret.starts_with("gst_") && secret.trim().len() == 68, "{secret}");
    let listed = run(&["token", "list", "--json"], &peers);
    assert!(!listed.contains(secret.trim()) && listed.contains("\"access\":\"write\""), "{listed}");
    run(&["token", "revoke", "1"], &peers);
    assert_eq!(run(&["token", "list", "--json"], &peers), "");

    // Events are numbered without a gap, and can be read on from anywhere.
    let events = lines(&run(&["events"], &peers));
    let numbers: Vec<u64> = events.iter().map(|e| e["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let since = (numbers.len() - 2).to_string();
    assert_eq!(lines(&run(&["events", "--since", &since], &peers)), events[numbers.len() - 2..]);
    let changed = |change: &str| events.iter().filter(|e| e["change"] == change).count();
    assert_eq!(changed("repository_deleted"), 1);
    assert_eq!(changed("node_joined"), 3);
}

#[test]
fn a_node_without_the_catalog_serves_objects_and_says_that_it_has_no_names() {
    let off = "[catalog]\nenabled = false\n";
    let cluster = Cluster::start_with([off, off, off]);
    let ids = cluster.put("object", 1);
    assert!(cluster.holders(&ids[0]) >= 2);
    let problem = refused(&["repo", "list"], &cluster.peers);
    assert!(problem.contains("catalog.enabled is false"), "{problem}");
}
