//! A firewall between us and a node forgets our connections and drops what comes on them,
//! without a word to anyone: to both kernels all is well for a quarter of an hour.

use std::process::Stdio;
use std::time::Instant;

use gitstratum_core::limits::IDENTIFY_TIMEOUT;
use tokio::runtime::Builder;

use super::load::{Load, QUORUM};
use super::namespace::{self, Network};
use super::{Caller, KEEPALIVE, PROBE, SLACK, object, say};
use crate::support::{PROGRAM, Serve, wait_until};

const THIS_TEST: &str = "connections::flow::a_forgotten_flow_fails_no_request";
const PORT: u16 = 7400;

#[test]
fn a_forgotten_flow_fails_no_request() {
    if namespace::is_inside() {
        match Network::make() {
            Ok(network) => {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.unwrap().block_on(inside(&network));
            }
            Err(reason) => say(&format!("flow: SKIPPED, no network of our own: {reason}")),
        }
        return;
    }
    let this = std::env::current_exe().unwrap();
    let mut again = match namespace::entering(this) {
        Ok(again) => again,
        Err(reason) => {
            say(&format!("flow: SKIPPED, no namespaces of our own: {reason}"));
            return;
        }
    };
    // What its harness says of one test would be taken for ours.
    let again = again.args(["--exact", THIS_TEST, "--nocapture"]).stdin(Stdio::null());
    let output = again.stderr(Stdio::inherit()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{THIS_TEST} is not the name of this test: {said}");
}

async fn inside(network: &Network) {
    let data = tempfile::tempdir().unwrap();
    let (data, address) =
        (data.path().display().to_string(), format!("{}:{PORT}", namespace::NODE));
    let arguments = ["--data", &data, "--listen", &address, "--node-id", "n1"];
    let _node = Serve::start_by(network.behind(PROGRAM), &arguments);
    let caller = Caller::of(std::slice::from_ref(&address)).await;
    let silence = KEEPALIVE.interval + KEEPALIVE.timeout;

    // Requests wait on it: pings find it dead, and each request is sent once more.
    let load = Load::start(&caller, &["n1"]);
    let (before, evicted) = (caller.counts("n1").dials, caller.evicted("n1"));
    assert!(network.forget(PORT).unwrap() > 0, "there was a flow to forget");
    let forgot = Instant::now();
    wait_until("its connection is given up", || caller.evicted("n1") > evicted);
    let noticed = forgot.elapsed();
    let first = load.first_success("n1", forgot);
    wait_until("the load goes on", || {
        load.calls("n1", forgot).iter().filter(|call| call.failure.is_none()).count() > 10
    });
    load.assert_none_failed(&["n1", QUORUM]);
    let calls = load.calls("n1", forgot - SLACK);
    let longest = calls.iter().map(|call| call.took()).max().unwrap();
    say(&format!(
        "flow: forgotten under load: noticed after {noticed:?}, used again after {first:?}, \
         no call failed, the longest took {longest:?}"
    ));
    assert!(longest >= KEEPALIVE.interval, "{longest:?}: nothing was dropped");
    assert!(longest <= silence + SLACK, "{longest:?}");
    assert!(noticed <= silence + SLACK, "{noticed:?}");
    assert_eq!(caller.counts("n1").dials, before + 1);

    // Nobody asks when it happens; whoever asks first is served.
    drop(load);
    wait_until("nobody asks", || caller.peer("n1").requests == 0);
    assert!(network.forget(PORT).unwrap() > 0);
    let began = Instant::now();
    caller.put("n1", object("the first to ask")).await.unwrap();
    let took = began.elapsed();
    say(&format!("flow: forgotten while idle: the first call took {took:?}"));
    assert!(took >= KEEPALIVE.timeout && took <= silence + SLACK, "{took:?}");

    // Nobody asks for long: it is the pool itself that asks, and nobody notices anything.
    let (before, evicted) = (caller.counts("n1"), caller.evicted("n1"));
    assert!(network.forget(PORT).unwrap() > 0);
    let forgot = Instant::now();
    wait_until("the probe finds it", || caller.evicted("n1") > evicted);
    let noticed = forgot.elapsed();
    caller.put("n1", object("after the probe")).await.unwrap();
    let after = caller.counts("n1");
    say(&format!("flow: forgotten while idle: the probe noticed after {noticed:?}"));
    assert!(noticed <= PROBE + IDENTIFY_TIMEOUT + SLACK, "{noticed:?}");
    assert_eq!((after.dials, after.retries), (before.dials + 1, before.retries));
}
