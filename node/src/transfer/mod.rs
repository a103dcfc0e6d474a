//! Import and export.
//!
//! Whole repositories in and out of the cluster.

pub mod export;
#[cfg(test)]
mod fixture;
pub mod import;
pub mod manifest;
mod progress;

pub use progress::Progress;
