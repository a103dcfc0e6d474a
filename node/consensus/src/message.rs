//! Messages between members: what is asked of one, and what it answers.
//!
//! CBOR with numbered fields, as the log has them ([`crate::entry`]). Every request says which group
//! it is about, who asks and whom it is meant for: an address may belong to another member by now.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::entry::{Ballot, Entry, MemberId, Position, cbor_bytes, encode_to};

/// A request, addressed.
#[derive(Debug, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Envelope {
    #[n(0)]
    pub(crate) group: u32,
    #[n(1)]
    pub(crate) from: MemberId,
    #[n(2)]
    pub(crate) to: MemberId,
    #[n(3)]
    pub(crate) request: Request,
}

/// What is asked.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Request {
    #[n(0)]
    Append(#[n(0)] Append),
    #[n(1)]
    Vote(#[n(0)] VoteRequest),
    /// Whether a vote would be given; nothing changes by it.
    #[n(2)]
    PreVote(#[n(0)] VoteRequest),
    #[n(3)]
    Snapshot(#[n(0)] SnapshotPart),
    #[n(4)]
    TransferLeader(#[n(0)] TransferLeader),
    /// A command, for the leader.
    #[n(5)]
    Propose(#[cbor(n(0), with = "cbor_bytes")] Bytes),
    /// Up to which entry a read that begins now must see, of the leader.
    #[n(6)]
    ReadIndex,
}

/// Entries, and what is agreed; without entries, that the leader is alive.
#[derive(Debug, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Append {
    #[n(0)]
    pub(crate) ballot: Ballot,
    #[n(1)]
    pub(crate) previous: Option<Position>,
    #[n(2)]
    pub(crate) entries: Vec<Entry>,
    #[n(3)]
    pub(crate) committed: Option<Position>,
}

#[derive(Debug, Encode, Decode)]
#[cbor(array)]
pub(crate) struct VoteRequest {
    #[n(0)]
    pub(crate) ballot: Ballot,
    #[n(1)]
    pub(crate) last: Option<Position>,
    /// The present leader wants it.
    #[n(2)]
    pub(crate) transfer: bool,
}

/// Bytes of a snapshot file, in order.
#[derive(Debug, Encode, Decode)]
#[cbor(array)]
pub(crate) struct SnapshotPart {
    #[n(0)]
    pub(crate) ballot: Ballot,
    #[n(1)]
    pub(crate) offset: u64,
    #[cbor(n(2), with = "cbor_bytes")]
    pub(crate) bytes: Bytes,
    /// Length of the file.
    #[n(3)]
    pub(crate) total: u64,
}

#[derive(Debug, Encode, Decode)]
#[cbor(array)]
pub(crate) struct TransferLeader {
    #[n(0)]
    pub(crate) from: Ballot,
    #[n(1)]
    pub(crate) to: MemberId,
    #[n(2)]
    pub(crate) last: Option<Position>,
}

/// What is answered.
#[derive(Debug, Encode, Decode)]
pub(crate) enum Response {
    #[n(0)]
    Append(#[n(0)] Appended),
    #[n(1)]
    Vote(#[n(0)] Voted),
    #[n(2)]
    Snapshot(#[n(0)] SnapshotTaken),
    #[n(3)]
    LeaderTransferred,
    #[n(4)]
    Proposed(#[n(0)] Proposed),
    /// Up to which entry a read must see.
    #[n(5)]
    ReadIndex(#[n(0)] u64),
    #[n(6)]
    Refused(#[n(0)] Refusal),
}

#[derive(Debug, Encode, Decode)]
pub(crate) enum Appended {
    #[n(0)]
    All,
    #[n(1)]
    UpTo(#[n(0)] Option<Position>),
    /// The entry before them is another one here.
    #[n(2)]
    Conflict,
    #[n(3)]
    HigherBallot(#[n(0)] Ballot),
}

#[derive(Debug, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Voted {
    #[n(0)]
    pub(crate) ballot: Ballot,
    #[n(1)]
    pub(crate) granted: bool,
    #[n(2)]
    pub(crate) last: Option<Position>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) enum SnapshotTaken {
    /// The next part is expected.
    #[n(0)]
    Part,
    /// All of it is in force; the ballot is the receiver's.
    #[n(1)]
    Installed(#[n(0)] Ballot),
    /// Another transfer came between: begin again.
    #[n(2)]
    Restart,
}

/// A command that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Proposed {
    /// The index of its entry.
    #[n(0)]
    pub index: u64,
    /// What the state machine replied.
    #[cbor(n(1), with = "cbor_bytes")]
    pub reply: Bytes,
}

/// A member of the group, and the node that it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Member {
    /// The member.
    #[n(0)]
    pub id: MemberId,
    /// The node's name.
    #[n(1)]
    pub node: String,
}

/// Why a member does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nothing was done.
    #[n(0)]
    #[error("it does not lead")]
    NotLeader(#[n(0)] Option<Member>),
    #[n(1)]
    #[error("it is member {0}")]
    WrongMember(#[n(0)] MemberId),
    #[n(2)]
    #[error("it is no member of the group")]
    WrongGroup,
    /// The command may have been done, or may be yet.
    #[n(3)]
    #[error("another member leads since: whether the command was done is not known")]
    Unknown,
    #[n(4)]
    #[error("it cannot reach a majority")]
    NoMajority,
    #[n(5)]
    #[error("its engine has stopped: {0}")]
    Stopped(#[n(0)] String),
    #[n(6)]
    #[error("{0}")]
    Invalid(#[n(0)] String),
}

/// The bytes of a message.
pub(crate) fn encode(message: &impl Encode<()>) -> Bytes {
    let mut bytes = Vec::new();
    encode_to(&mut bytes, message);
    bytes.into()
}
