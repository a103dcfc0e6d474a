//! How long a large history takes, and that the bound on steps holds.
//!
//! `cargo test --profile sim --lib linearizable::tests::speed -- --ignored --nocapture` prints the
//! figures.

use super::recorder::{Random, Shape, record, with_one_change};
use crate::linearizable::{Outcome, STEPS_MAX, check};

/// Checks a history, and prints a line about it.
#[expect(clippy::disallowed_methods, reason = "it is the real time that is asked for")]
fn measure(name: &str, shape: Shape, seed: u64, is_changed: bool) {
    let mut history = record(shape, seed);
    if is_changed {
        history = with_one_change(&history, &mut Random(seed));
    }
    let begin = std::time::Instant::now();
    let judgements = check(&history, STEPS_MAX);
    let taken = begin.elapsed();
    let steps: u64 = judgements.iter().map(|judgement| judgement.steps).sum();
    let count = |wanted: fn(&Outcome) -> bool| {
        judgements.iter().filter(|judgement| wanted(&judgement.outcome)).count()
    };
    println!(
        "{name}, seed {seed}: {} operations, {steps} steps, {:.3} s; {} linearizable, {} not, {} \
         not decided",
        history.operations().len(),
        taken.as_secs_f64(),
        count(|outcome| matches!(outcome, Outcome::Linearizable { .. })),
        count(|outcome| matches!(outcome, Outcome::NotLinearizable(_))),
        count(|outcome| matches!(outcome, Outcome::NotDecided { .. })),
    );
}

#[test]
#[ignore = "prints figures, of an optimized build"]
fn figures() {
    let large = Shape::LARGE;
    let one = Shape { repositories: 1, ..large };
    for seed in 0..3 {
        measure("16 clients, 8 repositories", large, seed, false);
        measure("the same, one answer changed", large, seed, true);
        measure("one repository", one, seed, false);
        measure("one repository, one answer changed", one, seed, true);
        measure("blind updates", Shape { blind: 100, ..large }, seed, false);
        measure("one ref", Shape { refs: 1, ..large }, seed, false);
        measure("one ref, few values", Shape { refs: 1, values: Some(4), ..large }, seed, false);
        measure("few reads", Shape { reads: 2, ..large }, seed, false);
        measure("few reads, blind", Shape { reads: 2, blind: 100, ..large }, seed, false);
        measure("30 % unknown", Shape { unknown: 30, ..large }, seed, false);
        measure("1,000 refs", Shape { refs: 1_000, ..large }, seed, false);
        measure("few values", Shape { values: Some(4), ..large }, seed, false);
        measure(
            "one repository, one ref, blind",
            Shape { refs: 1, blind: 100, ..one },
            seed,
            false,
        );
    }
}

#[test]
fn a_large_history_takes_few_steps() {
    let history = record(Shape { operations: 4_000, ..Shape::LARGE }, 1);
    for judgement in check(&history, STEPS_MAX) {
        assert!(matches!(judgement.outcome, Outcome::Linearizable { .. }), "{judgement:?}");
        assert!(judgement.steps < 4_000, "{}", judgement.steps);
    }
}

#[test]
fn a_bound_that_is_met_is_no_judgement() {
    let history = record(Shape { repositories: 1, ..Shape::SMALL }, 1);
    let judgements = check(&history, 0);
    assert!(matches!(judgements[0].outcome, Outcome::NotDecided { .. }), "{judgements:?}");
}
