//! gRPC status mapping.
//!
//! The one place where errors become statuses and statuses become errors.
//!
//! A failure of the store travels as a `Failure` message: inside the answer for one object
//! of a batch, in the status' details for a whole call. The gRPC code tells callers that
//! do not know the message whether to retry, to fix, or to give up.

use std::time::Duration;

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::{NodeError, StoreError};
use gitstratum_proto::v1::{Failure, FailureKind};
use prost::Message;
use tonic::{Code, Status};

use crate::wire::codec::Malformed;
use crate::wire::words::words;

/// Describes a store error for the wire.
pub fn failure_of(error: &StoreError) -> Failure {
    let kind = match error {
        StoreError::HashMismatch(_) => FailureKind::HashMismatch,
        StoreError::TooLarge { .. } => FailureKind::TooLarge,
        StoreError::Truncated { .. } => FailureKind::Invalid,
        StoreError::Overloaded { .. } => FailureKind::Overloaded,
        StoreError::DiskFull => FailureKind::DiskFull,
        StoreError::Damaged { .. } => FailureKind::Damaged,
        StoreError::CatchingUp => FailureKind::CatchingUp,
        StoreError::Failed { .. } => FailureKind::StoreFailed,
        StoreError::Closed => FailureKind::ShuttingDown,
        StoreError::Snapshot { .. } => FailureKind::Invalid,
        StoreError::Io { .. } | StoreError::Remote { .. } => FailureKind::Internal,
    };
    Failure { kind: kind.into(), message: error.to_string(), layout_version: 0 }
}

/// The store error that a peer described.
pub fn store_error_of(failure: Failure, id: ObjectId) -> StoreError {
    let failure = Failure { message: words(&failure.message), ..failure };
    match failure.kind() {
        FailureKind::DiskFull => StoreError::DiskFull,
        FailureKind::ShuttingDown => StoreError::Closed,
        FailureKind::Damaged => StoreError::Damaged { id, reason: failure.message },
        FailureKind::CatchingUp => StoreError::CatchingUp,
        FailureKind::StoreFailed => StoreError::Failed { reason: failure.message },
        FailureKind::Overloaded => StoreError::Overloaded { reason: reason_of(failure.message) },
        _ => StoreError::Remote { reason: failure.message },
    }
}

/// A status that carries the failure in its details.
pub fn status_of(error: &StoreError) -> Status {
    let failure = failure_of(error);
    let code = match failure.kind() {
        FailureKind::Invalid | FailureKind::HashMismatch | FailureKind::TooLarge => {
            Code::InvalidArgument
        }
        FailureKind::Overloaded | FailureKind::DiskFull => Code::ResourceExhausted,
        FailureKind::Damaged => Code::DataLoss,
        FailureKind::StoreFailed | FailureKind::ShuttingDown | FailureKind::CatchingUp => {
            Code::Unavailable
        }
        _ => Code::Internal,
    };
    let details = failure.encode_to_vec();
    Status::with_details(code, failure.message, details.into())
}

impl From<Malformed> for Status {
    fn from(error: Malformed) -> Self {
        Status::invalid_argument(error.0)
    }
}

/// Why a call failed, given the status it ended with.
pub fn node_error_of(status: &Status, address: &str, timeout: Duration) -> NodeError {
    if let Some(cause) = std::error::Error::source(status) {
        // Only what happened on our side has a source: the connection broke.
        let reason = words(&chain(cause));
        return NodeError::ConnectionLost { address: address.into(), reason };
    }
    let reason = words(status.message());
    match status.code() {
        Code::DeadlineExceeded => {
            NodeError::TimedOut { stage: "waiting for the answer", after: timeout }
        }
        _ if !status.details().is_empty() => match Failure::decode(status.details()) {
            Ok(failure) => rejected(failure),
            Err(error) => NodeError::Protocol { reason: format!("{reason} ({error})") },
        },
        Code::ResourceExhausted => NodeError::Overloaded { reason },
        Code::Unavailable => NodeError::ShuttingDown,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            NodeError::Invalid { reason }
        }
        Code::PermissionDenied | Code::Unauthenticated => NodeError::Denied { reason },
        code => NodeError::Protocol { reason: format!("{code}: {reason}") },
    }
}

fn rejected(failure: Failure) -> NodeError {
    let failure = Failure { message: words(&failure.message), ..failure };
    match failure.kind() {
        FailureKind::DiskFull => NodeError::Rejected(StoreError::DiskFull),
        FailureKind::Overloaded => NodeError::Overloaded { reason: reason_of(failure.message) },
        FailureKind::ShuttingDown => NodeError::ShuttingDown,
        FailureKind::CatchingUp => NodeError::Rejected(StoreError::CatchingUp),
        FailureKind::StaleLayout => {
            let (version, reason) = (failure.layout_version, failure.message);
            NodeError::StaleLayout { version, reason }
        }
        FailureKind::StoreFailed => {
            NodeError::Rejected(StoreError::Failed { reason: failure.message })
        }
        _ => NodeError::Rejected(StoreError::Remote { reason: failure.message }),
    }
}

/// Why a peer is overloaded, without the word for it, which whoever shows the error says again.
fn reason_of(message: String) -> String {
    message.strip_prefix("overloaded: ").map_or_else(|| message.clone(), str::to_owned)
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = error.source();
    }
    line
}
