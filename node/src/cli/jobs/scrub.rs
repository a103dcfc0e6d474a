//! How far scrub is on each node, for people and for programs.

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::job::JobKind;
use gitstratum_proto::v1::{JobState, JobStatus, LastScrub, ScrubStatus, StatusResponse};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::{Common, of, write_nodes};
use crate::abridge::abridged;
use crate::cli::nodes::{self, AllNodes, id, time};

/// What one node says.
#[derive(Serialize)]
struct Node<'s> {
    node: &'s str,
    reachable: bool,
    job: Option<Common<'s>>,
    interval_ms: Option<u64>,
    present: Option<Present>,
    last: Option<Last>,
    damaged_now: u64,
    damaged: Vec<Damaged<'s>>,
}

/// The scrub that is under way, or was interrupted.
#[derive(Serialize)]
struct Present {
    records: u64,
    bytes: u64,
    bytes_total: u64,
    damaged: u64,
    began_ago_ms: Option<u64>,
}

/// The last one that came to its end.
#[derive(Serialize)]
struct Last {
    records: u64,
    bytes: u64,
    damaged: u64,
    ended_ago_ms: Option<u64>,
    took_ms: u64,
}

#[derive(Serialize)]
struct Damaged<'s> {
    object: String,
    reason: &'s str,
}

/// For programs.
pub(super) fn as_json(answers: &[Answered<StatusResponse>]) -> impl Serialize {
    AllNodes::of(answers, |_, status| node(status))
}

fn node(status: &StatusResponse) -> Node<'_> {
    let scrub = status.scrub.as_ref();
    let present = scrub.and_then(|scrub| scrub.present).map(|progress| Present {
        records: progress.records,
        bytes: progress.bytes,
        bytes_total: progress.bytes_total,
        damaged: progress.damaged,
        began_ago_ms: progress.began_ago_ms,
    });
    let last = scrub.and_then(|scrub| scrub.last).map(|last| Last {
        records: last.records,
        bytes: last.bytes,
        damaged: last.damaged,
        ended_ago_ms: last.ended_ago_ms,
        took_ms: last.took_ms,
    });
    let damaged = scrub.iter().flat_map(|scrub| &scrub.damaged);
    let damaged =
        damaged.map(|damaged| Damaged { object: id(&damaged.id), reason: &damaged.reason });
    Node {
        node: &status.node_id,
        reachable: true,
        job: of(JobKind::Scrub, status).map(Common::from),
        interval_ms: scrub.and_then(|scrub| scrub.interval_ms),
        present,
        last,
        damaged_now: metrics_of(status).count("gitstratum_store_damaged_objects"),
        damaged: damaged.collect(),
    }
}

/// For people.
pub(super) fn as_text(answers: &[Answered<StatusResponse>]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    write_nodes(&mut out, JobKind::Scrub, answers, |out, status, job| {
        let scrub = status.scrub.clone().unwrap_or_default();
        let damaged = metrics_of(status).count("gitstratum_store_damaged_objects");
        describe(out, job, &scrub, damaged)
    })?;
    nodes::write_partial(&mut out, answers)?;
    Ok(out)
}

fn describe(
    out: &mut String,
    job: &JobStatus,
    scrub: &ScrubStatus,
    damaged_now: u64,
) -> fmt::Result {
    if let Some(progress) = &scrub.present {
        let began = progress.began_ago_ms.map_or_else(
            || "a time ahead of its clock".to_owned(),
            |ms| format!("{} ago", time(ms)),
        );
        let (read, all) = (HumanBytes(progress.bytes), HumanBytes(progress.bytes_total));
        let (records, damaged) = (HumanCount(progress.records), damaged(progress.damaged));
        writeln!(out, "  since {began}: {read} of {all} read, {records} records, {damaged}")?;
    }
    let lines = scrub.damaged.iter();
    let lines = lines.map(|damaged| format!("  damaged: {}: {}", id(&damaged.id), damaged.reason));
    for line in abridged(lines) {
        writeln!(out, "{line}")?;
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
    match (job.state(), scrub.interval_ms) {
        (JobState::Paused, _) => writeln!(out, "  nothing is read until `scrub start`"),
        (_, None) => writeln!(out, "  none begins by itself: store.scrub_interval_days is 0"),
        (_, Some(_)) => Ok(()),
    }
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
