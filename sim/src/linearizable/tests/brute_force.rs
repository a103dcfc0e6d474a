//! Brute-force check: every order that respects real time is tried, without any cleverness.

use super::register::{Register, is_unknown, must_happen};
use crate::linearizable::{History, Operation};

/// Whether a history of a few operations is linearizable as far as it was answered until then.
/// What was answered later may have taken effect with that answer, or not yet.
pub(super) fn is_linearizable(history: &History, until: u64) -> bool {
    let remaining: Vec<&Operation> = history
        .operations()
        .iter()
        .filter(|operation| must_happen(operation) || is_unknown(&operation.action))
        .collect();
    can_be_ordered(&Register::default(), &remaining, until)
}

fn can_be_ordered(register: &Register, remaining: &[&Operation], until: u64) -> bool {
    let responded = |operation: &Operation| {
        let moment = operation.responded.filter(|_| must_happen(operation));
        moment.map(|moment| moment.sequence)
    };
    if !remaining.iter().any(|operation| responded(operation).is_some_and(|at| at <= until)) {
        return true;
    }
    remaining.iter().enumerate().any(|(index, operation)| {
        let is_preceded = remaining
            .iter()
            .any(|other| responded(other).is_some_and(|at| at < operation.invoked.sequence));
        let mut register = register.clone();
        !is_preceded && register.answers(operation) && {
            let mut others = remaining.to_vec();
            others.remove(index);
            can_be_ordered(&register, &others, until)
        }
    })
}
