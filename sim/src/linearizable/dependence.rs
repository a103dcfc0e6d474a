//! Dependence between operations: which of them commute, and which can see the effect of another.
//!
//! Partial-order reduction rests on the first question and the treatment of unknown operations on
//! the second. Both may say yes too often, which costs time, and never no where it is yes, which
//! would make the search miss orders.

use super::history::Verdict;
use super::model::{ABSENT, Kind, State, Update};

/// Whether their order may matter. Two operations that touch no ref in common give the same answers
/// and the same state in either order; reads, creations and deletions touch all refs.
pub(super) fn conflict(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (Kind::Update { updates: one, .. }, Kind::Update { updates: other, .. }) => {
            one.iter().any(|update| other.iter().any(|other| other.reference == update.reference))
        }
        _ => true,
    }
}

/// Whether an update can replace one ref of an update of several, while the others wait to be seen.
/// So the latter may have to come first, though the former does not observe it.
pub(super) fn replaces_part(later: &Kind, earlier: &Kind) -> bool {
    let (Kind::Update { updates: later, verdicts, .. }, Kind::Update { updates: earlier, .. }) =
        (later, earlier)
    else {
        return false;
    };
    let is_written = |reference: usize| {
        later.iter().enumerate().any(|(at, update)| {
            let applied = verdicts.as_ref().is_none_or(|all| all[at] == Verdict::Applied);
            applied && update.reference == reference
        })
    };
    earlier.len() > 1 && earlier.iter().any(|update| is_written(update.reference))
}

/// How much dependence is taken into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// All but what seldom matters: that a command of unknown outcome takes effect only to keep
    /// part of another from taking effect, or before part of its own effect is replaced. What is
    /// found so is right; that nothing is found proves nothing.
    Quick,
    /// All.
    Thorough,
}

/// Whether the observer's answer or effect can need that the writer came before it. What the
/// observer merely replaces it does not observe.
pub(super) fn observes(observer: &Kind, writer: &Kind, effort: Effort) -> bool {
    match writer {
        Kind::Update { updates, .. } => {
            updates.iter().any(|write| observes_value(observer, write, effort))
        }
        Kind::Create { .. } => needs_repository(observer),
        Kind::Delete { .. } => needs_absence(observer),
        Kind::Read { .. } => false,
    }
}

/// Whether the observer may need that a ref has the value that was written, or that it no longer
/// has another.
fn observes_value(observer: &Kind, write: &Update, effort: Effort) -> bool {
    needs_value(observer, write.reference, write.new)
        || refuses(observer, effort)
            .any(|(reference, value)| reference == write.reference && value != write.new)
}

/// Whether the observer may need that a ref has a value.
pub(super) fn needs_value(observer: &Kind, reference: usize, value: u32) -> bool {
    match observer {
        Kind::Read { refs } => refs.as_ref().is_some_and(|refs| refs[reference] == value),
        Kind::Update { updates, verdicts, .. } => updates.iter().enumerate().any(|(at, update)| {
            let applied = verdicts.as_ref().is_none_or(|all| all[at] == Verdict::Applied);
            applied && update.reference == reference && update.expected == Some(value)
        }),
        Kind::Create { .. } | Kind::Delete { .. } => false,
    }
}

/// Refs with values that the observer may need them not to have, so that an update is refused. Where
/// the outcome is unknown that can be so of some of several refs.
pub(super) fn refuses(observer: &Kind, effort: Effort) -> impl Iterator<Item = (usize, u32)> {
    let (updates, verdicts, in_part) = match observer {
        Kind::Update { atomic, updates, verdicts } => (
            updates.as_slice(),
            verdicts.as_ref(),
            effort == Effort::Thorough && !atomic && updates.len() > 1,
        ),
        _ => (&[][..], None, false),
    };
    updates.iter().enumerate().filter_map(move |(at, update)| {
        let refused = verdicts.map_or(in_part, |all| all[at] == Verdict::Refused);
        Some((update.reference, update.expected.filter(|_| refused)?))
    })
}

fn needs_repository(observer: &Kind) -> bool {
    match observer {
        Kind::Read { refs } => refs.is_some(),
        Kind::Update { verdicts, .. } => {
            verdicts.as_ref().is_none_or(|verdicts| verdicts.contains(&Verdict::Applied))
        }
        Kind::Create { made } => *made == Some(false),
        Kind::Delete { removed } => *removed != Some(false),
    }
}

/// Refs that are absent after a deletion are those of a repository made after it, and it is the
/// creation that needs the deletion.
fn needs_absence(observer: &Kind) -> bool {
    match observer {
        Kind::Read { refs } => refs.is_none(),
        Kind::Update { verdicts, .. } => {
            verdicts.as_ref().is_some_and(|verdicts| verdicts.contains(&Verdict::Refused))
        }
        Kind::Create { made } => *made != Some(false),
        Kind::Delete { removed } => *removed == Some(false),
    }
}

/// Something that must become so before an operation can have been answered as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// The ref is to have this value.
    Value { reference: usize, value: u32 },
    /// The repository is to exist.
    Existence,
    /// The repository is not to exist.
    Absence,
}

/// What an operation's answer needs and a state does not have. A refused update needs that a ref is
/// *not* something, which is not told here.
pub(super) fn lacks(kind: &Kind, state: &State) -> Vec<Lack> {
    let mut lacks = Vec::new();
    match kind {
        Kind::Read { refs: None } | Kind::Create { made: Some(true) } if state.exists => {
            lacks.push(Lack::Absence);
        }
        Kind::Delete { removed: Some(false) } if state.exists => lacks.push(Lack::Absence),
        _ if needs_repository(kind) && !state.exists => lacks.push(Lack::Existence),
        _ => {}
    }
    match kind {
        Kind::Read { refs: Some(refs) } => {
            let pairs = refs.iter().zip(&state.refs).enumerate();
            let wrong = pairs.filter(|(_, (wanted, found))| wanted != found);
            lacks.extend(wrong.map(|(reference, (&value, _))| Lack::Value { reference, value }));
        }
        Kind::Update { updates, verdicts: Some(verdicts), .. } => {
            for (update, verdict) in updates.iter().zip(verdicts) {
                let Some(value) = update.expected else { continue };
                if *verdict == Verdict::Applied && state.refs[update.reference] != value {
                    lacks.push(Lack::Value { reference: update.reference, value });
                }
            }
        }
        _ => {}
    }
    lacks
}

/// What an operation can bring about that another may lack. A deletion brings about
/// [`Lack::Absence`], and so the absence of every ref.
pub(super) fn supplied(kind: &Kind) -> Vec<Lack> {
    match kind {
        Kind::Update { updates, verdicts, .. } => {
            let applied = updates.iter().enumerate().filter(|(at, _)| {
                verdicts.as_ref().is_none_or(|verdicts| verdicts[*at] == Verdict::Applied)
            });
            applied
                .map(|(_, update)| Lack::Value { reference: update.reference, value: update.new })
                .collect()
        }
        Kind::Create { made } if *made != Some(false) => vec![Lack::Existence],
        Kind::Delete { removed } if *removed != Some(false) => vec![Lack::Absence],
        Kind::Read { .. } | Kind::Create { .. } | Kind::Delete { .. } => Vec::new(),
    }
}

/// Whether an operation can bring about what another lacks.
pub(super) fn supplies(kind: &Kind, lack: Lack) -> bool {
    match (kind, lack) {
        (Kind::Delete { .. }, Lack::Value { value: ABSENT, .. }) => {
            supplied(kind).contains(&Lack::Absence)
        }
        _ => supplied(kind).contains(&lack),
    }
}
