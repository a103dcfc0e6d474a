//! Operation history: what clients asked of repositories, when, and what they were answered.
//!
//! A history is data that a recorder fills in; it is checked here for being one at all (each event
//! has its own place in time, answers have the shape of what was asked), and nowhere for being
//! right. Values are numbers: a recorder maps object ids to them, equal ids to equal numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// When an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The event's place in the order of all events of the run. No two events share one; this alone
    /// decides what came before what.
    pub sequence: u64,
    /// Simulated time, for those who read about it.
    pub at_ns: u64,
}

/// One operation of a client on one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked. Only for those who read about it: a client may have several operations under way.
    pub client: u64,
    /// The repository's name. A name that is used again after a deletion is a new, empty repository.
    pub repository: String,
    /// When it was asked.
    pub invoked: Moment,
    /// When it was answered, be it that nothing is known of it; nothing where the run ended first.
    pub responded: Option<Moment>,
    /// What was asked and answered.
    pub action: Action,
}

/// What was asked and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Updates of refs by one command.
    Update {
        /// Whether all of them are done or none.
        atomic: bool,
        /// The updates, each of another ref; at least one.
        updates: Vec<RefUpdate>,
        /// What became of each, in the same order.
        answer: Answer<Vec<Verdict>>,
    },
    /// A read of all refs. One that failed tells nothing and is left out of a history, or left
    /// without a response.
    Read {
        /// Every ref with its value, or nothing where there was no such repository.
        refs: Option<BTreeMap<String, u64>>,
    },
    /// A repository is to be made, without refs.
    Create {
        /// Whether it was made; otherwise it existed.
        answer: Answer<bool>,
    },
    /// A repository is to be deleted with its refs.
    Delete {
        /// Whether it was removed; otherwise there was none.
        answer: Answer<bool>,
    },
}

/// What is known about a command that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was carried out, with this result.
    Known(T),
    /// It was certainly not carried out and never will be.
    NotDone,
    /// It may take effect at any time after its invocation, or never. This is also the answer of
    /// what was still under way when the run ended.
    Unknown,
}

/// The update of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: String,
    /// What the ref has to be.
    pub expected: Expected,
    /// What it is to be; nothing where it is deleted.
    pub new: Option<u64>,
}

/// What a ref has to be before an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// Nothing.
    Absent,
    /// This value.
    Value(u64),
}

/// What became of the update of one ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The ref is as the update says.
    Applied,
    /// The ref was not as expected; in an atomic command, this ref or another of the command. In a
    /// repository that does not exist no expectation holds, not even [`Expected::Any`].
    Refused,
    /// It was refused for a reason that has nothing to do with the values of its refs, such as a
    /// name that conflicts with another. This constrains nothing.
    Rejected,
}

/// The operations of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    operations: Vec<Operation>,
}

/// Why a list of operations is no history. Operations are named by their place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryError {
    /// Two events have one place in time.
    SequenceTwice {
        /// The place.
        sequence: u64,
    },
    /// An answer came before its question.
    RespondedBeforeInvoked {
        /// Which operation.
        operation: usize,
    },
    /// There is an answer without a time at which it came.
    AnsweredNever {
        /// Which operation.
        operation: usize,
    },
    /// A command updates nothing.
    NoUpdates {
        /// Which operation.
        operation: usize,
    },
    /// One command updates a ref twice.
    RefTwice {
        /// Which operation.
        operation: usize,
        /// The ref.
        name: String,
    },
    /// There are more updates than verdicts, or the other way round.
    VerdictCount {
        /// Which operation.
        operation: usize,
    },
}

impl History {
    /// The history of these operations, in any order. No repository exists at first.
    ///
    /// # Errors
    /// What makes it impossible that a recorder saw this.
    pub fn new(operations: Vec<Operation>) -> Result<Self, HistoryError> {
        let mut sequences = BTreeSet::new();
        for (index, operation) in operations.iter().enumerate() {
            let moments = [Some(operation.invoked), operation.responded];
            for Moment { sequence, .. } in moments.into_iter().flatten() {
                if !sequences.insert(sequence) {
                    return Err(HistoryError::SequenceTwice { sequence });
                }
            }
            operation.check(index)?;
        }
        Ok(History { operations })
    }

    /// The operations, in the order in which they were given.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

impl Operation {
    fn check(&self, operation: usize) -> Result<(), HistoryError> {
        match self.responded {
            Some(responded) if responded.sequence < self.invoked.sequence => {
                return Err(HistoryError::RespondedBeforeInvoked { operation });
            }
            None if self.is_answered() => return Err(HistoryError::AnsweredNever { operation }),
            _ => {}
        }
        let Action::Update { updates, answer, .. } = &self.action else { return Ok(()) };
        if updates.is_empty() {
            return Err(HistoryError::NoUpdates { operation });
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = updates.iter().find(|update| !names.insert(&update.name)) {
            return Err(HistoryError::RefTwice { operation, name: twice.name.clone() });
        }
        match answer {
            Answer::Known(verdicts) if verdicts.len() != updates.len() => {
                Err(HistoryError::VerdictCount { operation })
            }
            _ => Ok(()),
        }
    }

    /// Whether something is claimed about what became of it. A read without a response is one that
    /// is left out.
    fn is_answered(&self) -> bool {
        match &self.action {
            Action::Update { answer, .. } => *answer != Answer::Unknown,
            Action::Create { answer } | Action::Delete { answer } => *answer != Answer::Unknown,
            Action::Read { .. } => false,
        }
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::SequenceTwice { sequence } => {
                write!(f, "two events have the sequence number {sequence}")
            }
            HistoryError::RespondedBeforeInvoked { operation } => {
                write!(f, "operation {operation} is answered before it is asked")
            }
            HistoryError::AnsweredNever { operation } => {
                write!(f, "operation {operation} has an answer and no time at which it came")
            }
            HistoryError::NoUpdates { operation } => {
                write!(f, "operation {operation} updates nothing")
            }
            HistoryError::RefTwice { operation, name } => {
                write!(f, "operation {operation} updates {name} twice")
            }
            HistoryError::VerdictCount { operation } => {
                write!(f, "operation {operation} has not one verdict for each update")
            }
        }
    }
}

impl std::error::Error for HistoryError {}
