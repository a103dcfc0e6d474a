//! A register that is right: repositories with refs as plain maps, one operation at a time.
//!
//! It shares nothing with the model of the search, so that each can prove the other wrong.

use std::collections::BTreeMap;

use crate::linearizable::{Action, Answer, Expected, Operation, RefUpdate, Verdict};

/// Repositories by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Register {
    pub repositories: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Register {
    /// Does what an operation asks, whatever it was answered, and returns it with the right answer.
    pub fn carry_out(&mut self, repository: &str, action: &Action) -> Action {
        let exists = self.repositories.contains_key(repository);
        match action {
            Action::Update { atomic, updates, .. } => {
                let verdicts = self.update(repository, *atomic, updates);
                Action::Update {
                    atomic: *atomic,
                    updates: updates.clone(),
                    answer: Answer::Known(verdicts),
                }
            }
            Action::Read { .. } => {
                Action::Read { refs: self.repositories.get(repository).cloned() }
            }
            Action::Create { .. } => {
                self.repositories.entry(repository.to_owned()).or_default();
                Action::Create { answer: Answer::Known(!exists) }
            }
            Action::Delete { .. } => {
                self.repositories.remove(repository);
                Action::Delete { answer: Answer::Known(exists) }
            }
        }
    }

    fn update(&mut self, repository: &str, atomic: bool, updates: &[RefUpdate]) -> Vec<Verdict> {
        let Some(refs) = self.repositories.get_mut(repository) else {
            return vec![Verdict::Refused; updates.len()];
        };
        let holds = |update: &RefUpdate| match (update.expected, refs.get(&update.name)) {
            (Expected::Any, _) | (Expected::Absent, None) => true,
            (Expected::Value(expected), Some(actual)) => expected == *actual,
            _ => false,
        };
        let mut held: Vec<bool> = updates.iter().map(holds).collect();
        if atomic && held.contains(&false) {
            held.fill(false);
        }
        for (update, _) in updates.iter().zip(&held).filter(|(_, held)| **held) {
            match update.new {
                Some(new) => drop(refs.insert(update.name.clone(), new)),
                None => drop(refs.remove(&update.name)),
            }
        }
        let verdict = |held| if held { Verdict::Applied } else { Verdict::Refused };
        held.into_iter().map(verdict).collect()
    }

    /// Carries an operation out; says whether it could be answered as it was.
    pub fn answers(&mut self, operation: &Operation) -> bool {
        let answered = self.carry_out(&operation.repository, &operation.action);
        is_unknown(&operation.action) || answered == operation.action
    }
}

/// Whether it may take effect at any time or never.
pub(super) fn is_unknown(action: &Action) -> bool {
    match action {
        Action::Update { answer, .. } => *answer == Answer::Unknown,
        Action::Create { answer } | Action::Delete { answer } => *answer == Answer::Unknown,
        Action::Read { .. } => false,
    }
}

/// Whether it has to be in every order.
pub(super) fn must_happen(operation: &Operation) -> bool {
    let is_not_done = match &operation.action {
        Action::Update { answer, .. } => *answer == Answer::NotDone,
        Action::Create { answer } | Action::Delete { answer } => *answer == Answer::NotDone,
        Action::Read { .. } => false,
    };
    operation.responded.is_some() && !is_unknown(&operation.action) && !is_not_done
}
