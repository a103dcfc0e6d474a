//! State machine: what the commands of the log are applied to.

mod erased;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use erased::{AnyLoader, AnyMachine, NewLoader, loader_of};

/// A deterministic state machine. All members apply the same commands in the same order, and every
/// one must come to the same state and the same replies: no I/O, no clock, no randomness, no
/// order of a hash map.
///
/// Cloning must be cheap, as of a tree that shares its branches: a snapshot is written from a clone
/// while commands go on.
pub trait Machine: Clone + Send + Sync + 'static {
    /// What reads a saved state.
    type Loader: Loader<Machine = Self>;

    /// Applies the command at this index of the log, and gives the reply. What cannot be done is a
    /// reply too; it never panics, whatever the command contains.
    fn apply(&mut self, index: u64, command: &Bytes) -> Bytes;

    /// The state in parts of at most [`PART_BYTES_MAX`] bytes each.
    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_>;
}

/// A command that was applied.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// Its index in the log.
    pub index: u64,
    /// The command.
    pub command: &'a Bytes,
    /// What the machine replied.
    pub reply: &'a Bytes,
}

/// Is told of every command that a member applies, in their order, and is not to take long. What a
/// snapshot brings is not applied, and what was applied before a restart may be applied again.
pub type Observer = Arc<dyn Fn(Applied<'_>) + Send + Sync>;

/// The longest part of a saved state.
pub const PART_BYTES_MAX: usize = 8 << 20;

/// Puts a saved state together again.
pub trait Loader: Default + Send + 'static {
    /// What it loads.
    type Machine;

    /// Takes the next part.
    ///
    /// # Errors
    /// When it is none, or cannot follow those before it.
    fn take(&mut self, part: Bytes) -> Result<(), LoadError>;

    /// The state, once all parts were taken. Without any part: the state before the first command.
    ///
    /// # Errors
    /// When parts are missing.
    fn finish(self) -> Result<Self::Machine, LoadError>;
}

/// Why a saved state cannot be loaded.
pub type LoadError = Box<dyn Error + Send + Sync>;
