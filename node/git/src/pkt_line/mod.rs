//! pkt-line framing.
//!
//! Git's protocol speaks in packets: four hexadecimal digits that count themselves and what
//! follows, or one of three lengths that stand for a mark. [`Decoder`] finds packets in bytes that
//! come in parts of any size, [`Packets`] writes them, and [`SideBand`] carries several streams in
//! one. (`gitprotocol-common`, `gitprotocol-pack` and git's `pkt-line.c` define it.)
//!
//! Nothing here reads or writes; a decoder holds one packet and what was fed after it.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use decode::{Decoder, PacketError};
pub use encode::{Band, Packets, SideBand};

/// Bytes of a packet, its length included.
pub const PACKET_BYTES_MAX: usize = 65_520;
/// Bytes that its length takes.
pub const LENGTH_BYTES: usize = 4;
/// Bytes that a packet carries.
pub const PACKET_DATA_BYTES_MAX: usize = PACKET_BYTES_MAX - LENGTH_BYTES;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0000`: the end of a message.
    Flush,
    /// `0001`: between the sections of a message.
    Delimiter,
    /// `0002`: the end of a response, where the transport does not tell.
    ResponseEnd,
    /// What it carries, which may be nothing.
    Data(Bytes),
}

impl Packet {
    /// The line that a packet carries: without the line feed that may end it.
    pub fn line(data: &[u8]) -> &[u8] {
        data.strip_suffix(b"\n").unwrap_or(data)
    }
}
