//! A cluster without TLS is brought to it node by node, while it is written to.

use std::sync::Mutex;

use super::nodes::{Nodes, Tls};
use crate::support::{run, wait_for_voters, wait_until};

#[test]
fn a_cluster_is_brought_to_tls_node_by_node_without_a_request_that_fails() {
    let mut nodes = Nodes::new();
    (0..3).for_each(|node| nodes.configure(node, Tls::Absent));
    (0..3).for_each(|node| nodes.start(node));
    let peers = (0..3).map(|node| nodes.address(node).to_owned()).collect::<Vec<_>>().join(",");
    wait_for_voters(&peers);
    let client = Mutex::new(None);
    let written = nodes.while_written_to_by(&client, |nodes| {
        for node in 0..3 {
            nodes.stop(node);
            nodes.configure(node, Tls::Accepted);
            nodes.start(node);
            wait_until("all reach each other without TLS", || plainly_reachable(&peers));
        }
        assert!(nodes.all_reachable(), "with TLS too");
        *client.lock().unwrap() = Some("alice");
        nodes.wait_for_a_put();
        for node in 0..3 {
            nodes.stop(node);
            nodes.configure(node, Tls::Required);
            nodes.start(node);
            wait_until("all reach each other with TLS", || nodes.all_reachable());
        }
    });
    assert!(written > 12, "{written}");
    // From now on nobody is served without.
    let refused = nodes.command(&["status"], None).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("the node requires TLS: "), "{said}");
    for node in 0..3 {
        // That one does not speak TLS yet is no news while it is accepted.
        assert!(!nodes.log(node).contains("dial failed"), "{}", nodes.log(node));
    }
    nodes.stop_all();
}

fn plainly_reachable(peers: &str) -> bool {
    let status = run(&["status", "--json"], peers);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let answers = status["nodes"].as_array().unwrap();
    answers.iter().all(|node| {
        let peers = node["peers"].as_array().into_iter().flatten();
        peers.filter(|peer| peer["reachable"] == true).count() == 2
    })
}
