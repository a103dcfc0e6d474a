//! Faults planted in histories: each is caught, and the operation that shows it is named.

use super::outcome;
use super::script::history;
use crate::linearizable::Outcome;

/// Checks that a script is not linearizable, that the operation in that line is named, and that the
/// explanation says this.
fn caught(script: &str, operation: usize, why: &str) {
    let Outcome::NotLinearizable(explanation) = outcome(&history(script)) else {
        panic!("taken for linearizable: {script}");
    };
    assert_eq!(explanation.operation, operation, "{explanation}");
    assert!(explanation.why.contains(why), "{explanation}");
}

#[test]
fn a_stale_read() {
    caught(
        "1-2 create made
         3-4 update main:->1 applied
         5-6 update main:1>2 applied
         7-8 read main=1",
        3,
        "needs main = 1, and it is 2; main = 1 came by #1 and was replaced by #2",
    );
}

#[test]
fn a_lost_update() {
    caught(
        "1-2 create made
         3-4 update main:->1 applied
         5-8 update main:1>2 applied
         6-9 update main:1>3 applied",
        3,
        "needs main = 1, and it is 2",
    );
}

#[test]
fn one_command_applied_twice() {
    caught(
        "1-2 create made
         3-4 update main:*>1 unknown
         5-6 read main=1
         7-8 update main:1>2 applied
         9-10 read main=1",
        4,
        "main = 1 came by #1 and was replaced by #3",
    );
}

#[test]
fn reads_that_go_back_in_time() {
    caught(
        "1-2 create made
         3-20 update main:->1 applied
         4-5 read main=1
         6-7 read",
        3,
        "needs main = absent, and it is 1",
    );
}

#[test]
fn a_refusal_of_what_was_as_expected() {
    caught(
        "1-2 create made
         3-4 update main:->1 applied
         5-6 update main:1>2 refused",
        2,
        "was refused, and main = 1 is as it expected",
    );
}

#[test]
fn an_atomic_update_seen_by_half() {
    caught(
        "1-2 create made
         3-8 atomic main:->1 dev:->2 applied applied
         4-5 read main=1",
        2,
        "main = 1 would come by #1: atomic update main absent to 1, dev absent to 2",
    );
}

#[test]
fn an_update_applied_after_it_was_said_not_to_be_done() {
    caught(
        "1-2 create made
         3-4 update main:->1 not-done
         5-6 read main=1",
        2,
        "main = 1 is only of #1, which was answered as not done",
    );
}

#[test]
fn a_value_never_written() {
    caught(
        "1-2 create made
         3-4 update main:->1 applied
         5-6 read main=9",
        2,
        "nothing in the history ever wrote main = 9",
    );
}

#[test]
fn an_effect_before_its_invocation() {
    caught(
        "1-2 create made
         3-4 read main=1
         5-6 update main:->1 applied",
        1,
        "main = 1 comes by #2, which began later",
    );
}

#[test]
fn a_read_of_a_repository_after_its_deletion() {
    caught(
        "1-2 create made
         3-4 update main:->1 applied
         5-6 delete removed
         7-8 read main=1",
        3,
        "needs that the repository exists, and it does not",
    );
}

#[test]
fn refs_that_outlive_their_repository() {
    caught(
        "1-2 create made
         3-4 update main:->1 applied
         5-6 delete removed
         7-8 create made
         9-10 read main=1",
        4,
        "main = 1 came by #1 and was replaced by #2",
    );
}

#[test]
fn two_creations_of_one_repository() {
    caught("1-4 create made\n2-3 create made", 0, "needs that the repository is absent");
}

#[test]
fn an_atomic_update_done_by_half_in_its_own_words() {
    caught(
        "1-2 create made
         3-4 atomic main:->1 dev:7>2 applied refused",
        1,
        "has an answer that no state gives",
    );
}

#[test]
fn an_unknown_update_seen_gone_and_seen_again() {
    caught(
        "1-2 create made
         3-4 update main:*>1 unknown
         5-6 update main:*>2 applied
         7-8 read main=1
         9-10 update main:1>2 applied
         11-12 read main=2
         13-14 read main=1",
        6,
        "main = 1 came by #1 and was replaced by #4",
    );
}

#[test]
fn an_explanation_is_two_lines() {
    let script = "1-2 create made
                  3-4 update main:->1 applied
                  5-12 update main:7>2 applied
                  6-7 update main:*>3 unknown
                  8-9 read dev=4";
    let Outcome::NotLinearizable(explanation) = outcome(&history(script)) else { panic!() };
    assert_eq!(
        explanation.to_string().split('\n').collect::<Vec<_>>(),
        [
            "#4 (client 4, 0.008000 to 0.009000 s) r: read -> dev = 4 fits no order: needs dev = 4, \
             and it is absent, needs main = absent, and it is 1; nothing in the history ever wrote \
             dev = 4",
            "  after 2 operations in order; open then: #2 update main 7 to 2 -> applied, needs main \
             = 7, and it is 1",
        ]
    );
}
