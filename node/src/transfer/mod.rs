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

use std::time::Duration;

use gitstratum_core::backoff::exponential;
use gitstratum_core::limits;

pub use head::PointHead;
pub use progress::Progress;
pub(crate) use progress::{Counters, showing};
pub use push::PushError;

/// How long to wait after so many failures in a row, the first counted as 0, before an object is
/// asked for or put again.
pub(crate) fn backoff(failures: u32) -> Duration {
    exponential(limits::TRANSFER_BACKOFF_MIN, limits::TRANSFER_BACKOFF_MAX, failures)
}
