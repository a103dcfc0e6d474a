//! Convergence is looked at once, when its time is over.

use super::*;

/// One acknowledged object, and what is seen of it when the time is over.
fn with(holders: &[&str], pending: u64, ranges: &[&str]) -> Vec<&'static str> {
    among(true, holders, pending, ranges)
}

/// The same, among nodes that compare what they hold, or not.
fn among(compares: bool, holders: &[&str], pending: u64, ranges: &[&str]) -> Vec<&'static str> {
    let mut trace = Trace::begin();
    let Event::Setting(setting) = &mut trace.records[0].event else { panic!("it comes first") };
    setting.converge_within_us = Some(20 * SECOND);
    setting.compares = compares;
    trace.stop("n3").put("0701", acked(&["n1", "n2"])).start("n3", "a").wait(20);
    trace.add("world", Event::Phase { phase: Phase::Converged });
    let (replicas, holders) = (text(ALL), text(holders));
    trace.add("observer", Event::Held { id: "0701".into(), replicas, holders });
    let sample = HintSample { recorded: 1, pending, delivered: 1 - pending, ..Default::default() };
    trace.add("n1", Event::Hints(sample));
    trace.add("n1", Event::Dirty { ranges: text(ranges) });
    trace.add("world", Event::Phase { phase: Phase::Settled });
    // Hints that come after are none of that look's.
    let later = HintSample { recorded: 2, pending: 1, delivered: 1, ..Default::default() };
    trace.add("n1", Event::Hints(later));
    trace.inspect("0701", &["n1", "n2"], found()).end();
    trace.rules()
}

#[test]
fn a_cluster_that_is_whole_in_time_has_converged() {
    assert_eq!(with(ALL, 0, &[]), Vec::<&str>::new());
}

#[test]
fn an_object_that_a_replica_lacks_or_a_hint_that_is_left_is_no_convergence() {
    assert_eq!(with(&["n1", "n2"], 0, &[]), ["I5 convergent"]);
    assert_eq!(with(ALL, 1, &[]), ["I5 convergent"]);
}

#[test]
fn what_is_in_a_dirty_range_of_the_replica_that_lacks_it_is_known_where_nobody_compares() {
    let with = |holders: &[&str], ranges: &[&str]| among(false, holders, 0, ranges);
    assert_eq!(with(&["n1", "n2"], &["n3:07"]), Vec::<&str>::new());
    assert_eq!(with(&["n1", "n2"], &["n3:"]), Vec::<&str>::new());
    assert_eq!(with(&["n1", "n2"], &["n3:08", "n2:07"]), ["I5 convergent"]);
}

#[test]
fn among_nodes_that_compare_a_range_that_stays_dirty_is_no_convergence() {
    assert_eq!(with(ALL, 0, &["n3:07"]), ["I5 convergent"]);
    assert_eq!(with(&["n1", "n2"], 0, &["n3:07"]), ["I5 convergent"]);
}

#[test]
fn what_rotted_is_held_against_nodes_that_had_the_time_to_scrub() {
    let with = |finds_rot| {
        let mut trace = Trace::begin();
        let Event::Setting(setting) = &mut trace.records[0].event else { panic!("it comes first") };
        setting.converge_within_us = Some(20 * SECOND);
        setting.finds_rot = finds_rot;
        trace.put("0701", acked(&["n1", "n2"]));
        trace.add("n2", Event::Rotted { path: "segments/1".into(), bit: 7 }).wait(20);
        trace.add("world", Event::Phase { phase: Phase::Converged });
        let (replicas, holders) = (text(ALL), text(&["n1", "n3"]));
        trace.add("observer", Event::Held { id: "0701".into(), replicas, holders });
        trace.add("world", Event::Phase { phase: Phase::Settled });
        trace.inspect("0701", ALL, found()).end();
        trace.rules()
    };
    assert_eq!(with(false), Vec::<&str>::new());
    assert_eq!(with(true), ["I5 convergent"]);
}

#[test]
fn what_was_put_by_an_earlier_layout_comes_to_the_replicas_of_the_last_one() {
    let with = |holders: &[&str]| {
        let mut trace = Trace::begin();
        trace.set(|setting| setting.converge_within_us = Some(20 * SECOND));
        trace.put("0701", acked(ALL));
        trace.add("n2", Event::LayoutTaken { version: 2, active: text(&["n1", "n2", "n4"]) });
        trace.wait(20).add("world", Event::Phase { phase: Phase::Converged });
        let (replicas, holders) = (text(&["n1", "n2", "n4"]), text(holders));
        trace.add("observer", Event::Held { id: "0701".into(), replicas, holders });
        trace.add("world", Event::Phase { phase: Phase::Settled });
        trace.inspect("0701", ALL, found()).end();
        trace.rules()
    };
    assert_eq!(with(&["n1", "n2", "n3", "n4"]), Vec::<&str>::new());
    assert_eq!(with(&["n1", "n2", "n4"]), Vec::<&str>::new(), "who left need not have it");
    assert_eq!(with(ALL), ["I5 convergent"]);
}
