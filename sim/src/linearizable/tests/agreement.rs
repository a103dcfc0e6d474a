//! Properties: what a right register records passes, and of small histories, right or wrong, the
//! search and the brute-force check think the same.

use super::assert_proved;
use super::brute_force;
use super::recorder::{Random, Shape, record, with_one_change};
use crate::linearizable::dependence::Effort;
use crate::linearizable::model::Repository;
use crate::linearizable::search::{Found, Problem};
use crate::linearizable::{History, Outcome, STEPS_MAX, check};

/// Whether the search finds an order, which is proved at once; if not, which operation is named.
fn judge(history: &History) -> Result<(), usize> {
    let judgements = check(history, STEPS_MAX);
    judgements.iter().for_each(|judgement| assert_proved(history, judgement));
    judgements.into_iter().try_for_each(|judgement| match judgement.outcome {
        Outcome::Linearizable { .. } => Ok(()),
        Outcome::NotLinearizable(explanation) => Err(explanation.operation),
        Outcome::NotDecided { .. } => panic!("not decided: {history:#?}"),
    })
}

/// Whether the thorough search finds an order by itself, where the quick one may have found it.
fn is_found_thoroughly(history: &History) -> bool {
    Repository::all(history).iter().all(|repository| {
        let problem = Problem::new(repository);
        let responses = problem.schedule().responses.len();
        let searched = problem.search_with(Effort::Thorough, responses, STEPS_MAX);
        matches!(searched.found, Found::Order(_))
    })
}

/// Histories tried by each test.
const HISTORIES: u64 = 4_000;

#[test]
fn what_a_right_register_records_is_linearizable() {
    for seed in 0..HISTORIES {
        let operations = 10 + seed as usize % 40;
        let shape = Shape { operations, clients: 2 + seed as usize % 6, ..Shape::SMALL };
        assert_eq!(judge(&record(shape, seed)), Ok(()), "seed {seed}");
    }
    for seed in 0..20 {
        let shape = Shape { operations: 1_000, repositories: 2, ..Shape::LARGE };
        assert_eq!(judge(&record(shape, seed)), Ok(()), "seed {seed}");
    }
}

/// Compares both judgements on variants of recorded histories; says how many were linearizable.
fn agree(shape: Shape, changes: usize) -> u64 {
    let mut linearizable = 0;
    for seed in 0..HISTORIES {
        let mut random = Random(seed);
        let mut history = record(shape, seed);
        for _ in 0..changes {
            history = with_one_change(&history, &mut random);
        }
        match judge(&history) {
            Ok(()) => {
                let is_right = brute_force::is_linearizable(&history, u64::MAX);
                assert!(is_right && is_found_thoroughly(&history), "seed {seed}: {history:#?}");
                linearizable += 1;
            }
            // All is well until the operation that is named is answered.
            Err(operation) => {
                let named = history.operations()[operation].responded.expect("an answer");
                let is_right = !brute_force::is_linearizable(&history, named.sequence)
                    && brute_force::is_linearizable(&history, named.sequence - 1);
                assert!(is_right, "seed {seed}, #{operation}: {history:#?}");
            }
        }
    }
    linearizable
}

#[test]
fn search_and_brute_force_agree_on_histories_with_one_change() {
    let linearizable = agree(Shape::SMALL, 1);
    let both = HISTORIES / 10..HISTORIES * 9 / 10;
    assert!(both.contains(&linearizable), "{linearizable} of {HISTORIES} are linearizable");
}

#[test]
fn search_and_brute_force_agree_on_histories_of_many_at_once() {
    let shape = Shape { clients: 7, operations: 7, ..Shape::SMALL };
    for changes in 0..3 {
        agree(shape, changes);
    }
}

#[test]
fn search_and_brute_force_agree_where_most_is_unknown() {
    let shape = Shape { operations: 7, unknown: 60, blind: 60, not_done: 0, ..Shape::SMALL };
    for changes in 0..3 {
        agree(shape, changes);
    }
}

#[test]
fn search_and_brute_force_agree_on_repositories_that_come_and_go() {
    let shape = Shape { operations: 7, lifecycle: 45, reads: 25, ..Shape::SMALL };
    for changes in 0..3 {
        agree(shape, changes);
    }
}

#[test]
fn search_and_brute_force_agree_on_updates_of_several_refs() {
    let shape = Shape { refs: 3, several: 100, lifecycle: 0, operations: 7, ..Shape::SMALL };
    for changes in 0..3 {
        agree(shape, changes);
    }
}
