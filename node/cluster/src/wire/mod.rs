//! Wire format.
//!
//! The contract on the wire: messages ↔ values, statuses ↔ errors.
//!
//! `rpc` and `service` are the two sides of it: above them nobody sees a protobuf message or a
//! gRPC status, but for answers to `status`, which are passed on as they are.

pub(crate) mod codec;
pub mod compare;
pub mod metrics;
pub mod stamp;
pub mod status;
pub(crate) mod words;

/// The version of the contract that this program speaks. It grows when a peer of the
/// version before could misunderstand; peers of another version are not talked to.
pub const PROTOCOL_VERSION: u32 = 1;
