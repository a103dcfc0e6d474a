//! Who was written to, what failed while every node could be reached, and how often they
//! dialled.

use super::super::{History, recoveries};
use super::*;

impl Trace {
    fn allow(&mut self, failed_in_reach: Option<u64>, dials_per_10s: Option<u64>) -> &mut Self {
        let Event::Setting(setting) = &mut self.records[0].event else { unreachable!() };
        setting.failed_in_reach_max = failed_in_reach;
        setting.dials_per_10s_max = dials_per_10s;
        self
    }

    fn dial(&mut self, machine: &str, address: &str) -> &mut Self {
        self.add(machine, Event::Dialled { address: address.into(), open: 1 })
    }

    fn phase(&mut self, phase: Phase) -> &mut Self {
        self.add("world", Event::Phase { phase })
    }
}

#[test]
fn a_stranger_that_holds_an_object_was_taken_for_a_node() {
    let with = |objects| {
        let mut trace = Trace::begin();
        trace.put("a", acked(ALL)).inspect("a", ALL, found());
        trace.add("stranger1", Event::StrangerHolds { objects }).end();
        (trace.rules(), trace.verdict())
    };
    assert_eq!(with(0), (vec![], Verdict::Pass));
    assert_eq!(with(1), (vec!["I6 fresh"], Verdict::Fail));
}

#[test]
fn failures_with_everybody_in_reach_count_though_they_fall_into_the_time_for_recovery() {
    let with = |most, before: bool| {
        let mut trace = Trace::begin();
        trace.allow(Some(most), None).put("a", acked(ALL));
        trace.stop("n1").stop("n2");
        if before {
            trace.get("a", unavailable());
        }
        trace.wait(1).start("n1", "a").wait(1);
        trace.get("a", unavailable()).get("a", unavailable()).get("a", found());
        trace.inspect("a", ALL, found()).end();
        trace.rules()
    };
    assert_eq!(with(2, false), Vec::<&str>::new());
    assert_eq!(with(1, false), ["expect.failed_in_reach_max"]);
    assert_eq!(with(2, true), Vec::<&str>::new(), "without a quorum in reach all may fail");
}

#[test]
fn what_fails_after_connections_were_forgotten_is_forgiven_for_a_while() {
    for event in [Event::ConnectionsForgotten, Event::QuietEnded] {
        let with = |seconds| {
            let mut trace = Trace::begin();
            trace.put("a", acked(ALL)).wait(100).add("world", event.clone());
            trace.wait(seconds).get("a", unavailable()).inspect("a", ALL, found()).end();
            trace.rules()
        };
        assert_eq!(with(4), Vec::<&str>::new());
        assert_eq!(with(6), ["quorum in reach"]);
    }
}

#[test]
fn a_paused_node_and_one_behind_a_lossy_link_are_not_in_reach_and_a_slow_one_is() {
    let with = |trouble: &[Event], end: Option<Event>| {
        let mut trace = Trace::begin();
        trace.stop("n1");
        for event in trouble.iter().chain(&end) {
            trace.add("n2", event.clone());
        }
        trace.wait(6).get("a", unavailable()).end();
        trace.rules()
    };
    let link = |loss| Event::Link { to: "c1".into(), latency_us: [1, 2], loss };
    let restored = || Event::LinkRestored { to: "c1".into() };
    assert_eq!(with(&[Event::Paused], None), Vec::<&str>::new());
    assert_eq!(with(&[Event::Paused], Some(Event::Resumed)), ["quorum in reach"]);
    assert_eq!(with(&[Event::Throttled { factor: 100 }], None), ["quorum in reach"]);
    assert_eq!(with(&[link(0.01)], None), Vec::<&str>::new());
    assert_eq!(with(&[link(0.01)], Some(restored())), ["quorum in reach"]);
    assert_eq!(with(&[link(0.01), link(0.0)], None), ["quorum in reach"], "only slow");
    assert_eq!(with(&[Event::NameServiceDelay { delay_us: 1 }], None), Vec::<&str>::new());
}

#[test]
fn dials_are_counted_by_machine_and_address_within_ten_seconds_under_load() {
    let with = |dials: &[(&str, &str, u64)]| {
        let mut trace = Trace::begin();
        trace.allow(None, Some(2)).phase(Phase::Boot);
        trace.dial("c1", "a").dial("c1", "a").dial("c1", "a").phase(Phase::Load).wait(20);
        for (machine, address, seconds) in dials {
            trace.dial(machine, address).wait(*seconds);
        }
        trace.phase(Phase::Recover).dial("c1", "a").dial("c1", "a").dial("c1", "a").end();
        trace.rules()
    };
    assert_eq!(with(&[("c1", "a", 1), ("c1", "a", 1), ("c2", "a", 1)]), Vec::<&str>::new());
    assert_eq!(with(&[("c1", "a", 1), ("c1", "a", 1), ("c1", "b", 1)]), Vec::<&str>::new());
    assert_eq!(with(&[("c1", "a", 6), ("c1", "a", 6), ("c1", "a", 1)]), Vec::<&str>::new());
    assert_eq!(
        with(&[("c1", "a", 1), ("c1", "a", 1), ("c1", "a", 1)]),
        ["expect.dials_per_10s_max"]
    );
}

#[test]
fn connections_of_a_client_under_load_are_bounded_and_those_of_nodes_are_not() {
    let with = |machine: &str, phase, open| {
        let mut trace = Trace::begin();
        let Event::Setting(setting) = &mut trace.records[0].event else { unreachable!() };
        setting.connections_max = Some(4);
        trace.put("a", acked(ALL)).phase(phase);
        trace.add(machine, Event::Dialled { address: "a".into(), open }).inspect("a", ALL, found());
        trace.end();
        trace.rules()
    };
    assert_eq!(with("c1", Phase::Load, 4), Vec::<&str>::new());
    assert_eq!(with("c1", Phase::Load, 5), ["expect.connections_max"]);
    assert_eq!(with("c1", Phase::Boot, 5), Vec::<&str>::new());
    assert_eq!(with("n1", Phase::Load, 5), Vec::<&str>::new());
}

#[test]
fn a_recovery_is_measured_from_the_return_to_the_first_success() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).stop("n1").wait(1);
    trace.get("a", unavailable());
    trace.start("n1", "a").wait(1);
    trace.put("b", put_failed(&["n2"])).wait(1).put("c", acked(&["n2", "n1"]));
    trace.put("d", put_failed(&[])).end();
    let found = recoveries(&History::of(&trace.records));
    let [recovery] = &found[..] else { panic!("{found:?}") };
    assert_eq!((recovery.node.as_str(), recovery.client.as_str()), ("n1", "c1"));
    assert_eq!(recovery.failed, 1, "what came before and after is no part of it");
    let took_us = recovery.first_success_us.expect("it succeeded") - recovery.at_us;
    assert_eq!(took_us / SECOND, 2);
}
