//! A node's process stands still by SIGSTOP. Its kernel goes on: it acknowledges what is
//! sent, and takes connections that nobody accepts.

use std::time::{Duration, Instant};

use gitstratum_core::limits::{DIAL_BACKOFF_MAX, IDENTIFY_TIMEOUT};
use gitstratum_core::replica::{DialProblem, NodeError, Stage};

use super::load::{Load, QUORUM};
use super::{Caller, Cluster, KEEPALIVE, SLACK, TIMEOUT, say};
use crate::support::wait_until;

const PAUSE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_is_noticed_by_its_silence_and_used_again() {
    let cluster = Cluster::start(2);
    let caller = Caller::of(&cluster.addresses).await;
    let load = Load::start(&caller, &["n1", "n2", "n3"]);
    let (before, evicted) = (caller.counts("n1").dials, caller.evicted("n1"));

    let stopped = Instant::now();
    cluster.node(1).pause();
    wait_until("its connection is given up", || caller.evicted("n1") > evicted);
    let noticed = stopped.elapsed();
    tokio::time::sleep(PAUSE.saturating_sub(noticed)).await;
    let dials = caller.counts("n1").dials - before;
    let failed = load.failed("n1", stopped);
    cluster.node(1).resume();
    let resumed = Instant::now();
    let first = load.first_success("n1", resumed);
    tokio::time::sleep(DIAL_BACKOFF_MAX).await;

    let longest = failed.iter().map(|call| call.took()).max().expect("calls to it failed");
    say(&format!(
        "stopped: noticed after {noticed:?}; {} calls failed in {PAUSE:?}, the longest after \
         {longest:?}; {dials} dials; used again {first:?} after it went on",
        failed.len()
    ));
    assert!(noticed <= KEEPALIVE.interval + KEEPALIVE.timeout + SLACK, "{noticed:?}");
    assert!(longest <= TIMEOUT + SLACK, "{longest:?}");
    assert!(first <= DIAL_BACKOFF_MAX + SLACK, "{first:?}");
    // Everyone is told what it is: somebody took the connection and did not say who.
    for call in &failed {
        let Some(NodeError::Dial(error)) = call.error() else { panic!("{call:?}") };
        assert_eq!(error.stage, Stage::Identify, "{error}");
        assert!(matches!(error.problem, DialProblem::TimedOut { .. }), "{error}");
    }
    // One dial at a time, each given its time.
    let dials_max = PAUSE.as_millis() / IDENTIFY_TIMEOUT.as_millis() + 1;
    assert!(u128::from(dials) <= dials_max, "{dials} dials");
    let after = load.failed("n1", resumed).into_iter().next();
    assert!(after.is_none(), "{after:?}");
    // Nobody else noticed, all the time.
    load.assert_none_failed(&["n2", "n3", QUORUM]);
    for second in 0..PAUSE.as_secs() / 5 {
        let (from, to) = (second * 5, (second + 1) * 5);
        let at = |seconds| stopped + Duration::from_secs(seconds);
        let calls = load.calls(QUORUM, at(from));
        assert!(calls.iter().any(|call| call.ended < at(to)), "no quorum in {from}..{to} s");
    }
}
