//! What happened in a run, as data.
//!
//! Invariant: a trace is all that a checker sees, and it depends on nothing but binary,
//! scenario and seed (I9): simulated times only, ordered collections only, no address of
//! anything in the memory of this process. One record is one JSON line; the digest is
//! taken over those lines.

mod recorder;

#[cfg(test)]
mod tests;

use serde::Serialize;
use sha2::{Digest, Sha256};

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

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first record: all that a checker must know of the scenario.
    Setting(Setting),
    /// The run enters a phase.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// A node's process was started.
    Started {
        /// Its machine's address.
        address: String,
    },
    /// A node listens.
    Ready,
    /// A node's process was ended from outside.
    Stopped {
        /// How.
        by: Stop,
    },
    /// A node's process ended by itself, which none should.
    Exited {
        /// What it said.
        reason: String,
    },
    /// A node did not listen in time after a start.
    NotReady,
    /// Packets no longer go from the actor to a machine.
    Cut {
        /// The machine.
        to: String,
    },
    /// They do again.
    Mended {
        /// The machine.
        to: String,
    },
    /// The actor's name resolves differently from now on.
    Dns {
        /// To this, or to nothing.
        address: Option<String>,
    },
    /// Something is done to a node's disk.
    Disk {
        /// What, in words.
        trouble: String,
        /// Whether the node can store objects all the same.
        stores: bool,
    },
    /// A node's disk is well again. What rotted stays so.
    DiskReleased,
    /// A bit of a node's files flipped.
    Rotted {
        /// The file.
        path: String,
        /// The bit, counted from the file's beginning.
        bit: u64,
    },
    /// A client begins a call.
    OpStarted {
        /// Number of the call, unique in the run.
        op: u64,
        /// Which call.
        call: Call,
        /// Its objects.
        objects: Vec<Wanted>,
    },
    /// A call returned.
    OpFinished {
        /// Number of the call.
        op: u64,
        /// One for each object, in order.
        outcomes: Vec<Outcome>,
    },
    /// The counters of a client's writer.
    Writer(WriterSample),
    /// What a node's status says about writes that others missed.
    Missed {
        /// Distinct (node, object) pairs it lists or would list.
        recorded: u64,
        /// Pairs dropped at the bound.
        dropped: u64,
    },
    /// An object as a fresh client finds it after the final power loss.
    Inspected {
        /// The object.
        id: String,
        /// Replicas that say they hold it.
        holders: Vec<String>,
        /// What a get returns.
        outcome: Outcome,
    },
    /// The inspection was cut short.
    InspectionFailed {
        /// Why.
        reason: String,
    },
    /// The run had not ended when it should have.
    Stuck {
        /// What it was doing.
        phase: Phase,
    },
    /// What went over the wire in all.
    Wire {
        /// Packets sent.
        packets_sent: u64,
        /// Packets that arrived.
        packets_delivered: u64,
        /// Packets that did not.
        packets_dropped: u64,
        /// Bytes sent.
        bytes_sent: u64,
        /// Digest of every packet and its time.
        digest: String,
    },
    /// The run came to its end.
    Ended,
    /// A machine's code panicked; nothing follows.
    Panicked {
        /// The message and where it came from.
        message: String,
    },
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
    /// Of those, recorded nowhere.
    pub missed_lost: u64,
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
