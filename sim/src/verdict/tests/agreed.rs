//! Nodes that apply what others apply, and nodes that do not.

use super::*;
use crate::trace::{CatalogOutcome, CatalogSetting, RefVerdict};

impl Trace {
    fn begin_agreeing() -> Self {
        let mut trace = Trace::begin();
        let (agree_within_us, updates_min, snapshots_min) = (SECOND, 0, 0);
        let catalog = CatalogSetting { agree_within_us, updates_min, snapshots_min };
        trace.set(|setting| setting.catalog = Some(catalog));
        trace
    }

    fn expect(&mut self, updates_min: u64, snapshots_min: u64) -> &mut Self {
        self.set(|setting| {
            let catalog = setting.catalog.as_mut().expect("agreeing");
            (catalog.updates_min, catalog.snapshots_min) = (updates_min, snapshots_min);
        })
    }

    fn apply(&mut self, node: &str, index: u64, command: &str) -> &mut Self {
        let reply = format!("reply to {command}");
        self.add(node, Event::Applied { index, command: command.into(), reply })
    }

    fn states(&mut self, states: [(u64, &str); 3]) -> &mut Self {
        for (node, (position, digest)) in ALL.iter().zip(states) {
            self.add(node, Event::CatalogState { position, digest: digest.into() });
        }
        self
    }

    #[track_caller]
    fn check_agreed(&mut self, complaints: &[(Class, &str)]) {
        self.end();
        let found = judge(&self.records);
        let found: Vec<_> =
            found.iter().map(|found| (found.class, found.message.as_str())).collect();
        assert_eq!(found, complaints);
    }
}

#[test]
fn nodes_may_apply_the_same_at_different_times_and_again_after_a_start() {
    let mut trace = Trace::begin_agreeing();
    trace.apply("n1", 3, "a").apply("n1", 5, "b").apply("n2", 3, "a").apply("n3", 3, "a");
    trace.stop("n2").start("n2", "a").apply("n2", 3, "a").apply("n2", 5, "b").apply("n3", 5, "b");
    trace.states([(5, "x"); 3]).states([(6, "y"); 3]).check_agreed(&[]);
}

#[test]
fn another_command_at_one_position_is_found() {
    let mut trace = Trace::begin_agreeing();
    trace.apply("n1", 3, "a").apply("n2", 3, "b");
    trace.check_agreed(&[(
        Class::Safety,
        "n2 applied command b at 3 and replied reply to b; n1 applied a there and replied reply to \
         a: another command",
    )]);
}

#[test]
fn another_command_of_a_later_process_is_found() {
    let mut trace = Trace::begin_agreeing();
    trace.apply("n1", 3, "a").stop("n1").start("n1", "a").apply("n1", 3, "b");
    trace.check_agreed(&[(
        Class::Safety,
        "n1 applied command b at 3 and replied reply to b; n1 applied a there and replied reply to \
         a: another command",
    )]);
}

#[test]
fn a_process_that_applies_something_twice_is_found() {
    let mut trace = Trace::begin_agreeing();
    trace.apply("n1", 3, "a").apply("n1", 3, "a");
    trace.check_agreed(&[(Class::Safety, "n1 applied 3 after 3")]);
}

#[test]
fn states_at_one_position_that_differ_are_found_and_so_is_a_node_that_lags() {
    let mut trace = Trace::begin_agreeing();
    trace.states([(5, "x"), (5, "y"), (4, "z")]);
    trace.check_agreed(&[
        (Class::Safety, "n1 has state x at 5, and another y"),
        (Class::Liveness, "n3 is at 4, and another node at 5"),
    ]);
}

#[test]
fn the_first_look_is_judged_although_a_second_follows() {
    let mut trace = Trace::begin_agreeing();
    trace.states([(5, "x"), (5, "x"), (4, "z")]).states([(5, "x"); 3]);
    trace.check_agreed(&[(Class::Liveness, "n3 is at 4, and another node at 5")]);
}

#[test]
fn a_node_that_goes_on_behind_a_gap_has_a_snapshot() {
    let mut trace = Trace::begin_agreeing();
    trace.expect(0, 1).apply("n1", 1, "a").apply("n1", 2, "b").apply("n1", 3, "c");
    trace.apply("n2", 1, "a").apply("n2", 3, "c").check_agreed(&[]);
    let mut trace = Trace::begin_agreeing();
    // Nobody has a command at 2.
    trace.expect(0, 1).apply("n1", 1, "a").apply("n1", 3, "c").apply("n2", 1, "a");
    trace.apply("n2", 3, "c");
    trace.check_agreed(&[(Class::Liveness, "0 snapshots of others, not 1")]);
}

#[test]
fn updates_are_counted_and_calls_must_be_answered_once_all_is_well() {
    let mut trace = Trace::begin_agreeing();
    let unknown = || CatalogOutcome::Unknown { error: "lost".into() };
    trace.expect(2, 0).add("r1", Event::CatalogAnswered { op: 1, outcome: unknown() });
    let verdicts = vec![RefVerdict::Applied, RefVerdict::Moved];
    trace
        .add("r1", Event::CatalogAnswered { op: 2, outcome: CatalogOutcome::Updated { verdicts } });
    trace.add("world", Event::Phase { phase: Phase::Settled });
    trace.add("r1", Event::CatalogAnswered { op: 3, outcome: unknown() });
    trace.check_agreed(&[
        (Class::Liveness, "call 3 was not answered when all was well: lost"),
        (Class::Liveness, "1 refs updated, not 2"),
    ]);
}
