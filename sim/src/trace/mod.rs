//! Trace.
//!
//! What happened in a run, as data.
//!
//! Invariant: a trace is all that a checker sees, and it depends on nothing but binary,
//! scenario and seed (I9): simulated times only, ordered collections only, no address of
//! anything in the memory of this process. One record is one JSON line; the digest is
//! taken over those lines.

mod catalog;
mod event;
mod git;
mod recorder;

#[cfg(test)]
mod tests;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use catalog::{CatalogCall, CatalogOutcome, Expected, RefUpdate, RefVerdict};
pub use event::Event;
pub use git::{CLONER, Delivery, GitCall, GitObject, GitOutcome, GitUpdate, HeldPack, Service};
pub use recorder::{Recorder, Records};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Simulated microseconds since the world began.
    pub at_us: u64,
    /// The machine it happened to, or `world`.
    pub actor: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// All that a checker must know of the scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The scenario's name.
    pub scenario: String,
    /// The run's seed.
    pub seed: u64,
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// Replication factor N.
    pub replicas: usize,
    /// Write quorum W.
    pub write_quorum: usize,
    /// Read quorum R.
    pub read_quorum: usize,
    /// Deadline of a client's request.
    pub request_timeout_us: u64,
    /// A node that is back takes part in everything after this.
    pub recover_within_us: u64,
    /// Least share of single puts that succeed.
    pub put_share_min: f64,
    /// Least number of acknowledged objects.
    pub puts_acked_min: u64,
    /// Most operations that fail with a quorum in reach.
    pub failed_in_reach_max: Option<u64>,
    /// Most dials of one machine to one address within ten seconds.
    pub dials_per_10s_max: Option<u64>,
    /// Most connections that a client has open when it dials.
    pub connections_max: Option<usize>,
    /// `expect.converge_within` in microseconds.
    pub converge_within_us: Option<u64>,
    /// `expect.compactions_min`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compactions_min: Option<u64>,
    /// `expect.deletions_min`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletions_min: Option<u64>,
    /// Whether nodes compare what they hold: then no range stays dirty.
    pub compares: bool,
    /// Whether what rotted is found by scrub, and replaced, before convergence is looked at.
    pub finds_rot: bool,
    /// What the catalog has to come to.
    pub catalog: CatalogSetting,
    /// What Git clients have to come to, where nodes serve them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSetting>,
}

/// What the catalog has to come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CatalogSetting {
    /// `catalog.agree_within` in microseconds.
    pub agree_within_us: u64,
    /// `catalog.updates_min`.
    pub updates_min: u64,
    /// `catalog.snapshots_min`.
    pub snapshots_min: u64,
    /// `catalog.gap_max` in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_max_us: Option<u64>,
    /// `catalog.voters`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub voters: Vec<Vec<String>>,
}

/// What Git clients have to come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GitSetting {
    /// `git.answer_within` in microseconds.
    pub answer_within_us: u64,
    /// `git.pushes_min`.
    pub pushes_min: u64,
    /// `git.fetches_min`.
    pub fetches_min: u64,
    /// `git.swept_within` in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swept_within_us: Option<u64>,
}

/// The parts of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Machines and clients start.
    Boot,
    /// Load, and the scenario's steps.
    Load,
    /// All faults are over; wait out the time allowed for recovery.
    Recover,
    /// The time allowed for convergence is over; who has what?
    Converged,
    /// Puts that must reach every replica.
    Settled,
    /// Power lost everywhere, started again, everything looked at.
    Inspect,
}

/// How a process was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The process was killed; its kernel lives.
    Crash,
    /// The machine lost power.
    PowerOff,
    /// The process was asked to stop, and does so in good order.
    Terminate,
}

/// How far the compaction of a run of segments has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Records are copied to a file that has no name yet.
    Copying,
    /// The index of the new segment has its name, the segment has not.
    Indexed,
    /// The new segment has its name, and old ones are still there.
    Named,
}

