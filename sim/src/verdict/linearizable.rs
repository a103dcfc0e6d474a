//! I10 Linearizable: what clients were told of repositories and refs fits an order in which each
//! call happened in one instant between its question and its answer.
//!
//! Here the trace becomes a history; whether that has such an order is found by
//! [`crate::linearizable`].

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::{Class, Violation};
use crate::linearizable::{
    Action, Answer, Expected, History as Operations, Moment, Operation, Outcome, RefUpdate,
    STEPS_MAX, Verdict, check as search,
};
use crate::trace::{
    self, CatalogCall, CatalogOutcome, Event, GitCall, GitOutcome, GitUpdate, RefVerdict, Service,
};

const RULE: &str = "I10 linearizable";
/// Nanoseconds of a microsecond.
const NANOS: u64 = 1_000;

/// The first call of each repository that fits no order.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let operations = operations(history.trace);
    if operations.is_empty() {
        return Vec::new();
    }
    let wrong = |class, at_us, message| Violation { rule: RULE, class, at_us, message };
    let operations = match Operations::new(operations) {
        Ok(operations) => operations,
        Err(error) => return vec![wrong(Class::Safety, 0, format!("no history: {error}"))],
    };
    let at_us = |operation: usize| {
        let operation = &operations.operations()[operation];
        operation.responded.unwrap_or(operation.invoked).at_ns / NANOS
    };
    let judgements = search(&operations, STEPS_MAX).into_iter();
    let violation = judgements.filter_map(|judgement| match judgement.outcome {
        Outcome::Linearizable { .. } => None,
        Outcome::NotLinearizable(why) => {
            Some(wrong(Class::Safety, at_us(why.operation), why.to_string()))
        }
        Outcome::NotDecided { operation } => {
            let message = format!(
                "{}: not decided in {} steps, which came to call {operation}",
                judgement.repository, judgement.steps
            );
            Some(wrong(Class::Liveness, at_us(operation), message))
        }
    });
    violation.collect()
}

/// The calls of a trace, in the order in which they began.
fn operations(trace: &[trace::Record]) -> Vec<Operation> {
    let mut begun: BTreeMap<u64, usize> = BTreeMap::new();
    let mut clients: BTreeMap<&str, u64> = BTreeMap::new();
    let mut operations: Vec<Operation> = Vec::new();
    let mut git_begun: BTreeMap<u64, usize> = BTreeMap::new();
    // Repositories that were there when somebody was told their refs.
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (place, record) in trace.iter().enumerate() {
        let moment = Moment { sequence: 2 * place as u64, at_ns: record.at_us * NANOS };
        match &record.event {
            Event::CatalogAsked { op, repository, call } => {
                let next = clients.len() as u64;
                let client = *clients.entry(record.actor.as_str()).or_insert(next);
                begun.insert(*op, operations.len());
                operations.push(Operation {
                    client,
                    repository: repository.clone(),
                    invoked: moment,
                    responded: None,
                    action: asked(call),
                });
            }
            Event::CatalogAnswered { op, outcome } => {
                if let Some(index) = begun.get(op) {
                    answer(&mut operations[*index], outcome, moment);
                }
            }
            Event::GitAsked { op, repository, call, .. } => {
                let Some(action) = git_asked(call) else { continue };
                let next = clients.len() as u64;
                let client = *clients.entry(record.actor.as_str()).or_insert(next);
                let makes = matches!(call, GitCall::Refs { service: Service::Push });
                if makes && !known.contains(repository.as_str()) {
                    operations.push(Operation {
                        client,
                        repository: repository.clone(),
                        // Beside the event itself.
                        invoked: Moment { sequence: moment.sequence + 1, ..moment },
                        responded: None,
                        action: Action::Create { answer: Answer::Unknown },
                    });
                }
                git_begun.insert(*op, operations.len());
                operations.push(Operation {
                    client,
                    repository: repository.clone(),
                    invoked: moment,
                    responded: None,
                    action,
                });
            }
            Event::GitAnswered { op, outcome } => {
                let Some(index) = git_begun.get(op) else { continue };
                let operation = &mut operations[*index];
                if matches!(outcome, GitOutcome::Refs { .. }) {
                    known.insert(operation.repository.clone());
                }
                git_answer(operation, outcome, moment);
            }
            _ => {}
        }
    }
    operations
}

