//! How far scrub is on each node, for people and for programs.

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_proto::v1::{LastScrub, ScrubProgress, ScrubStatus, StatusResponse};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use crate::abridge::abridged;
use crate::cli::nodes::{self, id, left, percent, time};

fn done_permille(progress: &ScrubProgress) -> u32 {
    let (read, all) = (u128::from(progress.bytes), u128::from(progress.bytes_total.max(1)));
    u32::try_from((read * 1000 / all).min(1000)).unwrap_or(1000)
}

/// For programs.
pub(super) fn as_json(answers: &[Answered<StatusResponse>]) -> Value {
    let nodes = nodes::each_as_json(answers, |status| {
        let scrub = status.scrub.clone().unwrap_or_default();
        let present = scrub.present.map(|progress| {
            json!({
                "records": progress.records,
                "bytes": progress.bytes,
                "bytes_total": progress.bytes_total,
                "done_permille": done_permille(&progress),
                "damaged": progress.damaged,
                "began_ago_ms": progress.began_ago_ms,
                "bytes_per_second": progress.bytes_per_second,
                "eta_ms": progress.eta_ms,
            })
        });
        let last = scrub.last.map(|last| {
            json!({
                "records": last.records,
                "bytes": last.bytes,
                "damaged": last.damaged,
                "ended_ago_ms": last.ended_ago_ms,
                "took_ms": last.took_ms,
            })
        });
        let damaged = scrub.damaged.iter();
        let damaged =
            damaged.map(|damaged| json!({ "object": id(&damaged.id), "reason": damaged.reason }));
        json!({
            "node": status.node_id,
            "reachable": true,
            "paused": scrub.paused,
            "running": scrub.running,
            "bytes_per_second_max": scrub.bytes_per_second,
            "interval_ms": scrub.interval_ms,
            "present": present,
            "last": last,
            "next_in_ms": scrub.next_in_ms,
            "last_error": scrub.last_error,
            "damaged_now": status.store.as_ref().map(|store| store.damaged_objects),
            "damaged": damaged.collect::<Vec<_>>(),
        })
    });
    json!({ "partial": nodes::is_partial(answers), "nodes": nodes })
}

/// For people.
pub(super) fn as_text(answers: &[Answered<StatusResponse>]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    nodes::write_each(&mut out, answers, |out, node, status| match &status.scrub {
        Some(scrub) => {
            let damaged = status.store.as_ref().map(|store| store.damaged_objects);
            describe(out, node, scrub, damaged.unwrap_or_default())
        }
        None => writeln!(out, "{node:<12} says nothing of scrub: its program is an earlier one"),
    })?;
    nodes::write_partial(&mut out, answers)?;
    Ok(out)
}

fn describe(out: &mut String, node: &str, scrub: &ScrubStatus, damaged_now: u64) -> fmt::Result {
    let state = match (scrub.paused, scrub.running, &scrub.present) {
        (true, ..) => "paused",
        (_, true, _) => "scrubbing",
        (.., Some(_)) => "interrupted",
        (.., None) => "idle",
    };
    write!(out, "{node:<12} {state}")?;
    if let Some(progress) = &scrub.present {
        write_progress(out, progress)?;
    }
    match scrub.bytes_per_second {
        0 => writeln!(out, "; as fast as the disk allows")?,
        bytes => writeln!(out, "; {} a second at most", HumanBytes(bytes))?,
    }
    if let Some(progress) = &scrub.present {
        let began = progress.began_ago_ms.map_or_else(
            || "a time ahead of its clock".to_owned(),
            |ms| format!("{} ago", time(ms)),
        );
        let (records, damaged) = (HumanCount(progress.records), damaged(progress.damaged));
        writeln!(out, "  since {began}: {records} records, {damaged}")?;
    }
    let lines = scrub.damaged.iter();
    let lines = lines.map(|damaged| format!("  damaged: {}: {}", id(&damaged.id), damaged.reason));
    for line in abridged(lines) {
        writeln!(out, "{line}")?;
    }
    if !scrub.last_error.is_empty() {
        writeln!(out, "  stopped by an error: {}", scrub.last_error)?;
    }
    match &scrub.last {
        Some(last) => write_last(out, last)?,
        None => writeln!(out, "  none has come to its end yet")?,
    }
    let found = scrub.last.iter().map(|last| last.damaged);
    let found: u64 = found.chain(scrub.present.iter().map(|present| present.damaged)).sum();
    match (found, damaged_now) {
        (0, 0) => {}
        (_, 0) => writeln!(out, "  nothing of it is damaged any more")?,
        (_, now) => writeln!(out, "  {} damaged now", HumanCount(now))?,
    }
    match (scrub.next_in_ms, scrub.interval_ms) {
        (Some(0), _) => writeln!(out, "  goes on, or begins, within a minute"),
        (Some(ms), _) => writeln!(out, "  next in {}", time(ms)),
        (None, _) if scrub.paused => writeln!(out, "  nothing is read until `scrub start`"),
        (None, None) => {
            writeln!(out, "  none begins by itself: store.scrub_interval_days is 0")
        }
        (None, Some(_)) => Ok(()),
    }
}

fn write_progress(out: &mut String, progress: &ScrubProgress) -> fmt::Result {
    let share = percent(done_permille(progress));
    write!(
        out,
        "; {} of {} read, {share}",
        HumanBytes(progress.bytes),
        HumanBytes(progress.bytes_total)
    )?;
    if let Some(bytes) = progress.bytes_per_second {
        write!(out, ", {} a second", HumanBytes(bytes))?;
    }
    if let Some(ms) = progress.eta_ms {
        write!(out, ", {}", left(ms))?;
    }
    Ok(())
}

fn write_last(out: &mut String, last: &LastScrub) -> fmt::Result {
    let ended = last.ended_ago_ms.map_or_else(
        || "ended at a time ahead of its clock".to_owned(),
        |ms| format!("ended {} ago", time(ms)),
    );
    writeln!(
        out,
        "  the last {ended}, after {}: {} records, {}, {}",
        time(last.took_ms),
        HumanCount(last.records),
        HumanBytes(last.bytes),
        damaged(last.damaged)
    )
}

fn damaged(objects: u64) -> String {
    match objects {
        0 => "none damaged".to_owned(),
        objects => format!("{} found damaged", HumanCount(objects)),
    }
}
