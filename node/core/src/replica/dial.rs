//! Dial errors.
//!
//! Why a connection could not be opened: the stage of the dial, the address, the cause.

use std::fmt;
use std::time::Duration;

use crate::placement::{NodeId, OtherCluster};
use crate::replica::NodeError;

/// The stages of a dial, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The peer's name becomes addresses.
    Resolve,
    /// One of the addresses accepts a TCP connection.
    Connect,
    /// The stream is made confidential, where that is configured.
    Secure,
    /// HTTP/2 begins.
    Handshake,
    /// The other side says who it is.
    Identify,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 5] =
        [Stage::Resolve, Stage::Connect, Stage::Secure, Stage::Handshake, Stage::Identify];

    /// One word, for tables and for `status --json`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Resolve => "resolve",
            Stage::Connect => "connect",
            Stage::Secure => "secure",
            Stage::Handshake => "handshake",
            Stage::Identify => "identify",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Resolve => "resolving",
            Stage::Connect => "connecting to",
            Stage::Secure => "securing the connection to",
            Stage::Handshake => "shaking hands with",
            Stage::Identify => "identifying",
        })
    }
}

/// A dial that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{stage} {address}: {problem}")]
pub struct DialError {
    /// How far it came.
    pub stage: Stage,
    /// `HOST:PORT` as it was given.
    pub address: String,
    /// What went wrong there.
    pub problem: DialProblem,
}

/// What went wrong in a stage of a dial.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialProblem {
    /// The name does not resolve.
    #[error("DNS: {reason}")]
    Dns {
        /// The resolver's words.
        reason: String,
    },
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No route, or the network said so.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// The system's words.
        reason: String,
    },
    /// The stage's deadline passed.
    #[error("timed out after {} ms", after.as_millis())]
    TimedOut {
        /// How long the stage was given.
        after: Duration,
    },
    /// The connection broke on the way.
    #[error("connection lost: {reason}")]
    Lost {
        /// How.
        reason: String,
    },
    /// The peer answers in plain text where TLS was begun.
    #[error(
        "TLS: it does not speak TLS: its configuration has no [tls], or something else listens there"
    )]
    Plaintext,
    /// One of the two does not take the other's certificate: somebody has to set that right.
    #[error("TLS: {reason}")]
    Tls {
        /// Which one, and why.
        reason: String,
    },
    /// Another node answers on the address.
    #[error("wrong peer: it is node {actual}, not {expected}")]
    WrongPeer {
        /// Who should be there.
        expected: NodeId,
        /// Who is.
        actual: NodeId,
    },
    /// A node of another cluster answers on the address, under the id of the peer.
    #[error("wrong peer: {0}")]
    OtherCluster(#[source] OtherCluster),
    /// The peer speaks another version of the contract.
    #[error(
        "it speaks version {theirs} of the protocol, and this program {oldest} to {newest}: versions \
         of gitstratum work together that follow one another, so upgrade from one to the next"
    )]
    Version {
        /// The oldest that this program speaks.
        oldest: u32,
        /// The newest.
        newest: u32,
        /// What the peer said.
        theirs: u32,
    },
    /// The peer would not say who it is, because it is at a bound or going away.
    #[error("{0}")]
    Declined(Box<NodeError>),
    /// The peer answered what the contract does not allow.
    #[error("protocol: {reason}")]
    Protocol {
        /// What came.
        reason: String,
    },
}

impl DialProblem {
    /// Whether the two do not trust each other: dialling again soon does not change that.
    pub fn is_of_trust(&self) -> bool {
        match self {
            DialProblem::Plaintext | DialProblem::Tls { .. } => true,
            DialProblem::Declined(declined) => matches!(**declined, NodeError::Denied { .. }),
            _ => false,
        }
    }

    /// Whether somebody has to set it right, because time does not.
    pub fn wants_an_operator(&self) -> bool {
        self.is_of_trust() || matches!(self, DialProblem::OtherCluster(_))
    }
}

impl DialError {
    /// A failure of `stage` with `address`.
    pub fn new(stage: Stage, address: &str, problem: DialProblem) -> Self {
        DialError { stage, address: address.to_owned(), problem }
    }
}
