//! Protocol buffers.
//!
//! The gRPC contract, compiled.
//!
//! Only generated code lives here: the conversion between these messages and the
//! node's own types belongs to the node's `wire` module. `bytes` fields are
//! [`bytes::Bytes`], so that object data is not copied on its way in.

/// Version 1 of the contract, package `gitstratum.v1`.
#[allow(missing_docs, clippy::all, clippy::disallowed_methods)]
pub mod v1 {
    tonic::include_proto!("gitstratum.v1");
}
