//! Quorum reads and writes.
//!
//! Writing to and reading from the replicas of an object.
//!
//! Nothing under `quorum/` knows what a socket or a file is: replicas are
//! [`NodeWriter`](gitstratum_core::replica::NodeWriter)s and
//! [`NodeReader`](gitstratum_core::replica::NodeReader)s.

pub mod decorate;
mod read;
mod tally;
mod write;

#[cfg(test)]
mod tests;

use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::NodeError;

pub use read::{GetError, Got, Preference, QuorumReader, ReadRepairStats};
pub use tally::WriterStats;
pub use write::{Consistency, Put, PutError, PutLarge, PutReport, QuorumWriter, Source};

/// Every replica with its reason, for one line of an error.
fn reasons(failed: &[(NodeId, NodeError)]) -> String {
    let reasons: Vec<_> = failed.iter().map(|(node, error)| format!("{node}: {error}")).collect();
    reasons.join("; ")
}
