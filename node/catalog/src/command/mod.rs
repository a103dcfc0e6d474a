//! Commands: what the state machine is told, in the order that the cluster agreed on.
//!
//! A command carries all that applying it takes, the time included. Names and other words are
//! carried as they were given: whether they obey the rules is found out when the command is
//! applied, so that each refusal has its reason and no node fails to read what was committed.
//!
//! A field that is added later has the next number and is an `Option`. A node of an older version
//! skips it, so it may change what a command does only once every node knows it.

mod operation;
mod push;
mod restore;

use minicbor::{Decode, Encode};

use crate::ids::ClientId;

pub use operation::{
    ApplyLayout, ConfigureRepository, CreateRepository, CreateToken, JoinNode, Operation, Refound,
};
pub use push::{Expected, NewTarget, Push, RefUpdate};
pub use restore::{
    BeginRestore, EndRestore, EndedRestore, RestoreRecords, RestoreToken, RestoredRef,
};

/// A command with who asks for it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Command {
    /// Which group of repositories it is for. There is one group now, number 0.
    #[n(0)]
    pub group: u32,
    /// What tells it from every other command, and a repetition from a new one.
    #[n(1)]
    pub request: Request,
    /// The proposer's clock, in unix milliseconds.
    #[n(2)]
    pub at_ms: u64,
    /// On whose behalf: for reflogs and events, and nothing that is checked.
    #[n(3)]
    pub who: String,
    /// What to do.
    #[n(4)]
    pub operation: Operation,
}

/// The identity of a command. A client that lost an answer sends the command again with the same
/// one, and gets the same answer. It has one command under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Request {
    /// Who asks.
    #[n(0)]
    pub client: ClientId,
    /// Grows with each command of that client.
    #[n(1)]
    pub number: u64,
}
