//! Nodes that apply what others apply, and nodes that do not.

use super::*;
use crate::trace::{CatalogOutcome, RefVerdict};

impl Trace {
    fn expect(&mut self, updates_min: u64, snapshots_min: u64) -> &mut Self {
        self.set(|setting| {
            let catalog = &mut setting.catalog;
            (catalog.updates_min, catalog.snapshots_min) = (updates_min, snapshots_min);
        })
    }

    fn apply(&mut self, node: &str, index: u64, command: &str) -> &mut Self {
        let reply = format!("reply to {command}");
        self.add(node, Event::Applied { index, command: command.into(), reply })
    }

    fn states(&mut self, states: [(u64, &str); 3]) -> &mut Self {
        for (node, (position, digest)) in ALL.iter().zip(states) {
            let (digest, layout) = (digest.into(), Some(1));
            self.add(node, Event::CatalogState { position, digest, layout });
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
    let mut trace = Trace::begin();
    trace.apply("n1", 3, "a").apply("n1", 5, "b").apply("n2", 3, "a").apply("n3", 3, "a");
    trace.stop("n2").start("n2", "a").apply("n2", 3, "a").apply("n2", 5, "b").apply("n3", 5, "b");
    trace.states([(5, "x"); 3]).states([(6, "y"); 3]).check_agreed(&[]);
}

#[test]
fn another_command_at_one_position_is_found() {
    let mut trace = Trace::begin();
    trace.apply("n1", 3, "a").apply("n2", 3, "b");
    trace.check_agreed(&[(
        Class::Safety,
        "n2 applied command b at 3 and replied reply to b; n1 applied a there and replied reply to \
         a: another command",
    )]);
}

#[test]
fn another_command_of_a_later_process_is_found() {
    let mut trace = Trace::begin();
    trace.apply("n1", 3, "a").stop("n1").start("n1", "a").apply("n1", 3, "b");
    trace.check_agreed(&[(
        Class::Safety,
        "n1 applied command b at 3 and replied reply to b; n1 applied a there and replied reply to \
         a: another command",
    )]);
}

#[test]
fn a_process_that_applies_something_twice_is_found() {
    let mut trace = Trace::begin();
    trace.apply("n1", 3, "a").apply("n1", 3, "a");
    trace.check_agreed(&[(Class::Safety, "n1 applied 3 after 3")]);
}

#[test]
fn states_at_one_position_that_differ_are_found_and_so_is_a_node_that_lags() {
    let mut trace = Trace::begin();
    trace.states([(5, "x"), (5, "y"), (4, "z")]);
    trace.check_agreed(&[
        (Class::Safety, "n1 has state x at 5, and another y"),
        (Class::Liveness, "n3 is at 4, and another node at 5"),
    ]);
}

#[test]
fn the_first_look_is_judged_although_a_second_follows() {
    let mut trace = Trace::begin();
    trace.states([(5, "x"), (5, "x"), (4, "z")]).states([(5, "x"); 3]);
    trace.check_agreed(&[(Class::Liveness, "n3 is at 4, and another node at 5")]);
}

#[test]
fn a_node_that_goes_on_behind_a_gap_has_a_snapshot() {
    let mut trace = Trace::begin();
    trace.expect(0, 1).apply("n1", 1, "a").apply("n1", 2, "b").apply("n1", 3, "c");
    trace.apply("n2", 1, "a").apply("n2", 3, "c").check_agreed(&[]);
    let mut trace = Trace::begin();
    // Nobody has a command at 2.
    trace.expect(0, 1).apply("n1", 1, "a").apply("n1", 3, "c").apply("n2", 1, "a");
    trace.apply("n2", 3, "c");
    trace.check_agreed(&[(Class::Liveness, "0 snapshots of others, not 1")]);
}

#[test]
fn updates_are_counted_and_calls_must_be_answered_once_all_is_well() {
    let mut trace = Trace::begin();
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

#[test]
fn a_node_whose_disk_was_replaced_or_that_left_needs_no_catalog_and_others_do() {
    let mut trace = Trace::begin();
    trace.add("n3", Event::DiskReplaced);
    let state = || Event::CatalogState { position: 5, digest: "x".into(), layout: Some(1) };
    trace.add("n1", state()).add("n2", Event::LeftCatalog).add("n3", Event::NoCatalog);
    trace.add("n1", state()).add("n2", Event::NoCatalog).add("n3", Event::NoCatalog);
    trace.check_agreed(&[(Class::Liveness, "n2 has no catalog")]);
}

#[test]
fn a_layout_that_the_catalog_does_not_have_is_found() {
    let mut trace = Trace::begin();
    trace.add("n1", Event::LayoutTaken { version: 2, active: vec!["n1".into()] });
    trace.states([(5, "x"); 3]);
    trace.check_agreed(&[(Class::Liveness, "the catalog has layout 1, and 2 is in force")]);
}

#[test]
fn the_longest_time_without_an_update_under_load_is_bounded() {
    let applied = || {
        let verdicts = vec![RefVerdict::Applied];
        Event::CatalogAnswered { op: 1, outcome: CatalogOutcome::Updated { verdicts } }
    };
    let run = |gap_max_us: u64| {
        let mut trace = Trace::begin();
        trace.set(|setting| {
            setting.catalog.gap_max_us = Some(gap_max_us);
        });
        trace.wait(3).add("world", Event::Phase { phase: Phase::Load });
        trace.wait(1).add("r1", applied());
        trace.wait(2).add("r2", applied()).wait(1).add("r1", applied());
        trace.add("world", Event::Phase { phase: Phase::Recover }).wait(9);
        trace
    };
    run(2 * SECOND + 1_000).check_agreed(&[]);
    let mut late = run(SECOND + SECOND / 2);
    late.end();
    let found = judge(&late.records);
    assert!(found[0].message.starts_with("no update was acknowledged for 2"), "{found:?}");
    assert_eq!((found.len(), found[0].rule), (1, "catalog.gap_max"));
}

#[test]
fn who_votes_is_compared_with_what_is_expected_from_the_beginning_of_the_load() {
    let run = |expected: &[&[&str]]| {
        let mut trace = Trace::begin();
        let expected = expected.iter().map(|set| text(set)).collect();
        trace.set(|setting| setting.catalog.voters = expected);
        trace.add("world", Event::Voters { voters: text(&["n1"]) });
        trace.add("world", Event::Voters { voters: text(&["n1", "n2"]) });
        trace.add("world", Event::Phase { phase: Phase::Load });
        trace.add("world", Event::Voters { voters: text(&["n2"]) });
        trace
    };
    run(&[&["n1", "n2"], &["n2"]]).check_agreed(&[]);
    run(&[&["n1", "n2"]]).check_agreed(&[(
        Class::Liveness,
        "there voted [[\"n1\", \"n2\"], [\"n2\"]], not [[\"n1\", \"n2\"]]",
    )]);
}

#[test]
fn refs_that_nobody_updates_are_there_in_the_end() {
    let mut trace = Trace::begin();
    trace.add("world", Event::BulkRefs { made: 9, found: 9, others: 0 }).check_agreed(&[]);
    let mut trace = Trace::begin();
    trace.add("world", Event::BulkRefs { made: 9, found: 8, others: 1 });
    trace.check_agreed(&[(
        Class::Safety,
        "of 9 refs that nobody updated 8 are as they were made, and 1 are others",
    )]);
}
