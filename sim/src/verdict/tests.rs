//! Each checker is shown a good trace and one with a fault planted by hand.

mod agreed;
mod available;
mod convergent;
mod deleted;
mod disks;
mod expected;
mod fenced;
mod fresh;
mod git;
mod hints;
mod linearizable;
mod litter;

use crate::trace::{
    Call, CatalogSetting, Event, HintSample, Outcome, Phase, Record, Setting, Stop, Wanted,
    WriterSample,
};

use super::{Class, Verdict, Violation, deterministic, judge, verdict};

const SECOND: u64 = 1_000_000;

/// A trace under construction: three nodes, N = 3, W = R = 2, client c1.
struct Trace {
    records: Vec<Record>,
    at_us: u64,
    ops: u64,
}

#[test]
fn causes_are_told_apart_by_what_is_said_and_not_by_who_or_how_many() {
    let cause = |message: &str| {
        let message = message.to_owned();
        Violation { rule: "I5", class: Class::Liveness, at_us: 3, message }.cause()
    };
    assert_eq!(cause("n1 still has 2 hints"), "I5 … still has … hints");
    assert_eq!(cause("n1 still has 2 hints"), cause("n12 still has 310 hints"));
    assert_ne!(cause("n1 still has 2 hints"), cause("n3:02* is a dirty range still"));
    let never = |lacking, held| cause(&format!("{lacking} never came to {held}; held by []"));
    assert_eq!(never("8a0f", "[\"n1\"]"), never("77b1", "[\"n1\", \"n2\"]"));
}

fn text(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn acked(replicas: &[&str]) -> Outcome {
    Outcome::Acked { replicas: text(replicas) }
}

fn put_failed(replicas: &[&str]) -> Outcome {
    Outcome::PutFailed { replicas: text(replicas), error: "refused".into() }
}

fn found() -> Outcome {
    Outcome::Found { bytes: 10, content: "good".into() }
}

fn not_found(absent: &[&str]) -> Outcome {
    Outcome::NotFound { absent: text(absent) }
}

fn unavailable() -> Outcome {
    Outcome::Unavailable { error: "timed out".into() }
}

/// An object with these replicas.
fn wanted(id: &str, replicas: &[&str]) -> Wanted {
    Wanted {
        id: id.into(),
        bytes: 10,
        content: None,
        replicas: text(replicas),
        write_quorum: 2,
        read_quorum: 2,
        earlier: Vec::new(),
    }
}

impl Trace {
    fn begin() -> Self {
        let mut trace = Trace { records: Vec::new(), at_us: 0, ops: 0 };
        trace.add(
            "world",
            Event::Setting(Setting {
                scenario: "by-hand".into(),
                seed: 1,
                nodes: text(&["n1", "n2", "n3"]),
                replicas: 3,
                write_quorum: 2,
                read_quorum: 2,
                request_timeout_us: 2 * SECOND,
                recover_within_us: 5 * SECOND,
                put_share_min: 0.0,
                puts_acked_min: 0,
                failed_in_reach_max: None,
                dials_per_10s_max: None,
                connections_max: None,
                compactions_min: None,
                deletions_min: None,
                converge_within_us: None,
                compares: true,
                finds_rot: false,
                catalog: CatalogSetting::default(),
                git: None,
            }),
        );
        for node in ["n1", "n2", "n3"] {
            trace.dns(node, Some("a"));
            trace.start(node, "a");
        }
        trace
    }

    fn add(&mut self, actor: &str, event: Event) -> &mut Self {
        self.records.push(Record { at_us: self.at_us, actor: actor.into(), event });
        self.at_us += 1;
        self
    }

    fn set(&mut self, change: impl FnOnce(&mut Setting)) -> &mut Self {
        let Event::Setting(setting) = &mut self.records[0].event else { unreachable!() };
        change(setting);
        self
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.at_us += seconds * SECOND;
        self
    }

    fn dns(&mut self, node: &str, address: Option<&str>) -> &mut Self {
        self.add(node, Event::Dns { address: address.map(str::to_owned) })
    }

    fn start(&mut self, node: &str, address: &str) -> &mut Self {
        self.add(node, Event::Started { address: address.into() }).add(node, Event::Ready)
    }

    fn stop(&mut self, node: &str) -> &mut Self {
        self.add(node, Event::Stopped { by: Stop::PowerOff })
    }

    fn call(&mut self, call: Call, id: &str, content: Option<&str>, outcome: Outcome) -> &mut Self {
        self.begin_call(call, id, content).end_call(outcome)
    }

    fn begin_call(&mut self, call: Call, id: &str, content: Option<&str>) -> &mut Self {
        self.ops += 1;
        let op = self.ops;
        let objects = vec![Wanted { content: content.map(str::to_owned), ..wanted(id, ALL) }];
        self.add("c1", Event::OpStarted { op, call, objects })
    }

    fn end_call(&mut self, outcome: Outcome) -> &mut Self {
        self.end_call_by(outcome, Vec::new())
    }

    /// The same when the client went by another layout in the end.
    fn end_call_by(&mut self, outcome: Outcome, moved: Vec<Wanted>) -> &mut Self {
        let op = self.ops;
        self.add("c1", Event::OpFinished { op, outcomes: vec![outcome], moved })
    }

    fn put(&mut self, id: &str, outcome: Outcome) -> &mut Self {
        self.call(Call::Put, id, Some("good"), outcome)
    }

    fn get(&mut self, id: &str, outcome: Outcome) -> &mut Self {
        self.call(Call::Get, id, Some("good"), outcome)
    }

    fn sample(&mut self, sample: WriterSample) -> &mut Self {
        self.add("c1", Event::Writer(sample))
    }

    fn inspect(&mut self, id: &str, holders: &[&str], outcome: Outcome) -> &mut Self {
        self.inspect_of(ALL, id, holders, outcome)
    }

    /// An object whose replicas are others by then.
    fn inspect_of(
        &mut self,
        replicas: &[&str],
        id: &str,
        holders: &[&str],
        outcome: Outcome,
    ) -> &mut Self {
        let (replicas, holders) = (text(replicas), text(holders));
        self.add("inspector", Event::Inspected { id: id.into(), replicas, holders, outcome })
    }

    fn end(&mut self) -> &mut Self {
        self.wait(10).add("world", Event::Ended)
    }

    /// The rules violated, each once.
    fn rules(&self) -> Vec<&'static str> {
        let mut rules: Vec<_> = judge(&self.records).iter().map(|found| found.rule).collect();
        rules.dedup();
        rules
    }

    fn verdict(&self) -> Verdict {
        verdict(&self.records, &judge(&self.records))
    }
}

