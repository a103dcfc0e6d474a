//! Many stores as one: connections to peers, quorums of replicas, who belongs to the cluster,
//! repair of what is missing, and the client that callers use.
//!
//! Rooms know those above them in this list alone, which `ci/lint` checks: [`wire`],
//! [`transport`], [`quorum`], [`rpc`], [`membership`], [`repair`], [`local`], [`service`] and
//! [`client`].

pub mod client;
pub mod local;
pub mod membership;
pub mod quorum;
pub mod repair;
pub mod rpc;
pub mod service;
pub mod transport;
pub mod wire;
