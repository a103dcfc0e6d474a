//! A node dies by SIGKILL and is started again on the same address.

use std::time::{Duration, Instant};

use gitstratum_core::limits::DIAL_BACKOFF_MAX;
use gitstratum_core::replica::NodeError;

use super::load::{Load, QUORUM};
use super::{Caller, Cluster, SLACK, object, say};
use crate::support::wait_until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_fails_no_request_that_had_a_second_attempt_left() {
    let mut cluster = Cluster::start(1);
    let caller = Caller::of(&cluster.addresses).await;
    let load = Load::start(&caller, &["n1", "n2", "n3"]);

    // It stands still before it dies, so that requests are surely under way when it does.
    let went = Instant::now();
    cluster.node(1).pause();
    wait_until("requests wait for it", || caller.peer("n1").requests >= 2);
    cluster.kill(1);
    wait_until("calls to it fail", || load.failed("n1", went).len() >= 2);
    // While nobody listens, more than one back-off passes.
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.start_node(1);
    let listens = Instant::now();
    let first = load.first_success("n1", listens);
    tokio::time::sleep(DIAL_BACKOFF_MAX).await;
    let failed = load.failed("n1", went).len();
    say(&format!("killed: {failed} calls failed while it was away; used again {first:?} after"));
    assert!(first <= DIAL_BACKOFF_MAX + SLACK, "{first:?}");
    load.assert_none_failed(&["n2", "n3", QUORUM]);
    // Whoever asked once it was back had a second attempt, if not the first.
    let after = load.failed("n1", listens).into_iter().next();
    assert!(after.is_none(), "{after:?}");
    // A request that lost its connection was sent again: what failed it is that nobody
    // could be dialled.
    let of_a_dial = |error: &NodeError| matches!(error, NodeError::Dial(_));
    let mut other = load.failed("n1", went).into_iter();
    let other = other.find(|call| !call.error().is_some_and(of_a_dial));
    assert!(other.is_none(), "{other:?}");

    // Nobody asks for it while it is away: what is left of its connection fails nobody.
    drop(load);
    wait_until("nobody asks", || caller.peer("n1").requests == 0);
    let before = caller.counts("n1").dials;
    cluster.kill(1);
    cluster.start_node(1);
    for number in 0..20 {
        caller.put("n1", object(&format!("idle {number}"))).await.unwrap();
    }
    assert_eq!(caller.counts("n1").dials, before + 1);
}
