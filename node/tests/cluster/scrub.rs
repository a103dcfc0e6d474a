//! Scrub, as an operator sees it: `scrub` of real processes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{files, output, run, wait_until};
use crate::trio::Cluster;

/// The slowest that a configuration accepts: a few objects take a while.
const SLOWLY: &str = "[store]\nmaintenance_bytes_per_second = 4096";

/// What a node says of scrub; `Null` of one that could not be asked.
fn scrub_of(cluster: &Cluster, node: usize) -> Value {
    let status = run(&["scrub", "status", "--json"], &cluster.peers);
    let status: Value = serde_json::from_str(&status).unwrap();
    status["nodes"][node].clone()
}

/// So many bytes that do not get any shorter.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::repeat_n((), len).scan(seed, |state, ()| step(state)).collect()
}

/// Flips a bit of the first object that a running node has.
fn damage(data: &Path) {
    let segment = &files(&data.join("segments"), ".seg")[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[1000] ^= 1;
    // In place: the node has the file open.
    let file = fs::File::options().write(true).open(segment).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[1000..1001], 1000).unwrap();
}

#[test]
fn an_operator_sees_what_scrub_does_and_starts_pauses_and_cancels_it() {
    let mut cluster = Cluster::start_with([SLOWLY, SLOWLY, ""]);
    let ids = cluster.put_data("noise", (0..3).map(|n| noise(n, 20_000)).collect());
    wait_until("all have all", || ids.iter().all(|id| cluster.holders(id) == 3));
    let idle = scrub_of(&cluster, 0);
    let week_ms = 7 * 24 * 3_600_000;
    let next_in_ms = idle["job"]["next_in_ms"].as_u64().unwrap();
    assert!(idle["last"].is_null() && next_in_ms > week_ms / 2 && next_in_ms <= week_ms, "{idle}");

    damage(&cluster.data(2));
    run(&["scrub", "start"], &cluster.peers);
    wait_until("the fast one is done", || !scrub_of(&cluster, 2)["last"].is_null());
    let done = scrub_of(&cluster, 2);
    assert_eq!(done["last"]["damaged"], 1, "{done}");
    // Until another replica brought it back.
    let named = done["damaged"].as_array().unwrap();
    assert!(named.iter().all(|named| ids.iter().any(|id| named["object"] == **id)), "{done}");
    wait_until("the slow ones read", || scrub_of(&cluster, 0)["present"]["bytes"] != 0);
    let reads = scrub_of(&cluster, 0);
    let permille = reads["job"]["done_permille"].as_u64().unwrap();
    assert!(reads["job"]["state"] == "running" && permille < 1000, "{reads}");
    let said = run(&["scrub", "status"], &cluster.peers);
    assert!(
        said.contains("n1           running; ") && said.contains(", 1 found damaged"),
        "{said}"
    );

    run(&["scrub", "pause"], &cluster.peers);
    let held = scrub_of(&cluster, 0);
    assert!(held["job"]["state"] == "paused" && !held["present"].is_null(), "{held}");
    cluster.kill(1);
    let said = run(&["scrub", "status"], &cluster.peers);
    assert!(said.contains("partial: 1 of 3 nodes could not be asked"), "{said}");
    let told = output(&["scrub", "cancel"], &cluster.peers);
    let said = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(1), "{said}");
    assert!(said.contains("1 of 3 nodes were not told"), "{said}");
    wait_until("it is given up", || scrub_of(&cluster, 0)["present"].is_null());
    assert_eq!(scrub_of(&cluster, 0)["job"]["state"], "paused", "to give up is not to go on");

    // Orders end with the process; the place does not.
    cluster.start_node(1);
    wait_until("it can be asked", || scrub_of(&cluster, 1)["reachable"] == true);
    let again = scrub_of(&cluster, 1);
    assert!(again["job"]["state"] != "paused" && !again["present"].is_null(), "{again}");

    // What was damaged came from another replica meanwhile.
    wait_until("it is healed", || scrub_of(&cluster, 2)["damaged_now"] == 0);
    let healed = scrub_of(&cluster, 2);
    assert!(healed["damaged"].as_array().unwrap().is_empty(), "{healed}");
    assert_eq!(healed["last"]["damaged"], 1, "what it found stays known");
    let said = run(&["scrub", "status"], &cluster.peers);
    assert!(said.contains("1 found damaged\n  nothing of it is damaged any more"), "{said}");
    assert!(!said.contains("damaged: "), "{said}");
}
