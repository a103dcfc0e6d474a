//! Replicated state machine: which repositories exist, where their refs point, who belongs to the
//! cluster, and by which layout it goes.
//!
//! Nodes agree on a sequence of [`Command`]s, and each feeds it to [`State::apply`]. Invariant:
//! the state is a pure function of the commands and their positions. There is no clock here, no
//! randomness, no order but that of ordered maps, no floating point and no I/O; and no command
//! makes it panic, whatever is in it.
//!
//! How the nodes agree, where the commands lie and who sends them is left to others. So is what
//! objects mean: that a push is complete has been proved when its command comes here.

mod codec;
pub mod command;
pub mod dump;
pub mod encode;
pub mod entity;
pub mod error;
pub mod feature;
#[cfg(test)]
mod fixture;
pub mod ids;
pub mod names;
pub mod query;
pub mod reply;
pub mod secret;
pub mod state;

pub use command::{Command, Operation, Request};
pub use error::{Advice, CatalogError};
pub use feature::Feature;
pub use query::{Answer, Query};
pub use reply::{Outcome, Reply, Verdict};
pub use state::State;
