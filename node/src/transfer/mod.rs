//! Import, export and mirroring.
//!
//! Whole repositories in and out of the cluster.

pub mod export;
#[cfg(test)]
mod fixture;
pub(crate) mod head;
pub mod import;
pub mod manifest;
pub mod mirror;
mod progress;
mod push;

pub use head::PointHead;
pub use progress::Progress;
pub(crate) use progress::{Counters, showing};
pub use push::PushError;
