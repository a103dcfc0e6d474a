//! Runs repeat, panics become results, and parallel work is neither lost nor doubled.

use std::path::Path;

use super::{in_parallel, on_a_fresh_thread, run_checked, run_once};
use crate::scenario::Plan;
use crate::trace::Event;
use crate::verdict::Verdict;

/// Three nodes, a few operations, one loss of power.
const SMALL: &str = r#"name = "small"
description = "For tests of the runner."
cluster = { nodes = 3, replicas = 3, write_quorum = 2, read_quorum = 2, zones = 1 }
network = { latency_ms = [0.3, 2], loss = 0.0 }
disk = { read_ms = [0.1, 0.5], write_ms = [0, 0.1], sync_ms = [0.5, 4] }
expect = { recover_within = "10s", put_share_min = 1.0, puts_acked_min = 5, stuck_after = "2m" }

[workload]
clients = 1
workers = 2
duration = "3s"
pace_ms = [50, 150]
put_share = 0.6
batch_share = 0.2
batch_objects_max = 5
large_share = 0.05
request_timeout = "2s"
settled_puts = 2

[[step]]
at = "1s"
action = "power_off"
nodes = ["n2"]

[[step]]
after = "500ms"
action = "start"
nodes = ["n2"]
"#;

fn small() -> Plan {
    Plan::parse(Path::new("small.toml"), SMALL).expect("a good scenario")
}

#[test]
fn a_small_run_passes_and_repeats_itself() {
    let run = run_checked(&small(), 3);
    assert_eq!(run.verdict, Verdict::Pass, "{:?}", run.violations);
    assert_eq!(run.digest, run_once(&small(), 3).digest);
    assert_ne!(run.digest, run_once(&small(), 4).digest, "another seed, another run");
    assert!(matches!(run.trace.last().map(|record| &record.event), Some(Event::Wire { .. })));
}

#[test]
fn a_run_that_is_given_no_time_is_stuck() {
    let mut plan = small();
    plan.expect.stuck_after.0 = std::time::Duration::from_secs(2);
    let run = run_once(&plan, 3);
    assert_eq!(run.verdict, Verdict::Stuck);
    assert_eq!(run.violations[0].rule, "expect.stuck_after");
}

#[test]
fn a_panic_becomes_its_message_and_place() {
    let message = on_a_fresh_thread(|| -> () { panic!("index {}", 7) }).expect_err("it panicked");
    assert!(message.starts_with("index 7 (") && message.contains("tests.rs:"), "{message}");
    assert_eq!(on_a_fresh_thread(|| 5), Ok(5), "the next run is not concerned");
}

#[test]
fn every_item_is_done_once_and_no_more_when_told_to_stop() {
    let items: Vec<u64> = (0..50).collect();
    let mut seen = Vec::new();
    in_parallel(
        &items,
        4,
        |item| item * 2,
        |item, result| {
            assert_eq!(result, item * 2);
            seen.push(*item);
            true
        },
    );
    seen.sort_unstable();
    assert_eq!(seen, items);

    let mut results = 0;
    in_parallel(
        &items,
        1,
        |item| *item,
        |_, _| {
            results += 1;
            false
        },
    );
    assert!(results < 50, "{results} of 50 done after the first said to stop");
}
