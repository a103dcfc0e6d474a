//! Histories as text, an operation a line: `3-8 update main:1>2 applied`.
//!
//! - `3-8`: invoked at 3, answered at 8; `3-` was never answered.
//! - `create made|existed`, `delete removed|absent`, `read main=1 dev=2`, `read none`.
//! - `update main:1>2 dev:->7 applied refused`, `atomic …`: expected value and new value of each
//!   ref, `*` for any and `-` for absent; then a verdict for each.
//! - `unknown` and `not-done` instead of an answer.

use crate::linearizable::{
    Action, Answer, Expected, History, Moment, Operation, RefUpdate, Verdict,
};

/// The history of a script, all of it on repository `r`, each operation by a client of its own.
pub(super) fn history(script: &str) -> History {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    let operations = lines.enumerate().map(|(client, line)| operation(client as u64, line));
    History::new(operations.collect()).expect("a script is a history")
}

fn operation(client: u64, line: &str) -> Operation {
    let mut words = line.split_whitespace();
    let interval = words.next().expect("an interval");
    let verb = words.next().expect("a verb");
    let (from, to) = interval.split_once('-').expect("FROM-TO");
    let moment = |text: &str| {
        let sequence = text.parse().expect("a sequence number");
        Moment { sequence, at_ns: sequence * 1_000_000 }
    };
    let words: Vec<&str> = words.collect();
    let responded = (!to.is_empty()).then(|| moment(to));
    let known = |yes: &str| match words[..] {
        _ if responded.is_none() => Answer::Unknown,
        ["unknown"] => Answer::Unknown,
        ["not-done"] => Answer::NotDone,
        [word] => Answer::Known(word == yes),
        _ => panic!("an answer in {line}"),
    };
    let action = match verb {
        "create" => Action::Create { answer: known("made") },
        "delete" => Action::Delete { answer: known("removed") },
        "read" if words == ["none"] => Action::Read { refs: None },
        "read" => {
            let refs = words.iter().map(|word| word.split_once('=').expect("REF=VALUE"));
            let refs = refs.map(|(name, value)| (name.to_owned(), value.parse().expect("a value")));
            Action::Read { refs: Some(refs.collect()) }
        }
        "update" | "atomic" => {
            let (updates, answers): (Vec<&str>, Vec<&str>) =
                words.iter().copied().partition(|word| word.contains(':'));
            let answer = match answers[..] {
                _ if responded.is_none() => Answer::Unknown,
                ["unknown"] => Answer::Unknown,
                ["not-done"] => Answer::NotDone,
                _ => Answer::Known(answers.into_iter().map(verdict).collect()),
            };
            let updates = updates.into_iter().map(update).collect();
            Action::Update { atomic: verb == "atomic", updates, answer }
        }
        _ => panic!("{verb} in {line}"),
    };
    Operation { client, repository: "r".to_owned(), invoked: moment(from), responded, action }
}

fn verdict(word: &str) -> Verdict {
    match word {
        "applied" => Verdict::Applied,
        "refused" => Verdict::Refused,
        "rejected" => Verdict::Rejected,
        _ => panic!("a verdict and not {word}"),
    }
}

fn update(word: &str) -> RefUpdate {
    let (name, values) = word.split_once(':').expect("REF:EXPECTED>NEW");
    let (expected, new) = values.split_once('>').expect("EXPECTED>NEW");
    RefUpdate {
        name: name.to_owned(),
        expected: match expected {
            "*" => Expected::Any,
            "-" => Expected::Absent,
            value => Expected::Value(value.parse().expect("a value")),
        },
        new: (new != "-").then(|| new.parse().expect("a value")),
    }
}
