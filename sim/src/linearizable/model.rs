//! Sequential specification: what one repository answers when operations come one at a time.
//!
//! Refs and values are numbered for each repository, so that a state is a short vector. Value 0
//! stands for an absent ref. A repository that does not exist has no refs, so that equal states are
//! equal vectors.

use std::collections::BTreeMap;

use super::history::{Action, Answer, Expected, History, RefUpdate, Verdict};

/// The number of a value that stands for "no such ref".
pub(super) const ABSENT: u32 = 0;

/// All that was done to one repository, without what was certainly not done.
pub(super) struct Repository {
    pub name: String,
    /// Names of refs by their numbers.
    pub refs: Vec<String>,
    /// Values by their numbers, of which the first is 1.
    pub values: Vec<u64>,
    /// By the order of their invocations.
    pub calls: Vec<Call>,
}

/// An operation in numbers.
pub(super) struct Call {
    /// Which operation of the history it is.
    pub operation: usize,
    pub invoked: u64,
    /// Nothing where its effect may come at any time or never.
    pub responded: Option<u64>,
    pub kind: Kind,
}

/// What was asked, and what was answered if that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Update { atomic: bool, updates: Vec<Update>, verdicts: Option<Vec<Verdict>> },
    Read { refs: Option<Vec<u32>> },
    Create { made: Option<bool> },
    Delete { removed: Option<bool> },
}

/// The update of one ref, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Update {
    pub reference: usize,
    /// Nothing where anything will do.
    pub expected: Option<u32>,
    pub new: u32,
}

/// A repository at a point of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub exists: bool,
    pub refs: Vec<u32>,
}

/// What undoes a change of a state.
pub(super) enum Change {
    Ref { reference: usize, old: u32 },
    Created,
    Deleted { refs: Vec<u32> },
}

impl Repository {
    /// Every repository that a history names, in the order of their names.
    pub fn all(history: &History) -> Vec<Repository> {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, operation) in history.operations().iter().enumerate() {
            by_name.entry(&operation.repository).or_default().push(index);
        }
        by_name.into_iter().map(|(name, operations)| Self::of(history, name, operations)).collect()
    }

    fn of(history: &History, name: &str, mut operations: Vec<usize>) -> Repository {
        operations.sort_by_key(|&index| history.operations()[index].invoked.sequence);
        let mut numbers = Numbers::of(history, &operations);
        let calls = operations
            .into_iter()
            .filter_map(|index| {
                let operation = &history.operations()[index];
                let kind = numbers.kind(&operation.action)?;
                let responded = operation.responded.map(|moment| moment.sequence);
                if matches!(kind, Kind::Read { .. }) && responded.is_none() {
                    return None;
                }
                Some(Call {
                    operation: index,
                    invoked: operation.invoked.sequence,
                    responded: responded.filter(|_| !kind.is_unknown()),
                    kind,
                })
            })
            .collect();
        let mut values: Vec<(u32, u64)> =
            numbers.values.into_iter().map(|(value, number)| (number, value)).collect();
        values.sort_unstable();
        Repository {
            name: name.to_owned(),
            refs: numbers.refs.into_keys().map(str::to_owned).collect(),
            values: values.into_iter().map(|(_, value)| value).collect(),
            calls,
        }
    }

    /// What it is at first.
    pub fn initial(&self) -> State {
        State { exists: false, refs: vec![ABSENT; self.refs.len()] }
    }
}

/// The numbers of a repository's refs and values.
struct Numbers<'a> {
    refs: BTreeMap<&'a str, usize>,
    values: BTreeMap<u64, u32>,
}

impl<'a> Numbers<'a> {
    /// Numbers all refs, in the order of their names. Values get theirs as they come.
    fn of(history: &'a History, operations: &[usize]) -> Self {
        let mut refs: BTreeMap<&str, usize> = BTreeMap::new();
        for &index in operations {
            match &history.operations()[index].action {
                Action::Update { updates, .. } => {
                    refs.extend(updates.iter().map(|update| (update.name.as_str(), 0)));
                }
                Action::Read { refs: Some(read) } => {
                    refs.extend(read.keys().map(|name| (name.as_str(), 0)));
                }
                Action::Read { refs: None } | Action::Create { .. } | Action::Delete { .. } => {}
            }
        }
        for (number, reference) in refs.values_mut().enumerate() {
            *reference = number;
        }
        Numbers { refs, values: BTreeMap::new() }
    }

    fn value(&mut self, value: u64) -> u32 {
        let next = self.values.len() as u32 + 1;
        *self.values.entry(value).or_insert(next)
    }

    fn update(&mut self, update: &RefUpdate) -> Update {
        Update {
            reference: self.refs[update.name.as_str()],
            expected: match update.expected {
                Expected::Any => None,
                Expected::Absent => Some(ABSENT),
                Expected::Value(value) => Some(self.value(value)),
            },
            new: update.new.map_or(ABSENT, |value| self.value(value)),
        }
    }

