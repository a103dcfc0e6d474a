//! Hints: writes that a replica missed, kept durably until they are delivered to it.
//!
//! The design keeps a hint on the machine that coordinated the write. Here clients
//! coordinate, and clients go away. So the coordinator hands each hint to a *witness*, a
//! replica that stored the object: it stays, it syncs what it is told, and it delivers from
//! its own store, so that a hint is some sixty bytes and never a copy of the object.
//!
//! Invariant (I4): what a witness acknowledged is held after any crash until it is settled,
//! and is settled in one of four ways, each counted: the target confirmed the object
//! (delivered), the object was deleted here, as a tombstone says (deleted), other replicas took
//! the target's place (replaced), or the range of ids that it is in was marked dirty for the
//! target (moved_to_ranges). A witness that has the object no more and does not know of a deletion lost
//! it: then the range is dirty for the witness, too.
//! So recorded = held + delivered + deleted + replaced + moved_to_ranges.
//!
//! Invariant (I7): hints are bounded in bytes and in age. Past a bound a hint becomes a dirty
//! range: ids with the same first byte, for one target. There are at most 256 of those a
//! target, and anti-entropy reconciles them ([`DirtyRanges`]).

mod deliver;
mod dirty;
mod entry;
mod held;
mod log;
mod pace;
mod takeover;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use gitstratum_core::format::NewerFormat;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::ReasonClass;

pub use deliver::{Delivery, Targets};
pub use dirty::{DirtyRange, DirtyRanges, IdPrefix};
pub use entry::Settled;
pub use log::{HintLists, HintLog, HintNumbers, HintOptions, TargetNumbers};

/// The log's file, in the root of the data directory.
const FILE: &str = "hints.log";

/// That a node lacks an object which this one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Who lacks it.
    pub target: NodeId,
    /// The object.
    pub id: ObjectId,
    /// When it was recorded, in milliseconds since 1970 by this machine's clock.
    pub recorded_at_ms: u64,
    /// The layout by which the target is a replica, as far as that was said; else 0. A target
    /// that ours does not have may be in it.
    pub layout_version: u64,
    /// Why it was not stored there.
    pub class: ReasonClass,
}

/// How a hint is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target confirmed the object, or had it already.
    Delivered,
    /// The object was deleted here.
    Deleted,
    /// Hints for the object's present replicas stand in for it.
    Replaced,
    /// A dirty range stands in for it.
    MovedToRanges,
}

impl Outcome {
    fn number(self) -> u8 {
        self as u8
    }

    fn numbered(number: u8) -> Option<Self> {
        let all = [Outcome::Delivered, Outcome::Deleted, Outcome::Replaced, Outcome::MovedToRanges];
        all.get(usize::from(number)).copied()
    }
}

/// Why the log could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HintError {
    /// The disk failed.
    #[error("{file}: {doing}: {source}")]
    Io {
        /// Which file.
        file: &'static str,
        /// What was tried.
        doing: &'static str,
        /// Why it failed. Shared, because one append answers many.
        source: Arc<io::Error>,
    },
    /// A newer program wrote it.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// The node is going away.
    #[error("{FILE} is closed")]
    Closed,
}

fn failed(file: &'static str, doing: &'static str) -> impl FnOnce(io::Error) -> HintError {
    move |source| HintError::Io { file, doing, source: Arc::new(source) }
}