/// Which call of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// `Client::put`.
    Put,
    /// `Client::put_batch`.
    PutBatch,
    /// `Client::put_large`.
    PutLarge,
    /// `Client::get`, and `get_large` where that is the answer.
    Get,
    /// `Client::get_batch`.
    GetBatch,
}

impl Call {
    /// Whether it stores.
    pub fn is_put(self) -> bool {
        matches!(self, Call::Put | Call::PutBatch | Call::PutLarge)
    }
}

/// An object of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Its id.
    pub id: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The testbed's own hash of kind and contents; `None` for an object that exists
    /// nowhere.
    pub content: Option<String>,
    /// The replicas that the layout gives it.
    pub replicas: Vec<String>,
    /// W of that layout.
    pub write_quorum: usize,
    /// R of that layout.
    pub read_quorum: usize,
    /// The replicas by layouts that are not settled, each with its R: of each of them that many
    /// have to say "absent" before the object is called so.
    pub earlier: Vec<(Vec<String>, usize)>,
}

/// What became of one object of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The put was acknowledged.
    Acked {
        /// By these replicas.
        replicas: Vec<String>,
    },
    /// The put was not.
    PutFailed {
        /// Replicas that had acknowledged all the same.
        replicas: Vec<String>,
        /// The error's words.
        error: String,
    },
    /// The get returned bytes.
    Found {
        /// How many.
        bytes: u64,
        /// The testbed's own hash of kind and contents.
        content: String,
    },
    /// The get said that there is no such object.
    NotFound {
        /// Replicas that said so.
        absent: Vec<String>,
    },
    /// The get could not say.
    Unavailable {
        /// The error's words.
        error: String,
    },
}

/// The counters of a client's writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WriterSample {
    /// Whether the client was drained first: nothing is under way.
    pub drained: bool,
    /// Objects offered.
    pub attempted: u64,
    /// Acknowledged.
    pub succeeded: u64,
    /// Not acknowledged.
    pub failed: u64,
    /// Neither yet.
    pub in_flight: u64,
    /// Replica writes that failed.
    pub replica_failures: u64,
    /// Of those, recorded on a node.
    pub missed_recorded: u64,
    /// Of those, recorded already by an earlier put of the same object.
    pub missed_already_recorded: u64,
    /// Of those, in a range that was marked dirty.
    pub missed_moved_to_ranges: u64,
    /// Of those, recorded nowhere.
    pub missed_lost: u64,
}

/// A node's hints, as its status has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HintSample {
    /// Held.
    pub pending: u64,
    /// Ever recorded, over all restarts.
    pub recorded: u64,
    /// Delivered.
    pub delivered: u64,
    /// Settled because the object was deleted.
    pub deleted: u64,
    /// Settled because other hints stand in for them.
    pub replaced: u64,
    /// Settled because a dirty range stands in for them.
    pub moved_to_ranges: u64,
    /// Dirty ranges.
    pub dirty_ranges: u64,
}

impl Record {
    /// The record as one canonical JSON line, without its end.
    ///
    /// # Panics
    /// Never: a record has nothing that JSON cannot express.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a record is plain data")
    }
}

/// SHA-256 over the canonical lines, each ended by a newline; in hexadecimal.
pub fn digest(trace: &[Record]) -> String {
    let mut hasher = Sha256::new();
    for record in trace {
        hasher.update(record.line());
        hasher.update(b"\n");
    }
    hex::encode(hasher.finalize())
}

/// Writes the trace as JSON lines.
///
/// # Errors
/// As writing does.
pub fn write_lines(trace: &[Record], mut out: impl std::io::Write) -> std::io::Result<()> {
    for record in trace {
        writeln!(out, "{}", record.line())?;
    }
    out.flush()
}

/// The first line in which two traces differ, and both forms of it; the one that ended
/// before has `(nothing)`.
pub fn first_difference<'a>(
    mut one: impl Iterator<Item = &'a str>,
    mut other: impl Iterator<Item = &'a str>,
) -> Option<(usize, String, String)> {
    for number in 1.. {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => {
                let text = |line: Option<&str>| line.unwrap_or("(nothing)").to_owned();
                return Some((number, text(one), text(other)));
            }
        }
    }
    None
}
