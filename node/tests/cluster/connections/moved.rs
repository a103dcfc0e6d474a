//! A node's address answers, but somebody else does: another node, or no node at all.

use std::time::{Duration, Instant};

use gitstratum_cluster::transport::Dialler;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::limits::{DIAL_BACKOFF_MAX, IDENTIFY_TIMEOUT};
use gitstratum_core::replica::{DialProblem, NodeError, Stage};
use gitstratum_host::Net;
use gitstratum_proto::v1::StatusRequest;

use super::load::{Call, Load, QUORUM};
use super::stranger::{self, Stranger};
use super::{Caller, Cluster, PAYLOAD, SLACK, say};
use crate::support::{Serve, wait_until};

/// Whether an error is what is to be said of who answers.
type Right = fn(&NodeError) -> bool;

fn wrong_peer(error: &NodeError) -> bool {
    let NodeError::Dial(dial) = error else { return false };
    let DialProblem::WrongPeer { expected, actual } = &dial.problem else { return false };
    let words = error.to_string();
    (expected.as_str(), actual.as_str()) == ("n1", "n9")
        && words.contains("n1")
        && words.contains("n9")
}

fn no_node(error: &NodeError) -> bool {
    let NodeError::Dial(dial) = error else { return false };
    let at_last = matches!(dial.stage, Stage::Handshake | Stage::Identify);
    at_last && matches!(dial.problem, DialProblem::Lost { .. } | DialProblem::Protocol { .. })
}

fn silence(error: &NodeError) -> bool {
    let NodeError::Dial(dial) = error else { return false };
    dial.stage == Stage::Identify && matches!(dial.problem, DialProblem::TimedOut { .. })
}

/// Calls to n1 fail, and from the first that is answered so on, all are.
fn assert_answered(load: &Load, came: Instant, right: Right) {
    let is_right = |call: &Call| call.error().is_some_and(right);
    wait_until("calls say who answers", || {
        let calls = load.calls("n1", came);
        let good = calls.iter().find(|call| call.failure.is_none());
        assert!(good.is_none(), "{good:?} went well, and n1 is not there");
        calls.into_iter().filter(is_right).count() >= 2
    });
    let calls = load.calls("n1", came).into_iter();
    let other = calls.skip_while(|call| !is_right(call)).find(|call| !is_right(call));
    assert!(other.is_none(), "{other:?}");
}

fn assert_back(load: &Load, who: &str, listens: Instant, within: Duration) {
    let first = load.first_success("n1", listens);
    say(&format!("moved, {who}: used again {first:?} after it was back"));
    assert!(first <= within + SLACK, "{who}: {first:?}");
    let failed = load.failed("n1", listens).into_iter().next();
    assert!(failed.is_none(), "{who}: {failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_at_a_nodes_address_gets_nothing_unless_it_is_the_node() {
    let mut cluster = Cluster::start(3);
    let caller = Caller::of(&cluster.addresses).await;
    let load = Load::start(&caller, &["n1", "n2", "n3"]);
    let address = cluster.addresses[0].clone();

    // A node of another cluster, which would store whatever it is given.
    cluster.kill(1);
    let data = cluster.dir.path().join("n9").display().to_string();
    let another = Serve::start(&["--data", &data, "--listen", &address, "--node-id", "n9"]);
    assert_answered(&load, Instant::now(), wrong_peer);
    let asked = Dialler::new(Net::new(), "").open(&address, None).await.unwrap();
    let status = asked.rpc().status(StatusRequest {}).await.unwrap().into_inner();
    let objects = metrics_of(&status).count("gitstratum_store_objects");
    assert_eq!((status.node_id.as_str(), objects), ("n9", 0));
    another.kill();
    cluster.start_node(1);
    assert_back(&load, "another node", Instant::now(), DIAL_BACKOFF_MAX);

    let strangers: [(&str, &'static [u8], Right); 3] = [
        ("a web server", stranger::WEB_SERVER, no_node),
        ("garbage", &[0xa5; 64], no_node),
        ("silence", b"", silence),
    ];
    for (who, says, right) in strangers {
        cluster.kill(1);
        let stranger = Stranger::at(&address, says).await.unwrap();
        assert_answered(&load, Instant::now(), right);
        let heard = stranger.leave().await;
        assert!(!heard.is_empty(), "{who} was never dialled");
        assert_eq!(stranger::count(&heard, PAYLOAD), 0, "{who} was given objects");
        cluster.start_node(1);
        // A dial that waits for an answer may be under way.
        assert_back(&load, who, Instant::now(), DIAL_BACKOFF_MAX + IDENTIFY_TIMEOUT);
    }
    load.assert_none_failed(&["n2", "n3", QUORUM]);
}
