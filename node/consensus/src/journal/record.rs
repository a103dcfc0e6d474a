//! Records of the log file: what changes, in the order in which it does.

use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode};

use super::JournalError;
use crate::entry::{Ballot, Entry, MemberId, Position, encode_to, format_of};

/// The format that this program writes.
pub(crate) const FORMAT: u32 = 1;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Identity {
    /// The group.
    #[n(0)]
    pub group: u32,
    /// Who of the group keeps it.
    #[n(1)]
    pub member: MemberId,
}

/// The body of a file's first frame: what held when it was begun.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Head {
    #[n(0)]
    pub(crate) format: u32,
    #[n(1)]
    pub(crate) identity: Identity,
    /// Of the checksums of the frames behind it.
    #[n(2)]
    pub(crate) salt: u64,
    #[n(3)]
    pub(crate) ballot: Option<Ballot>,
    #[n(4)]
    pub(crate) purged: Option<Position>,
    #[n(5)]
    pub(crate) committed: Option<Position>,
}

/// A change of the log.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Record {
    /// The vote.
    #[n(0)]
    Ballot(#[n(0)] Ballot),
    /// The next entry.
    #[n(1)]
    Append(#[n(0)] Entry),
    /// Entries from this index on are no more.
    #[n(2)]
    TruncateFrom(#[n(0)] u64),
    /// Entries up to this one are no more: a snapshot has them.
    #[n(3)]
    Purge(#[n(0)] Position),
    /// Entries up to this one are agreed.
    #[n(4)]
    Committed(#[n(0)] Position),
}

/// The body of a frame: the records one behind the other.
pub(crate) fn encode(records: &[Record]) -> Vec<u8> {
    let mut body = Vec::new();
    records.iter().for_each(|record| encode_to(&mut body, record));
    body
}

/// The records of a frame.
pub(crate) fn decode(file: &str, body: &Bytes) -> Result<Vec<Record>, JournalError> {
    let mut decoder = Decoder::new(body);
    let mut records = Vec::new();
    while decoder.position() < body.len() {
        records.push(decoder.decode().map_err(|source| unreadable(file, source))?);
    }
    Ok(records)
}

/// The head of a file.
pub(crate) fn decode_head(file: &str, body: &Bytes) -> Result<Head, JournalError> {
    match format_of(body).map_err(|source| unreadable(file, source))? {
        FORMAT => minicbor::decode(body).map_err(|source| unreadable(file, source)),
        format => Err(JournalError::Format { file: file.to_owned(), format }),
    }
}

fn unreadable(file: &str, source: minicbor::decode::Error) -> JournalError {
    let what = format!("what its checksum vouches for cannot be read: {source}");
    JournalError::Damaged { file: file.to_owned(), what }
}
