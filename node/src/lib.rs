//! A replicated, content-addressed store for Git objects.
//!
//! See ARCHITECTURE.md for the map. Here is the program: its configuration, a node assembled
//! from the rooms below, whole repositories in and out, and the command line. It runs unchanged
//! on real machines and on the testbed's simulated ones.

/// The program's version, with the commit that it was built from where that is known.
pub const VERSION: &str = env!("GITSTRATUM_VERSION");

#[cfg(feature = "cli")]
mod abridge;
mod access;
#[cfg(feature = "cli")]
mod backup;
pub mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod git;
mod monitor;
mod reports;
pub mod server;
#[cfg(feature = "cli")]
mod traces;
#[cfg(feature = "cli")]
pub mod transfer;
