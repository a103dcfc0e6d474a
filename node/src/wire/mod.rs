//! The contract on the wire: messages, statuses, the server loop and remote replicas.
//!
//! Above this module nobody sees a protobuf message or a gRPC status (but for `status`
//! answers, which are passed on as they are); below it nobody sees an object.

pub(crate) mod codec;
pub mod compare;
mod fence;
pub(crate) mod numbers;
pub mod replica;
pub(crate) mod rt;
pub mod server;
pub mod service;
pub mod stamp;
pub(crate) mod status;
pub(crate) mod words;

/// The version of the contract that this program speaks. It grows when a peer of the
/// version before could misunderstand; peers of another version are not talked to.
pub const PROTOCOL_VERSION: u32 = 1;
