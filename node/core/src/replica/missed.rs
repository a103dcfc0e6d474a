//! Missed writes.
//!
//! What a writer says of a replica that should hold an object and did not confirm it, and
//! what becomes of the report.

use std::fmt;

use super::NodeError;
use crate::object::ObjectId;
use crate::placement::NodeId;
use crate::replica::StoreError;

/// A replica that should hold an object and did not confirm it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The replica.
    pub node_id: NodeId,
    /// The object.
    pub id: ObjectId,
    /// What kind of reason; this much is kept on disk.
    pub class: ReasonClass,
    /// Why, in words.
    pub reason: String,
}

impl Missed {
    /// That `node_id` did not confirm `id`, because of `error`.
    pub fn new(node_id: NodeId, id: ObjectId, error: &NodeError) -> Self {
        Missed { node_id, id, class: ReasonClass::of(error), reason: error.to_string() }
    }
}

/// What kind of reason a replica had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonClass {
    /// Not said, or none of the others.
    #[default]
    Other,
    /// There was no connection, or it broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// It was left alone because it had been in trouble.
    CircuitOpen,
    /// It, or the way to it, had too much to do.
    Overloaded,
    /// Its disk was full.
    DiskFull,
    /// Its store refused for another reason.
    Store,
    /// Its layout was another.
    Layout,
    /// It was going away.
    ShuttingDown,
}

impl ReasonClass {
    /// All of them, each at the place of its number on the wire and on disk.
    pub const ALL: [ReasonClass; 9] = [
        ReasonClass::Other,
        ReasonClass::Unreachable,
        ReasonClass::TimedOut,
        ReasonClass::CircuitOpen,
        ReasonClass::Overloaded,
        ReasonClass::DiskFull,
        ReasonClass::Store,
        ReasonClass::Layout,
        ReasonClass::ShuttingDown,
    ];

    /// What kind of reason an error is.
    pub fn of(error: &NodeError) -> Self {
        match error {
            error if error.is_overload() => ReasonClass::Overloaded,
            NodeError::Dial(_) | NodeError::ConnectionLost { .. } => ReasonClass::Unreachable,
            NodeError::TimedOut { .. } => ReasonClass::TimedOut,
            NodeError::CircuitOpen { .. } => ReasonClass::CircuitOpen,
            NodeError::Limited { .. } | NodeError::Overloaded { .. } => ReasonClass::Overloaded,
            NodeError::Rejected(StoreError::DiskFull) => ReasonClass::DiskFull,
            NodeError::ShuttingDown | NodeError::Rejected(StoreError::Closed) => {
                ReasonClass::ShuttingDown
            }
            NodeError::Rejected(_) => ReasonClass::Store,
            NodeError::StaleLayout { .. } | NodeError::NotMember(_) => ReasonClass::Layout,
            NodeError::Invalid { .. } | NodeError::Denied { .. } | NodeError::Protocol { .. } => {
                ReasonClass::Other
            }
        }
    }

    /// The number that stands for it.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The class with this number; [`ReasonClass::Other`] for one that is not known here.
    pub fn numbered(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }
}

impl fmt::Display for ReasonClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ReasonClass::Other => "another reason",
            ReasonClass::Unreachable => "unreachable",
            ReasonClass::TimedOut => "timed out",
            ReasonClass::CircuitOpen => "circuit open",
            ReasonClass::Overloaded => "overloaded",
            ReasonClass::DiskFull => "disk full",
            ReasonClass::Store => "refused by its store",
            ReasonClass::Layout => "another layout",
            ReasonClass::ShuttingDown => "shutting down",
        })
    }
}

/// What became of a report of missed writes; the three add up to what was reported. All of
/// it is durable with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Pairs of node and object that are hints now.
    pub new: u64,
    /// Pairs that were hints before.
    pub already: u64,
    /// Pairs that found no room: the ranges of ids that they are in were marked dirty for
    /// their nodes instead.
    pub moved_to_ranges: u64,
}

impl std::ops::AddAssign for Recorded {
    fn add_assign(&mut self, other: Recorded) {
        self.new += other.new;
        self.already += other.already;
        self.moved_to_ranges += other.moved_to_ranges;
    }
}
