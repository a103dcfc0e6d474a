//! Error classes of replicas, as metrics tell them apart.

use super::{NodeError, StoreError};

/// What kind of trouble a [`NodeError`] is: few enough for a label, and as many as send an operator
/// to different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// No connection could be opened.
    Dial,
    /// A bound of our own side was reached.
    Limited,
    /// It was left alone because it had been in trouble.
    CircuitOpen,
    /// No answer in time.
    TimedOut,
    /// The connection broke under the request.
    ConnectionLost,
    /// The peer was at a bound.
    Overloaded,
    /// Its disk was full.
    DiskFull,
    /// Its store refused for another reason.
    Rejected,
    /// Its layout was another, or has it no longer.
    Layout,
    /// It was going away.
    ShuttingDown,
    /// The request was wrong in itself.
    Invalid,
    /// It lets the caller do none of that.
    Denied,
    /// It answered what the contract does not allow, or failed inside.
    Protocol,
}

impl ErrorClass {
    /// All of them, in the order in which they are declared.
    pub const ALL: [ErrorClass; 13] = [
        ErrorClass::Dial,
        ErrorClass::Limited,
        ErrorClass::CircuitOpen,
        ErrorClass::TimedOut,
        ErrorClass::ConnectionLost,
        ErrorClass::Overloaded,
        ErrorClass::DiskFull,
        ErrorClass::Rejected,
        ErrorClass::Layout,
        ErrorClass::ShuttingDown,
        ErrorClass::Invalid,
        ErrorClass::Denied,
        ErrorClass::Protocol,
    ];

    /// That of an error.
    pub fn of(error: &NodeError) -> Self {
        match error {
            NodeError::Dial(_) => ErrorClass::Dial,
            NodeError::Limited { .. } => ErrorClass::Limited,
            NodeError::CircuitOpen { .. } => ErrorClass::CircuitOpen,
            NodeError::TimedOut { .. } => ErrorClass::TimedOut,
            NodeError::ConnectionLost { .. } => ErrorClass::ConnectionLost,
            NodeError::Overloaded { .. } | NodeError::Rejected(StoreError::Overloaded { .. }) => {
                ErrorClass::Overloaded
            }
            NodeError::Rejected(StoreError::DiskFull) => ErrorClass::DiskFull,
            NodeError::Rejected(_) => ErrorClass::Rejected,
            NodeError::NotMember(_) | NodeError::StaleLayout { .. } => ErrorClass::Layout,
            NodeError::ShuttingDown => ErrorClass::ShuttingDown,
            NodeError::Invalid { .. } => ErrorClass::Invalid,
            NodeError::Denied { .. } => ErrorClass::Denied,
            NodeError::Protocol { .. } => ErrorClass::Protocol,
        }
    }

    /// One word, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            ErrorClass::Dial => "dial",
            ErrorClass::Limited => "limited",
            ErrorClass::CircuitOpen => "circuit_open",
            ErrorClass::TimedOut => "timed_out",
            ErrorClass::ConnectionLost => "connection_lost",
            ErrorClass::Overloaded => "overloaded",
            ErrorClass::DiskFull => "disk_full",
            ErrorClass::Rejected => "rejected",
            ErrorClass::Layout => "layout",
            ErrorClass::ShuttingDown => "shutting_down",
            ErrorClass::Invalid => "invalid",
            ErrorClass::Denied => "denied",
            ErrorClass::Protocol => "protocol",
        }
    }
}
