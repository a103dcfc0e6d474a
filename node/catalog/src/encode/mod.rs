//! Encoding: commands, replies and the state as bytes.
//!
//! A byte that says the format, then CBOR with numbered fields. A reader takes no more memory than
//! the bytes that it was given justify: a length that they claim is believed only as the bytes
//! come.

mod snapshot;

#[cfg(test)]
pub(crate) mod tests;

use gitstratum_core::format::NewerFormat;
use gitstratum_core::limits::COMMAND_BYTES_MAX;
use minicbor::{Decode, Encode};

use crate::command::Command;
use crate::query::{Answer, Query};
use crate::reply::Reply;

pub use snapshot::{SnapshotError, SnapshotReader, snapshot};

/// The form of commands and replies that this program writes, and the only one that it reads.
pub const FORMAT: u8 = 1;

/// Why bytes are no command or reply, or a command cannot be bytes.
#[derive(Debug, thiserror::Error)]
pub enum EncodingError {
    /// More bytes than a command may have.
    #[error(
        "the command takes {bytes} bytes, over the limit of {COMMAND_BYTES_MAX}: send it in parts"
    )]
    Large {
        /// How many.
        bytes: usize,
    },
    /// No bytes at all.
    #[error("there are no bytes")]
    Empty,
    /// Of a form that this program does not read.
    #[error("{}", newer("what the catalog was told or answered", .0, FORMAT))]
    Format(u8),
    /// Not what this form says.
    #[error("cannot be decoded: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// Something stands after the value.
    #[error("{0} bytes stand after the value")]
    Trailing(usize),
}

/// The bytes of a command.
///
/// # Errors
/// [`EncodingError::Large`].
pub fn encode_command(command: &Command) -> Result<Vec<u8>, EncodingError> {
    let bytes = encode(command);
    check_size(bytes.len())?;
    Ok(bytes)
}

/// The command of these bytes.
///
/// # Errors
/// [`EncodingError`]. Where the bytes were committed, the node cannot go on: it does not know what
/// the others do.
pub fn decode_command(bytes: &[u8]) -> Result<Command, EncodingError> {
    check_size(bytes.len())?;
    decode(bytes)
}

/// The bytes of a reply.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    encode(reply)
}

/// The reply of these bytes.
///
/// # Errors
/// [`EncodingError`].
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, EncodingError> {
    decode(bytes)
}

/// The bytes of a query.
pub fn encode_query(query: &Query) -> Vec<u8> {
    encode(query)
}

/// The query of these bytes.
///
/// # Errors
/// [`EncodingError`].
pub fn decode_query(bytes: &[u8]) -> Result<Query, EncodingError> {
    decode(bytes)
}

/// The bytes of an answer to a query.
pub fn encode_answer(answer: &Answer) -> Vec<u8> {
    encode(answer)
}

/// The answer of these bytes.
///
/// # Errors
/// [`EncodingError`].
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, EncodingError> {
    decode(bytes)
}

fn newer(what: &str, found: &u8, newest: u8) -> NewerFormat {
    NewerFormat::new(what, found, newest.into())
}

fn check_size(bytes: usize) -> Result<(), EncodingError> {
    if bytes > COMMAND_BYTES_MAX { Err(EncodingError::Large { bytes }) } else { Ok(()) }
}

fn encode(value: &impl Encode<()>) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    minicbor::encode(value, &mut bytes).expect("memory takes what is written to it");
    bytes
}

fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, EncodingError> {
    let (&format, body) = bytes.split_first().ok_or(EncodingError::Empty)?;
    if format != FORMAT {
        return Err(EncodingError::Format(format));
    }
    let mut decoder = minicbor::Decoder::new(body);
    let value = decoder.decode()?;
    match body.len() - decoder.position() {
        0 => Ok(value),
        more => Err(EncodingError::Trailing(more)),
    }
}
