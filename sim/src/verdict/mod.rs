//! Checkers.
//!
//! The checkers: pure functions from a trace to what is wrong with it.
//!
//! One file a checker, named after the promise of the README that it checks. Safety
//! checkers say that something false was told or something stored was lost; liveness
//! checkers say that something that should have gone on did not. A checker sees the trace
//! and nothing else, so a trace made by hand can plant the fault that proves it works.

mod agreed;
mod answered;
mod available;
mod convergent;
mod deleted;
mod deterministic;
mod durable;
mod expected;
mod fenced;
mod finished;
mod fresh;
mod git;
mod history;
mod intact;
mod linearizable;
mod litter;
mod pushed;
mod reachable;
mod replicated;
mod truthful;
mod visible;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::trace::{Event, Record};

pub use deterministic::deterministic;
pub use fresh::{Recovery, recoveries};
pub use history::{Deletion, History, Operation};

/// What kind of promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something wrong was done or said; exit code 1.
    Safety,
    /// Something that should have happened did not; exit code 3.
    Liveness,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant by number and name, or the expectation by its field.
    pub rule: &'static str,
    /// What kind.
    pub class: Class,
    /// Simulated time of the event that shows it.
    pub at_us: u64,
    /// What was seen and what should have been.
    pub message: String,
}

impl Violation {
    /// What was broken and how, without who, which and how many: equal for violations that most likely
    /// have one reason.
    pub fn cause(&self) -> String {
        let mut words: Vec<&str> = vec![self.rule];
        for word in self.message.split_whitespace() {
            let varies = |letter: char| letter.is_ascii_digit() || "[]\"".contains(letter);
            let word = if word.contains(varies) { "…" } else { word };
            if word != "…" || words.last() != Some(&"…") {
                words.push(word);
            }
        }
        words.join(" ")
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at_us / 1_000_000;
        let micros = self.at_us % 1_000_000;
        write!(f, "{} at {seconds}.{micros:06} s: {}", self.rule, self.message)
    }
}

/// The judgement on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// An invariant was violated.
    Fail,
    /// A liveness expectation was not met.
    Stuck,
    /// A machine's code panicked.
    Panicked,
}

impl Verdict {
    /// The word on the verdict line.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail | Verdict::Panicked => "fail",
            Verdict::Stuck => "stuck",
        }
    }

    /// The exit code of a run that ends so.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            Verdict::Stuck => 3,
            Verdict::Panicked => 4,
        }
    }
}

/// Every violation of a trace, safety first, each class in the order of time.
pub fn judge(trace: &[Record]) -> Vec<Violation> {
    let history = History::of(trace);
    let checkers: [fn(&History<'_>) -> Vec<Violation>; 18] = [
        durable::check,
        deleted::check,
        intact::check,
        visible::check,
        truthful::check,
        fenced::check,
        agreed::check,
        linearizable::check,
        reachable::check,
        pushed::check,
        litter::check,
        answered::check,
        finished::check,
        available::check,
        replicated::check,
        convergent::check,
        expected::check,
        fresh::check,
    ];
    let mut violations: Vec<Violation> =
        checkers.iter().flat_map(|check| check(&history)).collect();
    violations.sort_by_key(|violation| (violation.class, violation.at_us));
    violations
}

/// What a trace and its violations amount to.
pub fn verdict(trace: &[Record], violations: &[Violation]) -> Verdict {
    let panicked = trace.iter().any(|record| matches!(record.event, Event::Panicked { .. }));
    match violations.iter().map(|violation| violation.class).min() {
        _ if panicked => Verdict::Panicked,
        Some(Class::Safety) => Verdict::Fail,
        Some(Class::Liveness) => Verdict::Stuck,
        None => Verdict::Pass,
    }
}
