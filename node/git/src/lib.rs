//! Git protocol and pack storage.
//!
//! What a node needs to be pushed to and cloned from with stock Git.
//!
//! [`object`] reads what Git objects say. [`http`] serves clients, by the exchanges of
//! [`protocol`], which are framed by [`pkt_line`]; [`service`] is what the protocol asks of
//! repositories. This crate knows of storage and of the catalog only what its traits say.

mod cache;
pub mod chunk;
#[cfg(test)]
mod fixture;
pub mod fsck;
pub mod http;
pub mod names;
pub mod object;
pub mod pack;
pub mod pkt_line;
pub mod protocol;
pub mod repository;
pub mod service;
pub mod walk;