const ALL: &[&str] = &["n1", "n2", "n3"];

#[test]
fn a_run_in_which_everything_held_passes() {
    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).get("a", found());
    trace.stop("n3").put("b", acked(&["n1", "n2"])).get("never", not_found(&["n1", "n2"]));
    trace.start("n3", "a").wait(6).put("c", acked(&["n3", "n1"]));
    trace.wait(3).sample(WriterSample {
        drained: true,
        attempted: 3,
        succeeded: 3,
        replica_failures: 1,
        missed_recorded: 1,
        ..WriterSample::default()
    });
    trace.inspect("a", &["n1", "n2", "n3"], found()).inspect("b", &["n1", "n2"], found());
    trace.inspect("c", ALL, found()).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
    assert_eq!(trace.verdict(), Verdict::Pass);
    assert_eq!(trace.verdict().exit_code(), 0);
}

#[test]
fn an_acknowledged_object_that_is_gone_after_power_loss_is_not_durable() {
    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).stop("n1").stop("n2").stop("n3");
    trace.inspect("a", &[], not_found(ALL)).end();
    assert!(trace.rules().contains(&"I1 durable"), "{:?}", trace.rules());
    assert_eq!(trace.verdict(), Verdict::Fail);
    assert_eq!(trace.verdict().exit_code(), 1);
}

#[test]
fn an_acknowledged_object_that_was_not_looked_at_is_not_durable() {
    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).end();
    assert_eq!(trace.rules(), ["I1 durable"]);
}

#[test]
fn other_bytes_are_not_intact_though_the_client_accepted_them() {
    let wrong = || Outcome::Found { bytes: 10, content: "other".into() };
    let mut trace = Trace::begin();
    trace.get("a", wrong()).end();
    assert_eq!(trace.rules(), ["I2 intact"]);

    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).inspect("a", ALL, wrong()).end();
    assert_eq!(trace.rules(), ["I2 intact"]);

    let mut trace = Trace::begin();
    trace.call(Call::Get, "never", None, found()).end();
    assert_eq!(trace.rules(), ["I2 intact"]);
}

#[test]
fn not_found_after_an_acknowledgement_is_not_visible() {
    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).get("a", not_found(&["n2", "n3"]));
    trace.inspect("a", ALL, found()).end();
    assert_eq!(trace.rules(), ["I3 visible"]);
}

#[test]
fn not_found_on_the_word_of_too_few_is_not_visible() {
    for too_few in [&["n3"][..], &["n3", "n3"], &["n3", "n9"], &[]] {
        let mut trace = Trace::begin();
        trace.get("never", not_found(too_few)).end();
        assert_eq!(trace.rules(), ["I3 visible"], "{too_few:?}");
    }
}