fn asked(call: &CatalogCall) -> Action {
    match call {
        CatalogCall::Create => Action::Create { answer: Answer::Unknown },
        CatalogCall::Read => Action::Read { refs: None },
        CatalogCall::Update { atomic, updates } => {
            let updates = updates.iter().map(|update| RefUpdate {
                name: update.name.clone(),
                expected: match update.expected {
                    trace::Expected::Any => Expected::Any,
                    trace::Expected::Absent => Expected::Absent,
                    trace::Expected::Value(value) => Expected::Value(value),
                },
                new: update.new,
            });
            let (atomic, updates) = (*atomic, updates.collect());
            Action::Update { atomic, updates, answer: Answer::Unknown }
        }
    }
}

fn answer(operation: &mut Operation, outcome: &CatalogOutcome, moment: Moment) {
    match (&mut operation.action, outcome) {
        // It tells nothing.
        (Action::Read { .. }, CatalogOutcome::NotDone { .. } | CatalogOutcome::Unknown { .. }) => {
            return;
        }
        (Action::Read { refs }, CatalogOutcome::Refs { refs: read }) => *refs = Some(read.clone()),
        (Action::Create { answer }, CatalogOutcome::Created) => *answer = Answer::Known(true),
        (Action::Create { answer }, CatalogOutcome::Existed) => *answer = Answer::Known(false),
        (Action::Create { answer } | Action::Delete { answer }, CatalogOutcome::NotDone { .. }) => {
            *answer = Answer::NotDone
        }
        (Action::Update { answer, .. }, CatalogOutcome::NotDone { .. }) => {
            *answer = Answer::NotDone;
        }
        (Action::Update { answer, .. }, CatalogOutcome::Updated { verdicts }) => {
            *answer = Answer::Known(verdicts.iter().map(verdict).collect());
        }
        // No repository, which is what a read without refs says; and ends that are not known.
        _ => {}
    }
    operation.responded = Some(moment);
}

/// What a Git client asks of refs; nothing where it asks for objects.
fn git_asked(call: &GitCall) -> Option<Action> {
    match call {
        GitCall::Refs { .. } => Some(Action::Read { refs: None }),
        GitCall::Push { atomic, updates, .. } => {
            let update = |GitUpdate { name, old, new }: &GitUpdate| RefUpdate {
                name: name.clone(),
                expected: old
                    .as_deref()
                    .map_or(Expected::Absent, |old| Expected::Value(value(old))),
                new: new.as_deref().map(value),
            };
            let (atomic, updates) = (*atomic, updates.iter().map(update).collect());
            Some(Action::Update { atomic, updates, answer: Answer::Unknown })
        }
        GitCall::Fetch { .. } => None,
    }
}

fn git_answer(operation: &mut Operation, outcome: &GitOutcome, moment: Moment) {
    match (&mut operation.action, outcome) {
        (Action::Read { refs }, GitOutcome::Refs { refs: told }) => {
            *refs = Some(told.iter().map(|(name, id)| (name.clone(), value(id))).collect());
        }
        // A read without refs says that there is no repository.
        (Action::Read { .. }, GitOutcome::NoRepository) => {}
        // It tells nothing.
        (Action::Read { .. }, _) => return,
        (Action::Update { answer, .. }, GitOutcome::Pushed { verdicts }) => {
            *answer = Answer::Known(verdicts.iter().map(verdict).collect());
        }
        (Action::Update { answer, .. }, GitOutcome::NotDone { .. } | GitOutcome::NoRepository) => {
            *answer = Answer::NotDone
        }
        // Not known; and what nobody asked.
        _ => {}
    }
    operation.responded = Some(moment);
}

/// An object id as a value: its first eight bytes tell a few thousand apart.
fn value(id: &str) -> u64 {
    let digits = id.get(..16).unwrap_or(id);
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

fn verdict(verdict: &RefVerdict) -> Verdict {
    match verdict {
        RefVerdict::Applied => Verdict::Applied,
        RefVerdict::Moved => Verdict::Refused,
        RefVerdict::Rejected(_) => Verdict::Rejected,
    }
}
