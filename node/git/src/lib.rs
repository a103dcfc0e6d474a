//! Git protocol and pack storage.
//!
//! What a node needs to be pushed to and cloned from with stock Git.
//!
//! [`object`] reads what Git objects say, [`fsck`] whether they say it well, and [`walk`] follows
//! them; [`pack`] reads and writes packs, which lie in the cluster as [`chunk`]s. [`http`] serves
//! clients, by the exchanges of [`protocol`], which are framed by [`pkt_line`]; [`service`] is what
//! the protocol asks of repositories, [`access`] lets in whom the access tokens allow, and
//! [`repository`] is those of a cluster, whose [`names`] the catalog knows. This crate knows of storage and of the catalog only what its traits say.

pub mod access;
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