#[test]
fn counters_that_do_not_add_up_are_not_truthful() {
    let good = WriterSample { attempted: 3, succeeded: 2, in_flight: 1, ..Default::default() };
    let mut trace = Trace::begin();
    trace.sample(good).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
    let mut trace = Trace::begin();
    trace.sample(WriterSample { in_flight: 0, ..good }).end();
    assert_eq!(trace.rules(), ["I4 truthful"]);
}

#[test]
fn counters_that_differ_from_the_workload_s_are_not_truthful() {
    let good = WriterSample { drained: true, attempted: 1, failed: 1, ..Default::default() };
    let with = |sample: WriterSample| {
        let mut trace = Trace::begin();
        trace.stop("n1").stop("n2").put("a", put_failed(&[])).sample(sample).end();
        trace.rules()
    };
    assert_eq!(with(good), Vec::<&str>::new());
    assert_eq!(with(WriterSample { succeeded: 1, failed: 0, ..good }), ["I4 truthful"]);
    assert_eq!(with(WriterSample { attempted: 2, failed: 2, ..good }), ["I4 truthful"]);
    assert_eq!(with(WriterSample { replica_failures: 1, ..good }), ["I4 truthful"]);
}

#[test]
fn a_client_that_was_started_again_counts_anew() {
    let with = |attempted| {
        let mut trace = Trace::begin();
        trace.put("a", acked(ALL)).stop("c1").wait(1).put("b", acked(ALL));
        let sample =
            WriterSample { drained: true, attempted, succeeded: attempted, ..Default::default() };
        trace.sample(sample).inspect("a", ALL, found()).inspect("b", ALL, found()).end();
        trace.rules()
    };
    assert_eq!(with(1), Vec::<&str>::new());
    assert_eq!(with(2), ["I4 truthful"]);
}

#[test]
fn an_acknowledging_replica_without_the_object_is_not_truthful() {
    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).stop("n2");
    trace.inspect("a", &["n1", "n3"], found()).end();
    assert_eq!(trace.rules(), ["I4 truthful"]);

    let mut trace = Trace::begin();
    trace.stop("n3").stop("n2").put("a", put_failed(&["n1"]));
    trace.inspect("a", &[], not_found(ALL)).end();
    assert_eq!(trace.rules(), ["I4 truthful"]);
}

#[test]
fn an_acknowledgement_without_a_quorum_of_the_right_replicas_is_not_truthful() {
    for replicas in [&["n1"][..], &["n1", "n1"], &["n1", "n9"]] {
        let mut trace = Trace::begin();
        trace.put("a", acked(replicas)).inspect("a", &["n1", "n2", "n3", "n9"], found()).end();
        assert_eq!(trace.rules(), ["I4 truthful"], "{replicas:?}");
    }
}

#[test]
fn runs_that_differ_are_not_deterministic() {
    let mut one = Trace::begin();
    one.put("a", acked(ALL)).end();
    let mut other = Trace::begin();
    other.put("a", acked(&["n1", "n2"])).end();
    assert_eq!(deterministic(&one.records, &one.records), []);
    let found = deterministic(&one.records, &other.records);
    assert_eq!(found[0].rule, "I9 deterministic");
    assert!(found[0].message.contains("line 12"), "{}", found[0].message);
}

#[test]
fn a_put_that_never_came_to_a_replica_in_reach_is_not_replicated() {
    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).inspect("a", &["n1", "n2"], found()).end();
    assert_eq!(trace.rules(), ["replicas in reach"]);

    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1", "n2"])).wait(1).stop("n3");
    trace.inspect("a", &["n1", "n2"], found()).end();
    assert_eq!(trace.rules(), Vec::<&str>::new(), "n3 went while it might still have come");
}

#[test]
fn a_run_that_did_not_end_is_stuck() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).add("world", Event::Stuck { phase: Phase::Settled });
    assert_eq!(trace.rules(), ["expect.stuck_after"]);
    assert_eq!(trace.verdict(), Verdict::Stuck);
    assert!(judge(&trace.records).iter().all(|found| found.class == Class::Liveness));
}

#[test]
fn a_node_that_stops_by_itself_is_a_violation() {
    let mut trace = Trace::begin();
    trace.add("n2", Event::Exited { reason: "data: damaged".into() }).end();
    assert_eq!(trace.rules(), ["nodes run"]);
}

#[test]
fn a_panic_outranks_everything() {
    let mut trace = Trace::begin();
    trace.get("never", not_found(&[]));
    trace.add("n2", Event::Panicked { message: "index out of bounds".into() });
    assert_eq!(trace.verdict(), Verdict::Panicked);
    assert_eq!(trace.verdict().exit_code(), 4);
    assert_eq!(trace.verdict().word(), "fail");
}
