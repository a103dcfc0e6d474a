//! Git protocol and pack storage.
//!
//! What a node needs to be pushed to and cloned from with stock Git.
//!
//! [`object`] reads what Git objects say, [`walk`] follows them; [`service`] is what the protocol
//! asks of repositories. This crate knows of storage and of the catalog only what its traits say.

pub mod chunk;
pub mod names;
pub mod object;
pub mod service;
pub mod walk;
