//! Log entries, votes and members as they are kept and sent: CBOR maps and arrays whose fields
//! carry numbers.
//!
//! None of the engine's own types is written anywhere: it may change them with any version. A
//! field that is added here gets the next free number and a default, so that an older version
//! skips it and a newer one does without it; a number is never used again for something else.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use minicbor::{Decode, Encode};

/// A member of the group. Never given to another machine or another data directory: a member
/// that lost its disk comes back under a new one.
pub type MemberId = u64;

/// A vote: for whom, in which term, and whether a majority gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Ballot {
    /// The term.
    #[n(0)]
    pub term: u64,
    /// Who would lead it.
    #[n(1)]
    pub candidate: MemberId,
    /// Whether the candidate leads: a majority voted for it.
    #[n(2)]
    pub elected: bool,
}

/// Where an entry is in the log, and which leader put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Position {
    /// The term of the leader.
    #[n(0)]
    pub term: u64,
    /// The leader.
    #[n(1)]
    pub leader: MemberId,
    /// How many entries come before it.
    #[n(2)]
    pub index: u64,
}

/// Who takes part, and who votes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Members {
    /// The voters: one set, or two while they change; a majority of each is needed.
    #[n(0)]
    pub voters: Vec<BTreeSet<MemberId>>,
    /// All members, learners among them, with the name of the node that each is.
    #[n(1)]
    pub nodes: BTreeMap<MemberId, String>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Content {
    /// Nothing: a leader's first entry.
    #[n(0)]
    Blank,
    /// A command for the state machine.
    #[n(1)]
    Command(#[cbor(n(0), with = "cbor_bytes")] Bytes),
    /// Who takes part from here on.
    #[n(2)]
    Members(#[n(0)] Members),
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Entry {
    /// Where it is.
    #[n(0)]
    pub position: Position,
    /// What it says.
    #[n(1)]
    pub content: Content,
}

impl Entry {
    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        const FRAME: usize = 40;
        match &self.content {
            Content::Blank => FRAME,
            Content::Command(command) => FRAME + command.len(),
            Content::Members(members) => {
                let names: usize = members.nodes.values().map(|name| name.len() + 16).sum();
                FRAME + names + 9 * members.voters.iter().map(BTreeSet::len).sum::<usize>()
            }
        }
    }
}

/// A byte string as [`Bytes`].
pub(crate) mod cbor_bytes {
    use bytes::Bytes;
    use minicbor::decode::Error;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: Write>(
        bytes: &Bytes,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(bytes)?.ok()
    }

    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, Error> {
        decoder.bytes().map(Bytes::copy_from_slice)
    }
}

/// The format of what begins with its number, in whatever version: of a newer one only that is
/// known.
pub(crate) fn format_of(body: &[u8]) -> Result<u32, minicbor::decode::Error> {
    #[derive(Decode)]
    #[cbor(array)]
    struct First {
        #[n(0)]
        format: u32,
    }
    minicbor::decode::<First>(body).map(|first| first.format)
}

/// Encodes a value whose writing cannot fail: it goes to memory.
pub(crate) fn encode_to(into: &mut Vec<u8>, value: &impl Encode<()>) {
    minicbor::encode(value, into).expect("memory takes all that is written to it");
}
