//! I4 Truthful: the counters add up at every sample and agree with what the workload saw;
//! every replica named as having stored an object has it; every replica write that failed
//! is a hint, in a dirty range, or counted as lost; and every hint is held or settled.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::{Class, Violation};
use crate::trace::{Event, HintSample, Outcome, WriterSample};

/// Counters that lie and acknowledgements that were not true.
pub(super) fn check(history: &History<'_>) -> Vec<Violation> {
    let mut violations = counters(history);
    violations.extend(records(history));
    violations.extend(acknowledgements(history));
    violations
}

fn violation(at_us: u64, message: String) -> Violation {
    Violation { rule: "I4 truthful", class: Class::Safety, at_us, message }
}

/// What a client's workload had offered and been answered by a moment.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    offered: u64,
    acked: u64,
    failed: u64,
}

/// Of its present process: one that was started again counts anew.
fn seen(history: &History<'_>, client: &str, until_us: u64) -> Seen {
    let mut seen = Seen { offered: 0, acked: 0, failed: 0 };
    let stops = history
        .trace
        .iter()
        .filter(|record| record.actor == client && matches!(record.event, Event::Stopped { .. }));
    let stops = stops.map(|record| record.at_us).filter(|at_us| *at_us <= until_us);
    let since_us = stops.max().unwrap_or(0);
    let puts = history.operations.values().filter(|operation| {
        let by_it = operation.call.is_put() && operation.client == client;
        by_it && (since_us..=until_us).contains(&operation.began_us)
    });
    for operation in puts {
        seen.offered += operation.objects.len() as u64;
        if operation.ended_us.is_none_or(|ended_us| ended_us > until_us) {
            continue;
        }
        for outcome in operation.outcomes {
            match outcome {
                Outcome::Acked { .. } => seen.acked += 1,
                _ => seen.failed += 1,
            }
        }
    }
    seen
}

fn counters(history: &History<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for record in history.trace {
        let Event::Writer(sample) = &record.event else { continue };
        let client = &record.actor;
        let WriterSample { attempted, succeeded, failed, in_flight, .. } = *sample;
        if attempted != succeeded + failed + in_flight {
            let message = format!(
                "{client} counts {attempted} puts attempted, but {succeeded} succeeded, \
                 {failed} failed and {in_flight} in flight"
            );
            violations.push(violation(record.at_us, message));
        }
        if !sample.drained {
            continue;
        }
        let seen = seen(history, client, record.at_us);
        let told = Seen { offered: attempted, acked: succeeded, failed };
        if seen != told || in_flight != 0 {
            let message = format!(
                "{client} counts {told:?} and {in_flight} in flight when nothing is under way, \
                 and its workload saw {seen:?}"
            );
            violations.push(violation(record.at_us, message));
        }
        let WriterSample { replica_failures, missed_recorded, missed_lost, .. } = *sample;
        let (again, ranged) = (sample.missed_already_recorded, sample.missed_moved_to_ranges);
        if replica_failures != missed_recorded + again + ranged + missed_lost {
            let message = format!(
                "{client} counts {replica_failures} failed replica writes, but \
                 {missed_recorded} recorded, {again} recorded before, {ranged} in ranges and \
                 {missed_lost} lost"
            );
            violations.push(violation(record.at_us, message));
        }
    }
    violations
}

/// What the clients say is recorded must be recorded on the nodes, after the final power
/// loss too: a record survives whatever one disk survives. It goes with the disk of the one node
/// that keeps it, so what was recorded by the time when a disk was replaced may be gone; what it
/// was about has to come to its replicas all the same. And each node must say what became of
/// what it recorded: recorded = held + delivered + gone + replaced + in dirty ranges.
fn records(history: &History<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut told: u64 = 0;
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let mut asked_at_us = None;
    // By client: what it had been told at its first look after the last disk was replaced.
    let replaced_us = history.replaced.values().max();
    let mut excused: BTreeMap<&str, u64> = BTreeMap::new();
    for record in history.trace {
        match &record.event {
            Event::Writer(sample) => {
                let recorded = sample.missed_recorded + sample.missed_moved_to_ranges;
                if replaced_us.is_some_and(|replaced_us| *replaced_us <= record.at_us) {
                    excused.entry(&record.actor).or_insert(recorded);
                }
                if sample.drained {
                    told += recorded;
                }
            }
            Event::Hints(sample) => {
                asked_at_us = Some(record.at_us);
                // Asked more than once, its last word counts.
                found.insert(&record.actor, sample.recorded);
                violations.extend(unaccounted(&record.actor, record.at_us, sample));
            }
            _ => {}
        }
    }
    let found: u64 = found.values().sum();
    let excused: u64 = excused.values().sum();
    if let Some(at_us) = asked_at_us
        && found + excused < told
    {
        let message =
            format!("clients count {told} missed writes as recorded, the nodes know {found}");
        violations.push(violation(at_us, message));
    }
    violations
}

/// A node that says less, or more, of its hints than it recorded.
fn unaccounted(node: &str, at_us: u64, sample: &HintSample) -> Option<Violation> {
    let HintSample { pending, recorded, delivered, deleted, replaced, moved_to_ranges, .. } =
        *sample;
    (recorded != pending + delivered + deleted + replaced + moved_to_ranges).then(|| {
        let message = format!(
            "{node} recorded {recorded} hints, but holds {pending}, delivered {delivered}, and \
             settled {deleted} as deleted, {replaced} as replaced and {moved_to_ranges} as in ranges"
        );
        violation(at_us, message)
    })
}

fn acknowledgements(history: &History<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (operation, object, outcome, at_us) in history.put_answers() {
        let (Outcome::Acked { replicas } | Outcome::PutFailed { replicas, .. }) = outcome else {
            continue;
        };
        let client = operation.client;
        let distinct: BTreeSet<&String> = replicas.iter().collect();
        let moved = history.layout_spreads(operation.began_us, at_us);
        let impostors = !moved && distinct.iter().any(|node| !object.replicas.contains(node));
        let acked = matches!(outcome, Outcome::Acked { .. });
        if impostors || (acked && !moved && distinct.len() < object.write_quorum) {
            let message = format!(
                "{client} was told that {} is stored on {replicas:?}; its replicas are {:?} \
                 and W = {}",
                object.id, object.replicas, object.write_quorum
            );
            violations.push(violation(at_us, message));
        }
        let Some((holders, _)) = history.inspected.get(object.id.as_str()) else { continue };
        if history.is_condemned(&object.id, at_us) {
            continue;
        }
        // A replica may have stored it as soon as the call began, long before the call returned.
        let had_us = operation.began_us;
        // What fewer than W have stored is promised to nobody, and goes with a disk.
        let sound = |node: &&&String| {
            let kept = acked || !history.was_replaced(node, had_us);
            kept && !history.may_lack(node, &object.id, had_us)
        };
        let gone = distinct.iter().filter(|node| !holders.contains(node));
        let missing: Vec<_> = gone.filter(sound).collect();
        if !missing.is_empty() {
            let message = format!(
                "{client} was told that {} is stored on {replicas:?}, and after the power \
                 loss {missing:?} had it no more",
                object.id
            );
            violations.push(violation(at_us, message));
        }
    }
    violations
}
