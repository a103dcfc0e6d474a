//! `repair` and `scrub`: background jobs of nodes, asked about and told in one way. A room each
//! has what is its job's alone.

mod repair;
mod scrub;

use std::fmt::{self, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_core::job::{JobKind, JobOrder};
use gitstratum_proto::v1::{JobState, JobStatus, StatusResponse};
use indicatif::HumanBytes;
use serde::Serialize;

use super::arguments::{ClientArguments, JobCommand};
use super::nodes::{self, left, percent, time};
use super::output::show_json;
use super::{Failure, connect, show};

/// Does what the arguments say.
pub(super) async fn job(kind: JobKind, asked: JobCommand) -> Result<(), Failure> {
    match asked {
        JobCommand::Status { json, client } => status(kind, json, &client).await,
        JobCommand::Start { client } => order(kind, JobOrder::Start, &client).await,
        JobCommand::Pause { client } => order(kind, JobOrder::Pause, &client).await,
        JobCommand::Cancel { client } => order(kind, JobOrder::Cancel, &client).await,
    }
}

async fn status(kind: JobKind, json: bool, client: &ClientArguments) -> Result<(), Failure> {
    let answers = nodes::ask(client).await?;
    match (kind, json) {
        (JobKind::Repair, false) => show(&repair::as_text(&answers)?),
        (JobKind::Repair, true) => show_json(&repair::as_json(&answers)),
        (JobKind::Scrub, false) => show(&scrub::as_text(&answers)?),
        (JobKind::Scrub, true) => show_json(&scrub::as_json(&answers)),
    }
}

async fn order(kind: JobKind, order: JobOrder, client: &ClientArguments) -> Result<(), Failure> {
    nodes::told(&connect(client).await?.job(kind, order).await, done(kind, order))
}

fn done(kind: JobKind, order: JobOrder) -> &'static str {
    match (kind, order) {
        (JobKind::Repair, JobOrder::Start) => "compares everything with every peer now",
        (JobKind::Repair, JobOrder::Pause) => "paused until `repair start`, or until it restarts",
        (JobKind::Repair, JobOrder::Cancel) => "gave up the comparisons that were under way",
        (JobKind::Scrub, JobOrder::Start) => "reads and verifies all it has now",
        (JobKind::Scrub, JobOrder::Pause) => "paused until `scrub start`, or until it restarts",
        (JobKind::Scrub, JobOrder::Cancel) => "gave up the scrub that was under way",
    }
}

/// What a node says of one of its jobs; `None` when its program is one that has no such job.
fn of(kind: JobKind, status: &StatusResponse) -> Option<&JobStatus> {
    status.jobs.iter().find(|job| job.job == kind.name())
}

/// One word for what it is doing.
fn state(job: &JobStatus) -> &'static str {
    match job.state() {
        JobState::Idle => "idle",
        JobState::Running => "running",
        JobState::Interrupted => "interrupted",
        JobState::Paused => "paused",
        JobState::Off => "off",
        JobState::Unspecified => "unknown",
    }
}

/// What all jobs have in common, for programs.
#[derive(Serialize)]
pub(super) struct Common<'s> {
    job: &'s str,
    state: &'static str,
    done_permille: Option<u32>,
    bytes_per_second: Option<u64>,
    bytes_per_second_max: Option<u64>,
    eta_ms: Option<u64>,
    next_in_ms: Option<u64>,
    last_error: &'s str,
}

impl<'s> From<&'s JobStatus> for Common<'s> {
    fn from(job: &'s JobStatus) -> Self {
        Common {
            job: &job.job,
            state: state(job),
            done_permille: job.done_permille,
            bytes_per_second: job.bytes_per_second,
            bytes_per_second_max: job.bytes_per_second_max,
            eta_ms: job.eta_ms,
            next_in_ms: job.next_in_ms,
            last_error: &job.last_error,
        }
    }
}

/// The same, for people: a line, and another for its last error.
fn write_common(out: &mut String, node: &str, job: &JobStatus) -> fmt::Result {
    write!(out, "{node:<12} {}", state(job))?;
    if let Some(done) = job.done_permille {
        write!(out, "; {} done", percent(done))?;
    }
    if let Some(bytes) = job.bytes_per_second {
        write!(out, ", {} a second", HumanBytes(bytes))?;
    }
    if let Some(ms) = job.eta_ms {
        write!(out, ", {}", left(ms))?;
    }
    match job.bytes_per_second_max {
        Some(bytes) => writeln!(out, "; {} a second at most", HumanBytes(bytes))?,
        None => writeln!(out, "; as fast as the disk allows")?,
    }
    match job.next_in_ms {
        Some(0) => writeln!(out, "  goes on, or begins, within a minute")?,
        Some(ms) => writeln!(out, "  next in {}", time(ms))?,
        None => {}
    }
    if !job.last_error.is_empty() {
        writeln!(out, "  last error: {}", job.last_error)?;
    }
    Ok(())
}

/// Each node's lines: what all jobs have in common, and then what `details` adds.
fn write_nodes(
    out: &mut String,
    kind: JobKind,
    answers: &[Answered<StatusResponse>],
    details: impl Fn(&mut String, &StatusResponse, &JobStatus) -> fmt::Result,
) -> fmt::Result {
    nodes::write_each(out, answers, |out, node, status| match of(kind, status) {
        Some(job) => {
            write_common(out, node, job)?;
            details(out, status, job)
        }
        None => writeln!(out, "{node:<12} says nothing of {kind}: its program is an earlier one"),
    })
}
