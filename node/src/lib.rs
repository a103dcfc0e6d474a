//! A replicated, content-addressed store for Git objects.
//!
//! See ARCHITECTURE.md for the map. The library is everything but argument parsing;
//! it runs unchanged on real machines and on the testbed's simulated ones.

#[cfg(feature = "cli")]
mod abridge;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
pub mod config;
pub mod layout;
pub mod limits;
pub mod object;
pub mod placement;
pub mod pool;
pub mod quorum;
pub mod repair;
mod seldom;
pub mod server;
pub mod store;
pub mod wire;
