//! Protocol errors, and what clients are told of them.

use std::io;

use gitstratum_core::limits::GIT_REASON_BYTES_MAX;

use crate::pkt_line::PacketError;
use crate::service::RepositoryError;

/// Why an exchange ended early.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The request is not made of packets.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// It says what cannot be said here. The words are git's, where it has some.
    #[error("{0}")]
    Malformed(String),
    /// It is larger than is allowed.
    #[error("the request is larger than {bytes_max} bytes")]
    TooLarge {
        /// What is allowed.
        bytes_max: u64,
    },
    /// It did not come whole: the client went away, or its encoding is broken.
    #[error("the request cannot be read: {0}")]
    Body(#[source] io::Error),
    /// The repository did not do what was asked.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A push failed for this reason, which its report has told.
    #[error(transparent)]
    Told(RepositoryError),
}

impl ProtocolError {
    /// What the client is told, in one line.
    pub(super) fn reason(&self) -> String {
        match self {
            ProtocolError::Repository(error @ RepositoryError::NotOurRef(_)) => {
                format!("upload-pack: {error}")
            }
            ProtocolError::Body(error) => one_line(&format!("{self}{}", causes(error))),
            error => one_line(&error.to_string()),
        }
    }

    /// Whether it is the client that asked for what is not there, is not allowed or makes no
    /// sense; otherwise something failed, here or on the way.
    pub fn is_clients(&self) -> bool {
        match self {
            ProtocolError::Repository(error) | ProtocolError::Told(error) => {
                matches!(error, RepositoryError::NotOurRef(_) | RepositoryError::Refused(_))
            }
            ProtocolError::Body(_) => false,
            ProtocolError::Packet(_)
            | ProtocolError::Malformed(_)
            | ProtocolError::TooLarge { .. } => true,
        }
    }
}

/// What is behind an error, each cause after a colon.
fn causes(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(error.source(), |cause| cause.source());
    behind.map(|cause| format!(": {cause}")).collect()
}

/// An exchange that ended early.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Why.
    #[source]
    pub error: ProtocolError,
    /// Whether the client was told. If not, the transport must break off.
    pub told: bool,
}

/// A reason as one line of at most [`GIT_REASON_BYTES_MAX`] bytes.
pub(super) fn one_line(reason: &str) -> String {
    let mut line = reason.trim().replace(['\r', '\n'], " ");
    line.truncate(line.floor_char_boundary(GIT_REASON_BYTES_MAX));
    line
}

/// Bytes of a client as git's messages show them.
pub(super) fn shown(bytes: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(bytes))
}
