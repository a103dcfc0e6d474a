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
fn rot_excuses_no_wrong_answer() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).add("n3", Event::Rotted { path: "f".into(), bit: 1 });
    trace.get("a", Outcome::Found { bytes: 10, content: "bad".into() });
    trace.inspect("a", &["n1", "n2"], not_found(ALL)).end();
    assert_eq!(trace.rules(), ["I1 durable", "I2 intact"]);
}
