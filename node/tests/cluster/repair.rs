//! A cluster that heals itself, as an operator sees it: `repair` and `status` of real
//! processes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{files, output, run, wait_until};
use crate::trio::Cluster;

#[test]
fn a_node_whose_data_was_deleted_gets_everything_again_by_itself() {
    let mut cluster = Cluster::start();
    let mut ids = cluster.put("before", 150);
    cluster.kill(1);
    fs::remove_dir_all(cluster.data(1)).unwrap();
    ids.extend(cluster.put("meanwhile", 50));
    cluster.start_node(1);
    wait_until("nothing lacks a replica", || {
        let status = cluster.repair_status();
        let caught_up = |node: &Value| {
            node["absence_unproven"] == false
                && node["catching_up"] == false
                && node["comparisons"].as_array().unwrap().is_empty()
        };
        status["partial"] == false
            && status["lacking"]["objects"] == 0
            && status["lacking"]["dirty_ranges"] == 0
            && status["nodes"].as_array().unwrap().iter().all(caught_up)
    });
    for id in &ids {
        assert_eq!(cluster.holders(id), 3, "{id}");
    }
}

#[test]
fn a_node_that_is_started_on_a_backup_proves_nothing_until_it_was_compared() {
    let mut cluster = Cluster::start();
    let mut ids = cluster.put("before", 20);
    run(&["snapshot", "monday"], &cluster.peers);
    ids.extend(cluster.put("after", 20));
    for node in 0..3 {
        cluster.kill(node);
    }
    let (data, backup) = (cluster.data(1), cluster.data(1).with_extension("backup"));
    fs::rename(data.join("snapshots/monday"), &backup).unwrap();
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&backup, &data).unwrap();
    let absence_unproven = |cluster: &Cluster| {
        let nodes = &cluster.repair_status()["nodes"];
        nodes.as_array().unwrap().iter().map(|node| node["absence_unproven"].clone()).collect()
    };
    // Also after it was started and killed.
    for _ in 0..2 {
        cluster.start_node(1);
        let said: Vec<Value> = absence_unproven(&cluster);
        assert_eq!(said[1], true, "{said:?}");
        cluster.kill(1);
    }
    for node in 0..3 {
        cluster.start_node(node);
    }
    wait_until("it was compared", || {
        let said: Vec<Value> = absence_unproven(&cluster);
        said.iter().all(|said| *said == false) && ids.iter().all(|id| cluster.holders(id) == 3)
    });
}

/// Flips a bit of the magic that begins the second record of a node that does not run.
fn damage_a_head(data: &Path) {
    let segment = &files(&data.join("segments"), ".seg")[0];
    let mut bytes = fs::read(segment).unwrap();
    let mut heads = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"GSR1"));
    let head = heads.nth(1).unwrap();
    bytes[head] ^= 1;
    fs::write(segment, bytes).unwrap();
}

#[test]
fn what_a_node_lost_without_knowing_it_is_brought_back_and_then_absent_is_absent_again() {
    let mut cluster = Cluster::start();
    let ids = cluster.put("before", 30);
    wait_until("all have all", || ids.iter().all(|id| cluster.holders(id) == 3));
    cluster.kill(1);
    damage_a_head(&cluster.data(1));
    cluster.start_node(1);
    wait_until("it is made up for", || {
        let status: Value =
            serde_json::from_str(&run(&["status", "--json"], &cluster.peers)).unwrap();
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().all(|node| node["store"]["damaged_objects"] == 0)
            && ids.iter().all(|id| cluster.holders(id) == 3)
    });
    // Of R = 2 that say "not found" it is one.
    cluster.kill(0);
    let absent = output(&["get", &"7".repeat(40)], &cluster.peers);
    let said = String::from_utf8(absent.stderr).unwrap();
    assert!(said.contains("not found"), "{said}");
}

#[test]
fn status_answers_within_a_second_though_a_node_is_down_or_stands_still() {
    let mut cluster = Cluster::start();
    cluster.nodes[2].as_ref().unwrap().pause();
    let timed = |arguments: &[&str]| {
        let began = Instant::now();
        let said = run(arguments, &cluster.peers);
        (said, began.elapsed())
    };
    for command in [&["status"][..], &["repair", "status"], &["scrub", "status"]] {
        let (said, took) = timed(command);
        println!("{command:?} beside a node that stands still: {took:?}");
        assert!(said.contains("partial: 1 of 3 nodes could not be asked"), "{said}");
        assert!(said.contains("n1") && said.contains("n2"), "{said}");
        // A second, and what starting a process takes here.
        assert!(took < Duration::from_millis(1_500), "{took:?}");
    }
    cluster.nodes[2].as_ref().unwrap().resume();
    cluster.kill(2);
    let began = Instant::now();
    let said = run(&["status"], &cluster.peers);
    println!("status beside a node that is down: {:?}", began.elapsed());
    assert!(said.contains("partial: 1 of 3 nodes could not be asked"), "{said}");
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
}

#[test]
fn what_is_paused_begins_nothing_until_it_is_started_again() {
    let mut cluster = Cluster::start();
    let catching_up = cluster.data(2).join("catching-up");
    let paused = |cluster: &Cluster| {
        let status = cluster.repair_status();
        let nodes = status["nodes"].as_array().unwrap().iter();
        nodes.filter(|node| node["job"]["state"] == "paused").count()
    };
    let mut missed = |round: usize| {
        // One that has to catch up compares itself at once, before anybody can tell it to pause.
        wait_until("its disk counts as new no more", || !catching_up.exists());
        cluster.kill(2);
        let ids = cluster.put(&format!("missed-{round}"), 20);
        run_on_some(&cluster, &["repair", "pause"]);
        cluster.start_node(2);
        run(&["repair", "pause"], &cluster.peers);
        assert_eq!(paused(&cluster), 3);
        if ids.iter().all(|id| cluster.holders(id) == 2) {
            return Some(ids);
        }
        // It was faster than the command, which shows nothing.
        run(&["repair", "start"], &cluster.peers);
        None
    };
    let ids = (0..5).find_map(&mut missed).expect("a node is paused before it repairs itself");
    // Within this, what was missed comes when nothing is paused.
    std::thread::sleep(Duration::from_secs(3));
    let held: Vec<_> = ids.iter().map(|id| cluster.holders(id)).collect();
    assert_eq!(held, vec![2; ids.len()], "repair went on during a pause");
    run(&["repair", "cancel"], &cluster.peers);
    assert_eq!(paused(&cluster), 3, "to give up is not to go on");
    run(&["repair", "start"], &cluster.peers);
    assert_eq!(paused(&cluster), 0);
    wait_until("what was missed is there", || ids.iter().all(|id| cluster.holders(id) == 3));
}

/// Tells those that answer; one is down, and is said not to have been told.
fn run_on_some(cluster: &Cluster, arguments: &[&str]) {
    let told = output(arguments, &cluster.peers);
    assert_eq!(told.status.code(), Some(1));
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(said.contains("1 of 3 nodes were not told"), "{said}");
}
