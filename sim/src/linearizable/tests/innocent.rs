//! The nearest relatives of the planted faults that are no faults.

use super::script::history;
use super::{assert_proved, outcome};
use crate::linearizable::dependence::Effort;
use crate::linearizable::model::Repository;
use crate::linearizable::search::{Found, Problem};
use crate::linearizable::{History, HistoryError, Outcome, STEPS_MAX, check};

#[test]
fn histories_that_are_linearizable() {
    for (name, script) in [
        ("nothing", ""),
        (
            "a read beside the update that it does not see",
            "1-2 create made
             3-4 update main:->1 applied
             5-8 update main:1>2 applied
             6-7 read main=1",
        ),
        (
            "the first of two updates is refused where it was second",
            "1-2 create made
             3-4 update main:->1 applied
             5-8 update main:1>2 applied
             6-9 update main:1>3 refused",
        ),
        (
            "an update of unknown outcome that takes effect late",
            "1-2 create made
             3-4 update main:*>1 unknown
             5-6 read
             7-8 update main:->2 applied
             9-10 read main=2
             11-12 read main=1",
        ),
        (
            "an update of unknown outcome that never takes effect",
            "1-2 create made
             3-4 update main:*>1 unknown
             5-6 read
             7-8 read",
        ),
        (
            "an update that the end of the run cut off, and that was seen",
            "1-2 create made
             3- update main:*>1
             5-6 read main=1",
        ),
        (
            "reads at one time that see old and new",
            "1-2 create made
             3-20 update main:->1 applied
             4-9 read main=1
             5-10 read",
        ),
        (
            "a refusal because of an update at the same time",
            "1-2 create made
             3-4 update main:->1 applied
             5-8 update main:1>2 refused
             6-9 update main:*>3 applied",
        ),
        (
            "a refusal because of an update of unknown outcome",
            "1-2 create made
             3-4 update main:->1 applied
             5-6 update main:*>3 unknown
             7-8 update main:1>2 refused
             9-10 read main=3",
        ),
        (
            "two updates that are not atomic, one of which was applied",
            "1-2 create made
             3-8 update main:->1 dev:7>2 applied refused
             4-5 read main=1",
        ),
        (
            "an atomic update seen as a whole, and not at all",
            "1-2 create made
             3-12 atomic main:->1 dev:->2 applied applied
             4-5 read
             6-7 read main=1 dev=2",
        ),
        (
            "an atomic update of unknown outcome, part of which was replaced before it was seen",
            "1-2 create made
             3-4 atomic main:*>1 dev:*>2 unknown
             5-6 update main:*>3 applied
             7-8 read main=3 dev=2",
        ),
        (
            "an update of unknown outcome that takes effect late, and in part",
            "1-2 create made
             3-4 update main:*>1 dev:*>1 applied applied
             5-6 update main:1>2 dev:1>2 unknown
             7-8 update main:1>3 unknown
             9-10 update main:3>4 applied
             11-12 read main=4 dev=1
             13-14 read main=4 dev=2",
        ),
        (
            "what was not done and is not seen",
            "1-2 create made
             3-4 update main:->1 not-done
             5-6 read",
        ),
        (
            "the value of an update that was said not to be done, by another",
            "1-2 create made
             3-4 update main:->1 not-done
             5-6 update main:->1 applied
             7-8 read main=1",
        ),
        (
            "a read that is answered before the update that it saw",
            "1-2 create made
             3-9 update main:->1 applied
             4-5 read main=1",
        ),
        (
            "a read beside a deletion",
            "1-2 create made
             3-4 update main:->1 applied
             5-8 delete removed
             6-7 read main=1
             9-10 read none",
        ),
        (
            "a deletion of unknown outcome that takes effect late",
            "1-2 create made
             3-4 update main:->1 applied
             5-6 delete unknown
             7-8 read main=1
             9-10 read none",
        ),
        (
            "a repository deleted and made again by commands of unknown outcome",
            "1-2 create made
             3-4 update main:->1 applied
             5-6 delete unknown
             7-8 create unknown
             9-10 read main=1
             11-12 read",
        ),
        (
            "one of two creations is told that the repository existed",
            "1-4 create made
             2-3 create existed",
        ),
        (
            "a chain of updates of unknown outcome of which only the last is seen",
            "1-2 create made
             3-4 update main:->1 unknown
             5-6 update main:1>2 unknown
             7-8 update main:2>3 unknown
             9-10 read main=3",
        ),
        (
            "everything refused without a repository",
            "1-2 update main:*>1 refused
             3-4 delete absent
             5-6 read none",
        ),
    ] {
        let history = history(script);
        for judgement in check(&history, STEPS_MAX) {
            let Outcome::Linearizable { .. } = judgement.outcome else {
                panic!("{name}: {:?}", judgement.outcome);
            };
            assert_proved(&history, &judgement);
        }
    }
}

#[test]
fn what_the_quick_search_misses_is_found() {
    // Nobody sees main = 3, but without it the next update would have made main 2.
    let history = history(
        "1-2 create made
         3-4 update main:*>1 dev:*>1 applied applied
         5-6 update main:1>3 unknown
         7-8 update main:1>2 dev:1>2 unknown
         9-10 update dev:2>5 applied
         11-12 update main:2>9 refused
         13-14 update main:*>4 applied
         15-16 read main=4 dev=5",
    );
    let repositories = Repository::all(&history);
    let problem = Problem::new(&repositories[0]);
    let responses = problem.schedule().responses.len();
    let quick = problem.search_with(Effort::Quick, responses, STEPS_MAX);
    assert!(matches!(quick.found, Found::None));
    let judgements = check(&history, STEPS_MAX);
    assert!(matches!(judgements[0].outcome, Outcome::Linearizable { .. }), "{judgements:?}");
    assert_proved(&history, &judgements[0]);
}

#[test]
fn a_rejection_says_nothing_of_values() {
    let history = history(
        "1-2 create made
         3-4 update main:->1 dev:->1 applied rejected
         5-6 atomic dev:->1 old:->1 refused rejected
         7-8 read main=1",
    );
    assert!(matches!(outcome(&history), Outcome::Linearizable { .. }));
}

#[test]
fn repositories_are_judged_one_by_one() {
    let mut operations = history(
        "1-2 create made
         3-4 read main=1
         5-6 create made
         7-8 read",
    )
    .operations()
    .to_vec();
    operations[2].repository = "s".to_owned();
    operations[3].repository = "s".to_owned();
    let judgements = check(&History::new(operations).unwrap(), STEPS_MAX);
    assert!(matches!(judgements[0].outcome, Outcome::NotLinearizable(_)));
    assert!(matches!(judgements[1].outcome, Outcome::Linearizable { .. }));
}

#[test]
fn what_is_not_a_history_is_refused() {
    let operations = history(
        "1-2 create made
         3-4 update main:*>1 applied",
    )
    .operations()
    .to_vec();
    let with = |change: fn(&mut Vec<crate::linearizable::Operation>)| {
        let mut operations = operations.clone();
        change(&mut operations);
        History::new(operations).map(drop)
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(
        with(|operations| operations[1].invoked.sequence = 2),
        Err(HistoryError::SequenceTwice { sequence: 2 })
    );
    assert_eq!(
        with(|operations| operations[1].invoked.sequence = 9),
        Err(HistoryError::RespondedBeforeInvoked { operation: 1 })
    );
    assert_eq!(
        with(|operations| operations[1].responded = None),
        Err(HistoryError::AnsweredNever { operation: 1 })
    );
}
