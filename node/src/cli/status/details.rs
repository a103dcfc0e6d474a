//! What `status --details` adds: what nodes keep for others, what they compare, which writes
//! replicas missed, what each node runs, has and did, and which features are off.

use std::fmt::{self, Write as _};

use gitstratum_cluster::wire::metrics::metrics_of;
use indicatif::{HumanBytes, HumanCount};

use super::{Answer, reconcile};
use crate::cli::nodes::{self, id};
use crate::reports::features_off;

/// Dirty ranges of one node that are named.
const DIRTY_RANGES_SHOWN: usize = 8;

/// All of it.
pub(super) fn list(out: &mut String, answers: &[Answer]) -> fmt::Result {
    nodes(out, answers)?;
    let said = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    features_off(said).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    hints(out, answers)?;
    reconcile::list(out, answers)?;
    missed(out, answers)
}

/// Each node with its address, its program, its store's files and its requests.
fn nodes(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Ok(status) = answer else { continue };
        let metrics = metrics_of(status);
        let count = |name| HumanCount(metrics.count(name));
        let bytes = |name| HumanBytes(metrics.count(name));
        writeln!(
            out,
            "{} at {}: version {}, layout {}; {} segments, {} on disk, {} garbage; {} requests, \
             {} failed, {} refused",
            member.node_id,
            member.address,
            status.software_version,
            status.layout_version,
            count("gitstratum_store_segments"),
            bytes("gitstratum_store_disk_bytes"),
            bytes("gitstratum_store_garbage_bytes"),
            count("gitstratum_server_requests_attempted_total"),
            count("gitstratum_server_requests_failed_total"),
            count("gitstratum_server_requests_refused_total")
        )?;
    }
    Ok(())
}

/// What nodes keep for others, and what became of it.
fn hints(out: &mut String, answers: &[Answer]) -> fmt::Result {
    for (member, answer) in answers {
        let Ok(status) = answer else { continue };
        let Some(hints) = status.hints.as_ref() else { continue };
        let (node, metrics) = (&member.node_id, metrics_of(status));
        let count = |name| metrics.count(name);
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
        let recorded = count("gitstratum_hints_recorded_total");
        if recorded > 0 {
            writeln!(
                out,
                "{node} recorded {recorded} hints: {} kept ({} bytes), {} delivered, {} deleted, \
                 {} replaced, {} in dirty ranges",
                count("gitstratum_hints_pending"),
                count("gitstratum_hints_bytes"),
                count("gitstratum_hints_delivered_total"),
                count("gitstratum_hints_deleted_total"),
                count("gitstratum_hints_replaced_total"),
                count("gitstratum_hints_moved_to_ranges_total"),
            )?;
        }
        let dirty_ranges = count("gitstratum_hints_dirty_ranges");
        if dirty_ranges > 0 {
            let named = hints.dirty.iter().take(DIRTY_RANGES_SHOWN);
            let named: Vec<_> = named
                .map(|range| format!("{}:{}*", range.node_id, hex::encode(&range.prefix)))
                .collect();
            let more = dirty_ranges.saturating_sub(named.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "{node} knows dirty ranges: {}{more}", named.join(" "))?;
        }
    }
    Ok(())
}

fn missed(out: &mut String, answers: &[Answer]) -> fmt::Result {
    let (mut count, mut listed) = (0, 0);
    for status in answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()) {
        count += metrics_of(status).count("gitstratum_hints_pending");
        for missed in status.hints.iter().flat_map(|hints| &hints.oldest) {
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
