//! The checker is shown histories written by hand, histories of a register that is right, and
//! small random ones that a brute-force check judges too.

mod agreement;
mod brute_force;
mod innocent;
mod planted;
mod recorder;
mod register;
mod script;
mod speed;

use super::{History, Judgement, Outcome, STEPS_MAX, check};
use register::Register;

/// The only repository's outcome.
fn outcome(history: &History) -> Outcome {
    let mut judgements = check(history, STEPS_MAX);
    assert_eq!(judgements.len(), 1, "one repository");
    judgements.remove(0).outcome
}

/// Checks that what was found to be linearizable is: the order given leads a register to the
/// answers of the history, and respects real time.
fn assert_proved(history: &History, judgement: &Judgement) {
    let Outcome::Linearizable { order } = &judgement.outcome else { return };
    let operations = history.operations();
    let mut register = Register::default();
    let mut latest_invocation = 0;
    for &index in order {
        let operation = &operations[index];
        assert!(register.answers(operation), "#{index} is answered otherwise in {order:?}");
        let responded = operation.responded.map_or(u64::MAX, |moment| moment.sequence);
        let is_unknown = register::is_unknown(&operation.action);
        assert!(is_unknown || responded > latest_invocation, "#{index} is late in {order:?}");
        latest_invocation = latest_invocation.max(operation.invoked.sequence);
    }
    for (index, operation) in operations.iter().enumerate() {
        let is_here = operation.repository == judgement.repository;
        if is_here && register::must_happen(operation) {
            assert!(order.contains(&index), "#{index} is not in {order:?}");
        }
    }
}
