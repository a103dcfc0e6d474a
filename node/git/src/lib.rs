//! Git protocol and pack storage.
//!
//! What a node needs to be pushed to and cloned from with stock Git.
//!
//! [`object`] reads what Git objects say; [`pkt_line`] frames what is said; [`service`] is what the protocol asks of repositories.
//! This crate knows of storage and of the catalog only what its traits say.

pub mod object;
pub mod pkt_line;
pub mod service;
