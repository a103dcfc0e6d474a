//! I6 Fresh: nobody but the peer is written to, what failed while a connection was found
//! dead is bounded, and so are dials and connections.
//!
//! That a node is used again within `recover_within` of its return is the business of
//! `available` and `replicated`. Here is what a scenario bounds beside that, and what the
//! table of recoveries is made of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::available::failures;
use super::history::History;
use super::{Class, Violation};
use crate::trace::{Event, Outcome, Phase, Record};

/// The window in which dials are counted.
const DIALS_WINDOW_US: u64 = 10_000_000;

/// How a client came to use a node again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The client.
    pub client: String,
    /// The node.
    pub node: String,
    /// When the node could be reached again, or was shaken.
    pub at_us: u64,
    /// When the first call that needed the node, begun after that, had succeeded.
    pub first_success_us: Option<u64>,
    /// Calls that needed the node, were begun after that and before the first success, and
    /// failed.
    pub failed: u64,
}

/// What is not fresh.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let mut violations = impostors(history);
    violations.extend(failed_in_reach(history));
    violations.extend(dials(history));
    violations.extend(connections(history));
    violations
}

fn impostors(history: &History<'_>) -> Vec<Violation> {
    let holds = history.trace.iter().filter_map(|record| match record.event {
        Event::StrangerHolds { objects } if objects > 0 => Some((record, objects)),
        _ => None,
    });
    let violation = |(record, objects): (&Record, u64)| Violation {
        rule: "I6 fresh",
        class: Class::Safety,
        at_us: record.at_us,
        message: format!("{} holds {objects} objects that were meant for a node", record.actor),
    };
    holds.map(violation).collect()
}

fn failed_in_reach(history: &History<'_>) -> Vec<Violation> {
    let Some(most) = history.setting.and_then(|setting| setting.failed_in_reach_max) else {
        return Vec::new();
    };
    let failures = failures(history, 0);
    // A batch is one request, however many of its objects failed.
    let calls: BTreeSet<_> = failures
        .iter()
        .map(|failure| (failure.operation.client, failure.operation.began_us, failure.at_us))
        .collect();
    match failures.iter().max_by_key(|failure| failure.at_us) {
        Some(last) if calls.len() as u64 > most => vec![Violation {
            rule: "expect.failed_in_reach_max",
            class: Class::Liveness,
            at_us: last.at_us,
            message: format!(
                "{} calls failed with a quorum of their replicas in reach, not {most}; the last, \
                 by {}: {}",
                calls.len(),
                last.operation.client,
                last.error
            ),
        }],
        _ => Vec::new(),
    }
}

fn dials(history: &History<'_>) -> Vec<Violation> {
    let Some(most) = history.setting.and_then(|setting| setting.dials_per_10s_max) else {
        return Vec::new();
    };
    let Some((machine, address, dials, at_us)) = busiest(history) else { return Vec::new() };
    if dials <= most {
        return Vec::new();
    }
    vec![Violation {
        rule: "expect.dials_per_10s_max",
        class: Class::Liveness,
        at_us,
        message: format!("{machine} dialled {address} {dials} times within ten seconds"),
    }]
}

/// Who had more connections than it may, and when it had most.
fn connections(history: &History<'_>) -> Vec<Violation> {
    let Some(most) = history.setting.and_then(|setting| setting.connections_max) else {
        return Vec::new();
    };
    let clients: BTreeSet<&str> =
        history.operations.values().map(|operation| operation.client).collect();
    let mut under_load = false;
    let mut worst: Option<(&Record, usize)> = None;
    for record in history.trace {
        match &record.event {
            Event::Phase { phase } => under_load = *phase == Phase::Load,
            Event::Dialled { open, .. }
                if under_load
                    && clients.contains(record.actor.as_str())
                    && *open > worst.map_or(most, |(_, worst)| worst) =>
            {
                worst = Some((record, *open));
            }
            _ => {}
        }
    }
    let violation = |(record, open): (&Record, usize)| Violation {
        rule: "expect.connections_max",
        class: Class::Liveness,
        at_us: record.at_us,
        message: format!("{} has {open} connections open, not {most}", record.actor),
    };
    worst.map(violation).into_iter().collect()
}

/// The most dials of one machine to one address within the window, and when; under load
/// only, for a client that is looking for its cluster asks everybody.
fn busiest<'a>(history: &History<'a>) -> Option<(&'a str, &'a str, u64, u64)> {
    let mut under_load = false;
    let mut recent: BTreeMap<(&str, &str), VecDeque<u64>> = BTreeMap::new();
    let mut busiest: Option<(&str, &str, u64, u64)> = None;
    for record in history.trace {
        match &record.event {
            Event::Phase { phase } => under_load = *phase == Phase::Load,
            Event::Dialled { address, .. } if under_load => {
                let dials = recent.entry((&record.actor, address)).or_default();
                dials.push_back(record.at_us);
                while dials.front().is_some_and(|at| at + DIALS_WINDOW_US <= record.at_us) {
                    dials.pop_front();
                }
                let count = dials.len() as u64;
                if busiest.is_none_or(|(_, _, most, _)| count > most) {
                    busiest = Some((&record.actor, address, count, record.at_us));
                }
            }
            _ => {}
        }
    }
    busiest
}

/// How each client came to use each node again, for every time that it could.
pub fn recoveries(history: &History<'_>) -> Vec<Recovery> {
    let Some(setting) = history.setting else { return Vec::new() };
    let clients: BTreeSet<&str> =
        history.operations.values().map(|operation| operation.client).collect();
    let mut found = Vec::new();
    for client in clients {
        for node in &setting.nodes {
            for (from_us, to_us) in history.returns(node, client) {
                found.push(recovery(history, client, node, (from_us, to_us)));
            }
        }
    }
    found
}

fn recovery(
    history: &History<'_>,
    client: &str,
    node: &str,
    (from_us, to_us): (u64, u64),
) -> Recovery {
    // When a call that needed the node ended, when it began, and whether well.
    let mut calls: Vec<(u64, bool)> = Vec::new();
    for (operation, object, outcome, ended_us) in history.put_answers().chain(history.get_answers())
    {
        let within = operation.began_us >= from_us && ended_us < to_us;
        if operation.client != client || !within || !object.replicas.iter().any(|name| name == node)
        {
            continue;
        }
        match outcome {
            Outcome::Acked { replicas } if replicas.iter().any(|name| name == node) => {
                calls.push((ended_us, true));
            }
            Outcome::Found { .. } if object.replicas.len() == 1 => calls.push((ended_us, true)),
            Outcome::PutFailed { .. } | Outcome::Unavailable { .. } => {
                calls.push((ended_us, false));
            }
            _ => {}
        }
    }
    calls.sort_unstable();
    let first_success_us = calls.iter().find(|(_, well)| *well).map(|(ended_us, _)| *ended_us);
    let before = |ended_us: u64| first_success_us.is_none_or(|first| ended_us <= first);
    let failed = calls.iter().filter(|(ended_us, well)| !well && before(*ended_us)).count() as u64;
    let (client, node) = (client.to_owned(), node.to_owned());
    Recovery { client, node, at_us: from_us, first_success_us, failed }
}