    /// Nothing for what was certainly not done.
    fn kind(&mut self, action: &Action) -> Option<Kind> {
        fn known<T: Clone>(answer: &Answer<T>) -> Option<Option<T>> {
            match answer {
                Answer::Known(answer) => Some(Some(answer.clone())),
                Answer::Unknown => Some(None),
                Answer::NotDone => None,
            }
        }
        Some(match action {
            Action::Update { atomic, updates, answer } => Kind::Update {
                verdicts: known(answer)?,
                atomic: *atomic,
                updates: updates.iter().map(|update| self.update(update)).collect(),
            },
            Action::Read { refs } => Kind::Read {
                refs: refs.as_ref().map(|read| {
                    let mut dense = vec![ABSENT; self.refs.len()];
                    for (name, value) in read {
                        dense[self.refs[name.as_str()]] = self.value(*value);
                    }
                    dense
                }),
            },
            Action::Create { answer } => Kind::Create { made: known(answer)? },
            Action::Delete { answer } => Kind::Delete { removed: known(answer)? },
        })
    }
}

impl Update {
    /// Whether its ref is as expected, in a repository that exists.
    pub fn holds(&self, state: &State) -> bool {
        self.expected.is_none_or(|expected| state.refs[self.reference] == expected)
    }
}

impl Kind {
    /// Whether it may take effect at any time or never.
    pub fn is_unknown(&self) -> bool {
        match self {
            Kind::Update { verdicts, .. } => verdicts.is_none(),
            Kind::Read { .. } => false,
            Kind::Create { made } => made.is_none(),
            Kind::Delete { removed } => removed.is_none(),
        }
    }

    /// Whether it changes nothing in any state that its answer fits.
    pub fn only_observes(&self) -> bool {
        match self {
            Kind::Update { verdicts: Some(verdicts), .. } => !verdicts.contains(&Verdict::Applied),
            Kind::Read { .. } => true,
            Kind::Create { made: known } | Kind::Delete { removed: known } => *known == Some(false),
            Kind::Update { verdicts: None, .. } => false,
        }
    }

    /// Whether this is what would be answered in that state. What is unknown fits any.
    pub fn fits(&self, state: &State) -> bool {
        match self {
            Kind::Update { verdicts: None, .. } => true,
            Kind::Update { verdicts: Some(verdicts), .. } if !state.exists => {
                !verdicts.contains(&Verdict::Applied)
            }
            Kind::Update { atomic: false, updates, verdicts: Some(verdicts) } => {
                updates.iter().zip(verdicts).all(|(update, verdict)| match verdict {
                    Verdict::Applied => update.holds(state),
                    Verdict::Refused => !update.holds(state),
                    Verdict::Rejected => true,
                })
            }
            Kind::Update { atomic: true, updates, verdicts: Some(verdicts) } => {
                let all_hold = updates.iter().all(|update| update.holds(state));
                if verdicts.contains(&Verdict::Applied) {
                    all_hold && verdicts.iter().all(|verdict| *verdict == Verdict::Applied)
                } else {
                    !all_hold || verdicts.contains(&Verdict::Rejected)
                }
            }
            Kind::Read { refs: Some(refs) } => state.exists && *refs == state.refs,
            Kind::Read { refs: None } => !state.exists,
            Kind::Create { made } => made.is_none_or(|made| made != state.exists),
            Kind::Delete { removed } => removed.is_none_or(|removed| removed == state.exists),
        }
    }

    /// Which of its updates take effect in a state that its answer fits.
    pub fn effective(&self, state: &State) -> Vec<Update> {
        let Kind::Update { atomic, updates, verdicts } = self else { return Vec::new() };
        let holds = |update: &Update| state.exists && update.holds(state);
        match verdicts {
            Some(verdicts) => {
                let applied = updates.iter().zip(verdicts);
                applied
                    .filter(|(_, v)| **v == Verdict::Applied)
                    .map(|(update, _)| *update)
                    .collect()
            }
            None if *atomic && !updates.iter().all(holds) => Vec::new(),
            None => updates.iter().copied().filter(holds).collect(),
        }
    }
}

impl State {
    /// Carries an operation out whose answer fits, and says what changed.
    pub fn apply(&mut self, kind: &Kind) -> Vec<Change> {
        match kind {
            Kind::Update { .. } => kind
                .effective(self)
                .into_iter()
                .filter_map(|Update { reference, new, .. }| {
                    let old = std::mem::replace(&mut self.refs[reference], new);
                    (old != new).then_some(Change::Ref { reference, old })
                })
                .collect(),
            Kind::Create { .. } if !self.exists => {
                self.exists = true;
                vec![Change::Created]
            }
            Kind::Delete { .. } if self.exists => {
                self.exists = false;
                let none = vec![ABSENT; self.refs.len()];
                vec![Change::Deleted { refs: std::mem::replace(&mut self.refs, none) }]
            }
            Kind::Read { .. } | Kind::Create { .. } | Kind::Delete { .. } => Vec::new(),
        }
    }

    /// Whether an operation whose answer fits would change anything.
    pub fn is_changed_by(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Update { .. } => {
                kind.effective(self).iter().any(|update| self.refs[update.reference] != update.new)
            }
            Kind::Read { .. } => false,
            Kind::Create { .. } => !self.exists,
            Kind::Delete { .. } => self.exists,
        }
    }

    /// Takes a change back. Changes are taken back in the opposite order.
    pub fn undo(&mut self, change: Change) {
        match change {
            Change::Ref { reference, old } => self.refs[reference] = old,
            Change::Created => self.exists = false,
            Change::Deleted { refs } => {
                self.exists = true;
                self.refs = refs;
            }
        }
    }
}
