//! What `status --details` adds: what nodes keep for others, what they compare, which writes
//! replicas missed, and what each node has and did.

use std::fmt::{self, Write as _};

use gitstratum_proto::v1::HintStatus;
use indicatif::{HumanBytes, HumanCount};

use super::{Answer, reconcile};
use crate::cli::nodes::{self, id};

/// Dirty ranges of one node that are named.
const DIRTY_RANGES_SHOWN: usize = 8;

/// All of it.
pub(super) fn list(out: &mut String, answers: &[Answer]) -> fmt::Result {
    nodes(out, answers)?;
    hints(out, answers)?;
    reconcile::list(out, answers)?;
    missed(out, answers)
}

/// Each node with its address, its program, its store's files and its requests.
fn nodes(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Ok(status) = answer else { continue };
        let store = status.store.clone().unwrap_or_default();
        let server = status.server.unwrap_or_default();
        writeln!(
            out,
            "{} at {}: version {}, layout {}; {} segments, {} on disk, {} garbage; {} requests, \
             {} failed, {} refused",
            member.node_id,
            member.address,
            status.software_version,
            status.layout_version,
            HumanCount(store.segments),
            HumanBytes(store.disk_bytes),
            HumanBytes(store.garbage_bytes),
            HumanCount(server.requests_attempted),
            HumanCount(server.requests_failed),
            HumanCount(server.requests_refused)
        )?;
    }
    Ok(())
}

/// What nodes keep for others, and what became of it.
fn hints(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Some(hints) = answer.as_ref().ok().and_then(|status| status.hints.as_ref()) else {
            continue;
        };
        let node = &member.node_id;
        for target in &hints.targets {
            let (pending, age_s) = (target.pending, target.oldest_age_ms / 1000);
            writeln!(
                out,
                "{node} keeps {pending} hints for {}, the oldest for {age_s} s{}",
                target.node_id,
                nodes::waits(target)
            )?;
        }
        let more = hints.targets_total.saturating_sub(hints.targets.len() as u64);
        if more > 0 {
            writeln!(out, "{node} keeps hints for {more} more nodes, none older")?;
        }
        if hints.recorded > 0 {
            let HintStatus { recorded, delivered, deleted, replaced, moved_to_ranges, .. } = hints;
            let (pending, bytes) = (hints.pending, hints.bytes);
            writeln!(
                out,
                "{node} recorded {recorded} hints: {pending} kept ({bytes} bytes), {delivered} \
                 delivered, {deleted} deleted, {replaced} replaced, {moved_to_ranges} in dirty ranges"
            )?;
        }
        if hints.dirty_ranges > 0 {
            let named = hints.dirty.iter().take(DIRTY_RANGES_SHOWN);
            let named: Vec<_> = named
                .map(|range| format!("{}:{}*", range.node_id, hex::encode(&range.prefix)))
                .collect();
            let more = hints.dirty_ranges - named.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "{node} knows dirty ranges: {}{more}", named.join(" "))?;
        }
    }
    Ok(())
}

fn missed(out: &mut String, answers: &[Answer]) -> fmt::Result {
    let records = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()?.missed.as_ref());
    let (mut count, mut listed) = (0, 0);
    for record in records {
        count += record.count;
        for missed in &record.first {
            if listed == 0 {
                writeln!(out, "replica writes that were missed:")?;
            }
            listed += 1;
            writeln!(out, "  {} lacks {}: {}", missed.node_id, id(&missed.id), missed.reason)?;
        }
    }
    if count > listed {
        writeln!(out, "  and {} more", count - listed)?;
    }
    Ok(())
}
