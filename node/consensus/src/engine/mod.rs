//! The consensus engine: the only room that names it.
//!
//! `openraft` decides; what it keeps goes through the journal and the snapshots, what it sends over
//! the peers' connections, and its tasks, time and randomness come from the node.

mod applier;
mod core;
mod group;
mod heard;
mod incoming;
mod link;
mod log;
mod member;
mod members;
mod propose;
mod read;
mod receive;
mod rounds;
mod runtime;
mod stages;
mod step_down;
#[cfg(test)]
mod tests;
mod types;
mod watch;

pub use core::{Opening, create};
pub use group::Group;
pub use members::GroupStatus;
