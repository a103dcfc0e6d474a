//! Explanation of a history that is not linearizable, for a person who was woken by it.
//!
//! The operation named is the one whose response no order got past: everything that was answered
//! before it can be put in order, and with it nothing can. That points at the fault where the
//! answer itself is wrong, such as a stale read; where an earlier operation lied, it is the first
//! one to show it.

use std::fmt;

use super::dependence::{Lack, lacks};
use super::history::{Action, Answer, Expected, History, Operation, RefUpdate, Verdict};
use super::model::{ABSENT, Kind, Repository, State};
use super::search::{Found, Problem};

/// Differences that a reason lists; a read of a thousand refs may have as many.
const DIFFERENCES_MAX: usize = 3;

/// Why a history is not linearizable. Operations are places in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The operation that could not be placed.
    pub operation: usize,
    /// The longest order found: it has all that was answered before this operation was.
    pub order: Vec<usize>,
    /// What else could have taken effect between that order and this operation's response.
    pub candidates: Vec<Candidate>,
    /// What the operation is, when it was, and who asked.
    pub what: String,
    /// What the operation saw, what it would have had to see, and where the difference comes from.
    pub why: String,
}

/// An operation that was open, or of unknown outcome, when another could not be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub operation: usize,
    /// What it is, and what it would have had to see to be placed next.
    pub message: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = (&self.what, &self.why);
        write!(
            f,
            "{what} fits no order: {why}\n  after {} operations in order; ",
            self.order.len()
        )?;
        match self.candidates.split_first() {
            None => f.write_str("nothing else was open"),
            Some((first, rest)) => {
                write!(f, "open then: {}", first.message)?;
                rest.iter()
                    .take(DIFFERENCES_MAX)
                    .try_for_each(|it| write!(f, "; {}", it.message))?;
                match rest.len().saturating_sub(DIFFERENCES_MAX) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
        }
    }
}

/// The shortest beginning of a history that is not linearizable: how many responses it has, and an
/// order of all that was answered before the last of them.
///
/// It is found by bisection, as every beginning of a linearizable history is linearizable. A search
/// that meets the bound on steps counts as one that might have found an order: the beginning
/// returned is certainly not linearizable, though a shorter one may not be either.
fn shortest(problem: &Problem<'_>, steps_max: u64) -> (usize, Vec<usize>) {
    let mut order = Vec::new();
    let (mut good, mut bad) = (0, problem.schedule().responses.len());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match problem.search(middle, steps_max).found {
            Found::Order(found) => (good, order) = (middle, found),
            Found::Unfinished => good = middle,
            Found::None => bad = middle,
        }
    }
    (bad, order)
}

/// Explains why a repository for which no order was found has none.
pub(super) fn explain(history: &History, problem: &Problem<'_>, steps_max: u64) -> Explanation {
    let (responses, order) = shortest(problem, steps_max);
    let (repository, schedule) = (problem.repository, problem.schedule());
    let mut state = repository.initial();
    for &call in &order {
        state.apply(&repository.calls[call].kind);
    }
    let scene = Scene { history, repository, state, order: &order };
    let response = &schedule.responses[responses - 1];
    let open = response.open.iter().copied().filter(|&call| call != response.call);
    let unknown = schedule.unknown.iter().filter(|it| it.invoked < response.at).map(|it| it.call);
    let candidates = open.chain(unknown).filter(|call| !order.contains(call));
    Explanation {
        operation: repository.calls[response.call].operation,
        candidates: candidates.map(|call| scene.candidate(call)).collect(),
        what: scene.describe(repository.calls[response.call].operation),
        why: scene.why(response.call, response.at),
        order: order.iter().map(|&call| repository.calls[call].operation).collect(),
    }
}

/// The longest order, and the state that it leads to.
struct Scene<'a> {
    history: &'a History,
    repository: &'a Repository,
    state: State,
    order: &'a [usize],
}

