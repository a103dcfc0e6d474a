//! Why a group does not open, and why it does not do what it is asked.

use crate::journal::JournalError;
use crate::options::OptionsError;
use crate::snapshot::SnapshotError;

/// Why a group does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options do not fit.
    #[error("{0}")]
    Options(#[from] OptionsError),
    /// The log cannot be read.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The snapshot cannot be read.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// The engine does not start with what the disk holds.
    #[error("the consensus engine does not start: {0}")]
    Engine(String),
}

/// Why a command has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// It was not done, and will not be.
    #[error("not done: {0}")]
    NotDone(String),
    /// It may have been done, or may be yet. Only a command that says who asks, and its number, can
    /// be repeated without being done twice.
    #[error("not known whether it was done: {0}")]
    Unknown(String),
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
#[error("no majority answered in time: {0}")]
pub struct ReadError(pub(crate) String);

/// Why the members were not changed.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// Only the leader changes them.
    #[error("this member does not lead the group")]
    NotLeader,
    /// The engine refuses, or has stopped.
    #[error("the members stay as they are, or the change is not confirmed: {0}")]
    Refused(String),
}
