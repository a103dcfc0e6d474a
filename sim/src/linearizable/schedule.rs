//! Real-time order: which operations are open when, worked out once before the search.
//!
//! An operation that was answered is open between its invocation and its response. One of unknown
//! outcome is open from its invocation on, as long as anybody is still to be answered who could
//! see what it did; from then on whether it took effect makes no difference.

use std::collections::BTreeMap;

use super::dependence::{Effort, Lack, needs_value, observes, refuses, supplied};
use super::model::{Call, Kind, Repository, State, Update};

/// When each call of a repository may take effect. Calls are named by their place in
/// [`Repository::calls`].
pub(super) struct Schedule {
    /// How much dependence it takes into account.
    pub effort: Effort,
    /// By the order of the responses.
    pub responses: Vec<Response>,
    /// By the order of the invocations, without those that nobody can have seen.
    pub unknown: Vec<Unknown>,
    /// The last response of those who may need that a ref does not have a value.
    refused_until: BTreeMap<(usize, u32), u64>,
    /// Who writes what another may lack.
    suppliers: BTreeMap<Lack, Vec<usize>>,
}

/// A response: by then its call has taken effect.
pub(super) struct Response {
    pub call: usize,
    pub at: u64,
    /// All answered calls that are open then, this one included, the first to be answered first.
    pub open: Vec<usize>,
}

/// A call of unknown outcome that may have been seen.
pub(super) struct Unknown {
    pub call: usize,
    pub invoked: u64,
    /// The last response of anybody who can have seen it, directly or through others of unknown
    /// outcome.
    pub seen_until: u64,
    /// For each of its updates, the last response of those who may need the value that it writes.
    needed_until: Vec<u64>,
    /// The last call before this one that is the same in all but its time. Either could stand for
    /// the other, so only the earlier one is tried while both are there.
    pub twin: Option<usize>,
}

impl Schedule {
    pub fn of(repository: &Repository, effort: Effort) -> Schedule {
        let calls = &repository.calls;
        let seen_until = seen_until(calls, effort);
        Schedule {
            responses: responses(calls),
            unknown: unknown(calls, &seen_until),
            refused_until: refused_until(calls, &seen_until, effort),
            effort,
            suppliers: suppliers(calls),
        }
    }

    /// Whether it makes a difference that a call of unknown outcome takes effect: to somebody whose
    /// response is not behind, and who needs a value that it writes, or needs the one that it
    /// replaces to be gone.
    pub fn is_of_use(&self, unknown: &Unknown, kind: &Kind, state: &State, at: u64) -> bool {
        let Kind::Update { updates, .. } = kind else { return state.is_changed_by(kind) };
        let effective = kind.effective(state);
        updates.iter().zip(&unknown.needed_until).any(|(update, needed_until)| {
            let old = state.refs[update.reference];
            let refused_until = || self.refused_until.get(&(update.reference, old));
            effective.contains(update)
                && old != update.new
                && (*needed_until >= at || refused_until().is_some_and(|until| *until >= at))
        })
    }

    /// All calls that bring about what is lacking. That a deletion makes refs absent is left out.
    pub fn suppliers(&self, lack: Lack) -> &[usize] {
        self.suppliers.get(&lack).map_or(&[], Vec::as_slice)
    }
}

fn responses(calls: &[Call]) -> Vec<Response> {
    let mut responses: Vec<Response> = calls
        .iter()
        .enumerate()
        .filter_map(|(call, it)| Some(Response { call, at: it.responded?, open: Vec::new() }))
        .collect();
    responses.sort_by_key(|response| response.at);
    let mut invoked = 0;
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    for response in &mut responses {
        while let Some(call) = calls.get(invoked).filter(|call| call.invoked < response.at) {
            if let Some(responded) = call.responded {
                open.insert(responded, invoked);
            }
            invoked += 1;
        }
        response.open = open.values().copied().collect();
        open.remove(&response.at);
    }
    responses
}

fn suppliers(calls: &[Call]) -> BTreeMap<Lack, Vec<usize>> {
    let mut suppliers: BTreeMap<Lack, Vec<usize>> = BTreeMap::new();
    // The last first: they are what is asked for.
    for (call, it) in calls.iter().enumerate().rev() {
        for lack in supplied(&it.kind) {
            suppliers.entry(lack).or_default().push(call);
        }
    }
    suppliers
}

/// For each call of unknown outcome that anybody can have seen, the last response of those who can.
fn seen_until(calls: &[Call], effort: Effort) -> BTreeMap<usize, u64> {
    let all: Vec<usize> = (0..calls.len()).filter(|&call| calls[call].kind.is_unknown()).collect();
    let mut seen_until: BTreeMap<usize, u64> = BTreeMap::new();
    for &call in &all {
        let seen = calls.iter().filter_map(|observer| {
            let responded = observer.responded.filter(|at| *at > calls[call].invoked)?;
            observes(&observer.kind, &calls[call].kind, effort).then_some(responded)
        });
        if let Some(last) = seen.max() {
            seen_until.insert(call, last);
        }
    }
    // Who is seen makes visible whom it depends on.
    let mut to_visit: Vec<usize> = seen_until.keys().copied().collect();
    while let Some(observer) = to_visit.pop() {
        let until = seen_until[&observer];
        for &call in all.iter().filter(|&&call| call != observer) {
            if calls[call].invoked < until
                && seen_until.get(&call).is_none_or(|known| *known < until)
                && observes(&calls[observer].kind, &calls[call].kind, effort)
            {
                seen_until.insert(call, until);
                to_visit.push(call);
            }
        }
    }
    seen_until
}

/// Calls that can be observers, each with the time until which it matters what they saw.
fn observers<'a>(
    calls: &'a [Call],
    seen_until: &'a BTreeMap<usize, u64>,
) -> impl Iterator<Item = (&'a Kind, u64)> {
    calls.iter().enumerate().filter_map(|(call, it)| {
        Some((&it.kind, it.responded.or_else(|| seen_until.get(&call).copied())?))
    })
}

fn unknown(calls: &[Call], seen_until: &BTreeMap<usize, u64>) -> Vec<Unknown> {
    let needed_until = |update: &Update| {
        let needing = observers(calls, seen_until)
            .filter(|(kind, _)| needs_value(kind, update.reference, update.new));
        needing.map(|(_, until)| until).max().unwrap_or(0)
    };
    let mut last_of_kind: BTreeMap<&Kind, usize> = BTreeMap::new();
    seen_until
        .iter()
        .map(|(&call, &seen_until)| Unknown {
            call,
            invoked: calls[call].invoked,
            seen_until,
            needed_until: match &calls[call].kind {
                Kind::Update { updates, .. } => updates.iter().map(needed_until).collect(),
                _ => Vec::new(),
            },
            twin: last_of_kind.insert(&calls[call].kind, call),
        })
        .collect()
}

fn refused_until(
    calls: &[Call],
    seen_until: &BTreeMap<usize, u64>,
    effort: Effort,
) -> BTreeMap<(usize, u32), u64> {
    let mut refused_until = BTreeMap::new();
    for (kind, until) in observers(calls, seen_until) {
        for refused in refuses(kind, effort) {
            let last = refused_until.entry(refused).or_insert(until);
            *last = until.max(*last);
        }
    }
    refused_until
}