impl Scene<'_> {
    fn operation(&self, call: usize) -> (usize, &Operation) {
        let operation = self.repository.calls[call].operation;
        (operation, &self.history.operations()[operation])
    }

    fn describe(&self, operation: usize) -> String {
        let it = &self.history.operations()[operation];
        let from = seconds(it.invoked.at_ns);
        let times = match it.responded {
            Some(responded) => format!("{from} to {} s", seconds(responded.at_ns)),
            None => format!("from {from} s, unanswered"),
        };
        let (client, repository) = (it.client, &it.repository);
        format!("#{operation} (client {client}, {times}) {repository}: {}", text(&it.action))
    }

    fn candidate(&self, call: usize) -> Candidate {
        let (operation, it) = self.operation(call);
        let kind = &self.repository.calls[call].kind;
        let needs = match self.differences(call) {
            _ if kind.is_unknown() && self.state.is_changed_by(kind) => "could take effect".into(),
            _ if kind.is_unknown() => "would change nothing here".into(),
            _ if kind.fits(&self.state) => "could be next".into(),
            differences => differences,
        };
        Candidate { operation, message: format!("#{operation} {}, {needs}", text(&it.action)) }
    }

    /// What a call would have had to see, beside what there is.
    fn differences(&self, call: usize) -> String {
        let kind = &self.repository.calls[call].kind;
        let lacks = lacks(kind, &self.state);
        if lacks.is_empty() {
            return self.unexpectedly_met(call);
        }
        let mut texts: Vec<String> = lacks
            .iter()
            .take(DIFFERENCES_MAX)
            .map(|lack| match *lack {
                Lack::Existence => "needs that the repository exists, and it does not".to_owned(),
                Lack::Absence => "needs that the repository is absent, and it exists".to_owned(),
                Lack::Value { reference, value } => {
                    let name = &self.repository.refs[reference];
                    let found = self.state.refs[reference];
                    format!("needs {name} = {}, and it is {}", self.value(value), self.value(found))
                }
            })
            .collect();
        if lacks.len() > DIFFERENCES_MAX {
            texts.push(format!("and {} more", lacks.len() - DIFFERENCES_MAX));
        }
        texts.join(", ")
    }

    /// A refusal where all is as expected.
    fn unexpectedly_met(&self, call: usize) -> String {
        let Kind::Update { updates, verdicts: Some(verdicts), .. } =
            &self.repository.calls[call].kind
        else {
            return "cannot be next".to_owned();
        };
        let refused = updates.iter().zip(verdicts).find(|(update, verdict)| {
            **verdict == Verdict::Refused && self.state.exists && update.holds(&self.state)
        });
        match refused {
            Some((update, _)) => {
                let name = &self.repository.refs[update.reference];
                let value = self.value(self.state.refs[update.reference]);
                format!("was refused, and {name} = {value} is as it expected")
            }
            None => "has an answer that no state gives".to_owned(),
        }
    }

    fn why(&self, call: usize, response: u64) -> String {
        let mut why = self.differences(call);
        let kind = &self.repository.calls[call].kind;
        // Where there are several, the origin of a value that was read says more than that of one
        // that was not.
        let lacks = lacks(kind, &self.state);
        let is_value = |lack: &&Lack| matches!(lack, Lack::Value { value, .. } if *value != ABSENT);
        if let Some(lack) = lacks.iter().find(is_value).or(lacks.first()) {
            why.push_str("; ");
            why.push_str(&self.origin(*lack, response));
        }
        why
    }

    /// Where what is lacking could have come from, in the whole history.
    fn origin(&self, lack: Lack, response: u64) -> String {
        let sources: Vec<usize> = self
            .history
            .operations()
            .iter()
            .enumerate()
            .filter(|(_, it)| {
                it.repository == self.repository.name && self.writes(&it.action, lack)
            })
            .map(|(operation, _)| operation)
            .collect();
        let thing = match lack {
            Lack::Existence => "the repository".to_owned(),
            Lack::Absence => "its deletion".to_owned(),
            Lack::Value { reference, value } => {
                format!("{} = {}", self.repository.refs[reference], self.value(value))
            }
        };
        let operations = self.history.operations();
        let placed = |operation: &&usize| {
            self.order.iter().any(|&call| self.repository.calls[call].operation == **operation)
        };
        let begun = |operation: &&usize| operations[**operation].invoked.sequence < response;
        if let Some(operation) = sources.iter().rev().find(placed) {
            let is_it = |&call: &usize| self.repository.calls[call].operation == *operation;
            let at = self.order.iter().position(is_it).unwrap_or(0);
            return match self.replaced_by(lack, at) {
                Some(later) => format!("{thing} came by #{operation} and was replaced by #{later}"),
                None => format!("{thing} came by #{operation}"),
            };
        }
        if let Some(operation) = sources.iter().find(begun) {
            let action = &operations[*operation].action;
            return if is_not_done(action) {
                format!("{thing} is only of #{operation}, which was answered as not done")
            } else {
                format!("{thing} would come by #{operation}: {}", text(action))
            };
        }
        match (sources.first(), lack) {
            (Some(operation), _) => format!("{thing} comes by #{operation}, which began later"),
            (None, Lack::Value { value: ABSENT, .. }) => format!("nothing brings about {thing}"),
            (None, _) => format!("nothing in the history ever wrote {thing}"),
        }
    }

    /// Who undid what was brought about at a place of the order.
    fn replaced_by(&self, lack: Lack, at: usize) -> Option<usize> {
        let is_there = |state: &State| match lack {
            Lack::Existence => state.exists,
            Lack::Absence => !state.exists,
            Lack::Value { reference, value } => state.refs[reference] == value,
        };
        let mut state = self.repository.initial();
        let mut replaced_by = None;
        for (place, &call) in self.order.iter().enumerate() {
            let was_there = is_there(&state);
            state.apply(&self.repository.calls[call].kind);
            if place > at && was_there && !is_there(&state) {
                replaced_by = Some(self.repository.calls[call].operation);
            }
        }
        replaced_by
    }

    /// Whether an operation asked for what is lacking, whatever was answered; but not one that was
    /// certainly refused.
    fn writes(&self, action: &Action, lack: Lack) -> bool {
        match (action, lack) {
            (Action::Update { updates, answer, .. }, Lack::Value { reference, value }) => {
                updates.iter().enumerate().any(|(at, update)| {
                    let refused = matches!(answer, Answer::Known(verdicts)
                        if verdicts[at] != Verdict::Applied);
                    let new = update.new.map_or("absent".to_owned(), |value| value.to_string());
                    !refused
                        && update.name == self.repository.refs[reference]
                        && new == self.value(value)
                })
            }
            (Action::Create { answer }, Lack::Existence) => *answer != Answer::Known(false),
            (Action::Delete { answer }, Lack::Absence | Lack::Value { value: ABSENT, .. }) => {
                *answer != Answer::Known(false)
            }
            _ => false,
        }
    }

    fn value(&self, value: u32) -> String {
        match value {
            ABSENT => "absent".to_owned(),
            value => self.repository.values[value as usize - 1].to_string(),
        }
    }
}

