//! Calls that failed with a quorum of their replicas in reach, and without.

use super::*;

#[test]
fn a_put_that_fails_with_one_replica_away_is_unavailable() {
    let mut trace = Trace::begin();
    trace.stop("n1").put("a", put_failed(&["n2"]));
    trace.inspect("a", &["n2"], found()).end();
    assert_eq!(trace.rules(), ["quorum in reach"]);
    assert_eq!(trace.verdict(), Verdict::Stuck);
    assert_eq!(trace.verdict().exit_code(), 3);
}

#[test]
fn a_get_that_fails_with_a_quorum_in_reach_is_unavailable() {
    let mut trace = Trace::begin();
    trace.stop("n1").get("a", unavailable()).end();
    assert_eq!(trace.rules(), ["quorum in reach"]);
}

#[test]
fn failing_without_a_quorum_in_reach_is_no_violation() {
    let cut = |trace: &mut Trace, from: &str, to: &str| {
        trace.add(from, Event::Cut { to: to.into() });
    };
    let mut trace = Trace::begin();
    cut(&mut trace, "n1", "c1");
    cut(&mut trace, "c1", "n2");
    trace.put("a", put_failed(&["n3"])).get("b", unavailable());
    trace.inspect("a", &["n3"], found()).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
}

#[test]
fn a_returned_node_counts_once_the_time_for_recovery_has_passed() {
    let with = |seconds| {
        let mut trace = Trace::begin();
        trace.stop("n1").stop("n2").wait(1).start("n2", "a").wait(seconds);
        trace.put("a", put_failed(&["n3"])).inspect("a", &["n3"], found()).end();
        trace.rules()
    };
    assert_eq!(with(4), Vec::<&str>::new());
    assert_eq!(with(6), ["quorum in reach"]);
}

#[test]
fn a_moved_node_counts_only_once_its_name_has_followed() {
    let with = |dns_follows: bool| {
        let mut trace = Trace::begin();
        trace.stop("n1").stop("n2").wait(1).start("n2", "b");
        if dns_follows {
            trace.dns("n2", Some("b"));
        }
        trace.wait(6).put("a", put_failed(&["n3"])).inspect("a", &["n3"], found()).end();
        trace.rules()
    };
    assert_eq!(with(false), Vec::<&str>::new());
    assert_eq!(with(true), ["quorum in reach"]);
}

/// A call that began by the replicas `ALL`, of which `away` cannot be reached, and ended by a
/// layout with the replicas `then`, after one with the replicas `between`.
fn met_a_layout(call: Call, away: &str, then: &[&str], between: &[&str]) -> Vec<&'static str> {
    let mut trace = Trace::begin();
    trace.set(|setting| setting.nodes = text(&["n1", "n2", "n3", "n4", "n5"]));
    for node in ["n4", "n5"] {
        trace.dns(node, Some("a"));
        trace.start(node, "a");
    }
    trace.stop(away);
    let failed = if call.is_put() { put_failed(&["n3"]) } else { unavailable() };
    let earlier = vec![(text(between), 2)];
    let moved = vec![Wanted { earlier, ..wanted("a", then) }];
    trace.begin_call(call, "a", Some("good")).wait(1).end_call_by(failed, moved);
    trace.inspect("a", &["n3"], found()).end();
    trace.rules()
}

#[test]
fn a_call_that_met_a_layout_needs_a_quorum_by_each_that_it_may_have_gone_by() {
    for call in [Call::Put, Call::PutLarge, Call::Get] {
        // One of three is away by any of them: that fails nothing.
        let one_away = met_a_layout(call, "n1", &["n1", "n2", "n4"], &["n1", "n3", "n4"]);
        assert_eq!(one_away, ["quorum in reach"], "{call:?}");
        // Two of three do not exist by that of the end, or by the one between.
        let end = met_a_layout(call, "n1", &["n1", "n8", "n3"], ALL);
        let between = met_a_layout(call, "n1", ALL, &["n1", "n8", "n3"]);
        assert_eq!((end, between), (vec![], vec![]), "{call:?}");
    }
}

/// Rules that a get breaks which fails while `n1` is away and `n2` began with an empty disk, of
/// what was put before or was not.
fn fails_beside_an_empty_node(acked: bool, begins_empty: impl Fn(&mut Trace)) -> Vec<&'static str> {
    let mut trace = Trace::begin();
    begins_empty(&mut trace);
    if acked {
        trace.put("a", super::acked(&["n2", "n3"]));
    }
    trace.stop("n1").get("a", unavailable()).inspect("a", &["n2", "n3"], found()).end();
    trace.rules()
}

#[test]
fn a_node_that_began_empty_need_not_prove_absence_but_has_to_give_what_was_put() {
    let idle = |trace: &mut Trace| {
        trace.add("n2", Event::Idle);
    };
    let replaced = |trace: &mut Trace| {
        trace.add("n2", Event::DiskReplaced);
    };
    let as_before = |_: &mut Trace| {};
    assert_eq!(fails_beside_an_empty_node(false, idle), Vec::<&str>::new());
    assert_eq!(fails_beside_an_empty_node(false, replaced), Vec::<&str>::new());
    assert_eq!(fails_beside_an_empty_node(false, as_before), ["quorum in reach"]);
    assert_eq!(fails_beside_an_empty_node(true, idle), ["quorum in reach"]);
    assert_eq!(fails_beside_an_empty_node(true, replaced), ["quorum in reach"]);
}
