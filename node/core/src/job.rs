//! Background jobs: work that a node does by itself, which an operator can ask about, start,
//! pause and cancel.
//!
//! How a job goes about its work, and what it found, is its own; here is what all have in common,
//! so that one request and one line for people serve them all.

use std::fmt;
use std::time::Duration;

/// Which job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// Gives replicas what they lack: delivers hints, and compares replicas with each other.
    Repair,
    /// Reads everything and verifies its checksums and hashes.
    Scrub,
}

impl JobKind {
    /// One word, as commands and requests name it.
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Repair => "repair",
            JobKind::Scrub => "scrub",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a job can be told. None of it outlasts the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrder {
    /// Ends a pause, and begins without delay, or goes on where it was interrupted.
    Start,
    /// Lets what is under way come to its end, and begins nothing.
    Pause,
    /// Gives up what is under way. What is due by time comes when it is due.
    Cancel,
}

/// What a job is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobState {
    /// Nothing; it begins when it is due, or told to.
    #[default]
    Idle,
    /// It works.
    Running,
    /// It began, and goes on when it is due.
    Interrupted,
    /// An operator has paused it.
    Paused,
    /// The configuration switches it off.
    Off,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// Which job.
    pub kind: JobKind,
    /// What it is doing.
    pub state: JobState,
    /// How much of what it began is done, in thousandths; `None` while it has begun nothing.
    pub done_permille: Option<u32>,
    /// What it takes in a second, in bytes; `None` while it takes nothing, or nothing tells.
    pub bytes_per_second: Option<u64>,
    /// What it may take in a second, in bytes; `None` for as much as there is.
    pub bytes_per_second_max: Option<u64>,
    /// About how long the rest takes; `None` when nothing tells.
    pub eta: Option<Duration>,
    /// Until it begins, or goes on, by itself; `None` while it works, and when it will not.
    pub next_in: Option<Duration>,
    /// Why it did not end well the last time; `None` after a time that it did.
    pub last_error: Option<String>,
}

impl JobStatus {
    /// Of a job that does nothing, and of which nothing more is known.
    pub fn idle(kind: JobKind) -> Self {
        JobStatus {
            kind,
            state: JobState::Idle,
            done_permille: None,
            bytes_per_second: None,
            bytes_per_second_max: None,
            eta: None,
            next_in: None,
            last_error: None,
        }
    }
}

/// A background job of one node.
pub trait Job: Send + Sync {
    /// Which it is.
    fn kind(&self) -> JobKind;

    /// Has it do something. The order is taken at once, and carried out soon.
    fn order(&self, order: JobOrder);

    /// How it stands.
    fn status(&self) -> JobStatus;
}