fn is_not_done(action: &Action) -> bool {
    match action {
        Action::Update { answer, .. } => *answer == Answer::NotDone,
        Action::Create { answer } | Action::Delete { answer } => *answer == Answer::NotDone,
        Action::Read { .. } => false,
    }
}

fn seconds(at_ns: u64) -> String {
    format!("{}.{:06}", at_ns / 1_000_000_000, at_ns / 1_000 % 1_000_000)
}

/// What was asked and answered, in a few words.
fn text(action: &Action) -> String {
    let known = |answer: &Answer<bool>, yes: &str, no: &str| match answer {
        Answer::Known(true) => yes.to_owned(),
        Answer::Known(false) => no.to_owned(),
        Answer::NotDone => "not done".to_owned(),
        Answer::Unknown => "unknown".to_owned(),
    };
    match action {
        Action::Update { atomic, updates, answer } => {
            let updates: Vec<String> = updates.iter().map(update_text).collect();
            let answer = match answer {
                Answer::Known(verdicts) => verdicts_text(verdicts),
                Answer::NotDone => "not done".to_owned(),
                Answer::Unknown => "unknown".to_owned(),
            };
            let how = if *atomic { "atomic update" } else { "update" };
            format!("{how} {} -> {answer}", updates.join(", "))
        }
        Action::Read { refs: None } => "read -> no repository".to_owned(),
        Action::Read { refs: Some(refs) } => {
            let shown = refs.iter().take(DIFFERENCES_MAX);
            let mut shown: Vec<String> =
                shown.map(|(name, value)| format!("{name} = {value}")).collect();
            match refs.len().saturating_sub(DIFFERENCES_MAX) {
                0 if refs.is_empty() => shown.push("no refs".to_owned()),
                0 => {}
                more => shown.push(format!("and {more} more")),
            }
            format!("read -> {}", shown.join(", "))
        }
        Action::Create { answer } => format!("create -> {}", known(answer, "made", "existed")),
        Action::Delete { answer } => {
            format!("delete -> {}", known(answer, "removed", "was absent"))
        }
    }
}

fn update_text(update: &RefUpdate) -> String {
    let expected = match update.expected {
        Expected::Any => "any".to_owned(),
        Expected::Absent => "absent".to_owned(),
        Expected::Value(value) => value.to_string(),
    };
    let new = update.new.map_or("absent".to_owned(), |value| value.to_string());
    format!("{} {expected} to {new}", update.name)
}

fn verdicts_text(verdicts: &[Verdict]) -> String {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Applied => "applied",
        Verdict::Refused => "refused",
        Verdict::Rejected => "rejected",
    };
    match verdicts.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => word(first).to_owned(),
        _ => verdicts.iter().map(word).collect::<Vec<_>>().join(", "),
    }
}
