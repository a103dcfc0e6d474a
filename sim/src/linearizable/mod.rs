//! Linearizability checker, for repositories and their refs.
//!
//! A history is linearizable if each operation can be thought to happen in one instant between its
//! invocation and its response, so that in the order of these instants every answer is what the
//! sequential specification (`model`) gives. [`check`] finds such an order or says which operation
//! has no place in any.
//!
//! Repositories are checked one by one: linearizability is a local property, so a history is
//! linearizable exactly if that of each repository is. It is *not* taken further down to single
//! refs: a read of all refs and an atomic update of several speak about refs together, and a history
//! whose refs are each in order can still show an atomic update by half. What splitting would save,
//! the search saves by not trying orders of operations that have no ref in common.
//!
//! Operations of unknown outcome may take effect at any time after their invocation, or never. The
//! search is bounded by a number of steps; when it meets the bound it says that it did not decide.
//!
//! What a recorder has to see to, because the specification knows nothing of it:
//!
//! - Refs are what reads tell. If creation makes refs, such as `HEAD`, reads are to leave them out.
//! - An update that was refused for anything but the values of its refs is [`Verdict::Rejected`], or
//!   [`Answer::NotDone`] if that is so of the whole command. One of unknown outcome must not be of a
//!   kind that is rejected in part.

mod dependence;
mod explain;
mod failed;
mod history;
mod model;
mod schedule;
mod search;

#[cfg(test)]
mod tests;

pub use explain::{Candidate, Explanation};
pub use history::{
    Action, Answer, Expected, History, HistoryError, Moment, Operation, RefUpdate, Verdict,
};

use model::Repository;
use search::{Found, Problem, Searched};

/// Steps for one repository. One step is one operation placed: 10,000 operations of 16 clients on one
/// repository took 17,000 where they were linearizable, and 300,000 take a few seconds.
pub const STEPS_MAX: u64 = 300_000;

/// What was found about one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its name.
    pub repository: String,
    /// How many operations were placed by the search, those taken back included.
    pub steps: u64,
    /// What was found.
    pub outcome: Outcome,
}

/// Whether a history is linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is.
    Linearizable {
        /// The order that proves it, as places in the history: all answered operations, and those
        /// of unknown outcome that took effect in it.
        order: Vec<usize>,
    },
    /// It is not.
    NotLinearizable(Explanation),
    /// The bound on steps was met before either was known. That is no pass: it happens more often
    /// where there is no order, since only then everything has to be tried.
    NotDecided {
        /// The operation that the search did not get past, as a place in the history.
        operation: usize,
    },
}

/// Checks each repository of a history, in the order of their names, with at most `steps_max` steps
/// (such as [`STEPS_MAX`]) for each.
pub fn check(history: &History, steps_max: u64) -> Vec<Judgement> {
    Repository::all(history).iter().map(|it| check_one(history, it, steps_max)).collect()
}

fn check_one(history: &History, repository: &Repository, steps_max: u64) -> Judgement {
    let problem = Problem::new(repository);
    let responses = &problem.schedule().responses;
    let Searched { found, steps, reached } = problem.search(responses.len(), steps_max);
    let operation = |call: usize| repository.calls[call].operation;
    let outcome = match found {
        Found::Order(order) => {
            Outcome::Linearizable { order: order.into_iter().map(operation).collect() }
        }
        Found::None => Outcome::NotLinearizable(explain::explain(history, &problem, steps_max)),
        Found::Unfinished => Outcome::NotDecided { operation: operation(responses[reached].call) },
    };
    Judgement { repository: repository.name.clone(), steps, outcome }
}
