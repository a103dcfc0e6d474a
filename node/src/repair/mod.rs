//! What a node knows of the health of its cluster: replica writes that others missed, and
//! whether its peers answer.
//!
//! Invariant: a missed write that was acknowledged to its reporter is listed by `status`
//! after any crash of this node, or counted as dropped when the record is full.

mod missed;
mod peers;

#[cfg(test)]
mod tests;

pub use missed::{MissedError, MissedLog};
pub use peers::{PeerTable, probe};
