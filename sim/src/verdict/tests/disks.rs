//! Trouble with a node's disk excuses that node, from what it cannot do, while it lasts.

use super::*;

#[test]
fn a_node_whose_disk_stores_nothing_is_not_in_reach_until_it_was_well_for_a_while() {
    let with = |stores: bool, released: bool| {
        let mut trace = Trace::begin();
        trace.stop("n1").add("n2", Event::Disk { trouble: "full".into(), stores }).wait(1);
        if released {
            trace.add("n2", Event::DiskReleased).wait(6);
        }
        trace.put("a", put_failed(&["n3"])).inspect("a", &["n3"], found()).end();
        trace.rules()
    };
    assert_eq!(with(false, false), Vec::<&str>::new());
    assert_eq!(with(true, false), ["quorum in reach"], "a slow disk is no excuse");
    assert_eq!(with(false, true), ["quorum in reach"]);
}

#[test]
fn a_rotten_node_may_lack_what_it_had_and_no_other_may() {
    let with = |rotten: &str| {
        let mut trace = Trace::begin();
        trace.put("a", acked(ALL));
        trace.add(rotten, Event::Rotted { path: "f".into(), bit: 1 });
        trace.inspect("a", &["n1", "n2"], found()).end();
        trace.rules()
    };
    assert_eq!(with("n3"), Vec::<&str>::new());
    assert_eq!(with("n1"), ["I4 truthful", "replicas in reach"]);
}

#[test]
fn a_get_needs_a_quorum_of_every_layout_that_is_not_settled_and_a_put_of_one() {
    let with = |call: Call, outcome: Outcome, others: &[&str]| {
        let mut trace = Trace::begin();
        trace.set(|setting| setting.nodes = text(&["n1", "n2", "n3", "n4", "n5"]));
        let objects = vec![Wanted {
            id: "a".into(),
            bytes: 10,
            content: None,
            replicas: text(ALL),
            write_quorum: 2,
            read_quorum: 2,
            earlier: vec![(text(others), 2)],
        }];
        trace.add("c1", Event::OpStarted { op: 1, call, objects });
        trace.add("c1", Event::OpFinished { op: 1, outcomes: vec![outcome], moved: Vec::new() });
        trace.inspect("a", &[], not_found(ALL)).end();
        trace.rules()
    };
    // n4 and n5 never ran.
    assert_eq!(with(Call::Get, unavailable(), &["n1", "n4", "n5"]), Vec::<&str>::new());
    assert_eq!(with(Call::Get, unavailable(), &["n1", "n2", "n5"]), ["quorum in reach"]);
    assert_eq!(with(Call::Put, put_failed(&[]), &["n1", "n4", "n5"]), ["quorum in reach"]);
}

#[test]
fn rot_excuses_no_wrong_answer() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).add("n3", Event::Rotted { path: "f".into(), bit: 1 });
    trace.get("a", Outcome::Found { bytes: 10, content: "bad".into() });
    trace.inspect("a", &["n1", "n2"], not_found(ALL)).end();
    assert_eq!(trace.rules(), ["I1 durable", "I2 intact"]);
}

#[test]
fn a_node_with_a_new_disk_may_lack_what_is_others_by_now_and_nothing_else() {
    let with = |replicas: &[&str], again: bool| {
        let mut trace = Trace::begin();
        if again {
            trace.add("n3", Event::DiskReplaced);
        }
        trace.put("a", acked(ALL));
        if !again {
            // When nothing of the put is on its way any more.
            trace.wait(10).add("n3", Event::DiskReplaced);
        }
        trace.inspect_of(replicas, "a", &["n1", "n2", "n4"], found()).end();
        trace.rules()
    };
    assert_eq!(with(&["n1", "n2", "n4"], false), Vec::<&str>::new());
    assert_eq!(with(ALL, false), ["I4 truthful", "replicas in reach"], "it is given to it again");
    let kept = with(&["n1", "n2", "n4"], true);
    assert_eq!(kept, ["I4 truthful", "replicas in reach"], "what came to the new disk stays");
}

#[test]
fn a_disk_replaced_during_a_put_may_have_had_what_it_lacks_and_an_acknowledged_put_comes_back() {
    let with = |outcome: Outcome, replaced_before: bool, holders: &[&str]| {
        let mut trace = Trace::begin();
        // So that nobody had to take the put.
        trace.stop("n1").stop("n2");
        if replaced_before {
            trace.add("n3", Event::DiskReplaced);
        }
        trace.begin_call(Call::Put, "a", Some("good")).wait(1);
        if !replaced_before {
            trace.add("n3", Event::DiskReplaced);
        }
        let read = if holders.is_empty() { not_found(ALL) } else { found() };
        trace.end_call(outcome).inspect("a", holders, read).end();
        trace.rules()
    };
    let failed = || put_failed(&["n3"]);
    assert_eq!(with(failed(), false, &[]), Vec::<&str>::new(), "it went with the disk");
    assert_eq!(with(failed(), true, &[]), ["I4 truthful"], "what came to the new disk stays");
    let acked = || acked(&["n3", "n1"]);
    assert_eq!(with(acked(), false, ALL), Vec::<&str>::new());
    let rules = with(acked(), false, &["n1"]);
    assert!(rules.contains(&"I4 truthful"), "it is given to it again: {rules:?}");
}

#[test]
fn a_node_may_end_that_is_started_without_descriptors_and_none_that_serves() {
    let with = |serves: bool, released: bool| {
        let mut trace = Trace::begin();
        let trouble = Event::Disk { trouble: "no descriptors".into(), stores: false };
        trace.stop("n2").add("n2", trouble);
        if released {
            trace.add("n2", Event::DiskReleased);
        }
        trace.add("n2", Event::Started { address: "a".into() });
        if serves {
            trace.add("n2", Event::Ready);
        }
        trace.add("n2", Event::Exited { reason: "too many open files".into() });
        trace.start("n2", "a").end();
        trace.rules()
    };
    assert_eq!(with(false, false), Vec::<&str>::new());
    assert_eq!(with(true, false), ["nodes run"]);
    assert_eq!(with(false, true), ["nodes run"]);
}
