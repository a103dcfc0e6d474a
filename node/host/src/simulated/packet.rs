//! Packet inspection.
//!
//! What the wire and the kernel read off a packet without the stack's help.

use std::net::Ipv4Addr;

/// An IPv4 packet.
pub(super) type Packet = Vec<u8>;

/// Who sent a TCP segment to whom, and which flags decide about connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) source: Ipv4Addr,
    pub(super) source_port: u16,
    pub(super) destination: Ipv4Addr,
    pub(super) destination_port: u16,
    /// A SYN without ACK: somebody dials.
    pub(super) dials: bool,
    pub(super) resets: bool,
}

const TCP: u8 = 6;
/// Headers count their length in words of so many bytes.
const IP_HEADER_WORD_BYTES: usize = 4;
/// An IPv4 header and a TCP header without options.
const RESET_BYTES: usize = 40;
const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
const FLAG_ACK: u8 = 0x10;

/// Where a packet wants to go; `None` when it is not IPv4.
pub(super) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let version = packet.first()? >> 4;
    let octets: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    (version == 4).then(|| octets.into())
}

/// The reset with which the other end of a connection would answer this segment; `None` when
/// this is not TCP over IPv4.
pub(super) fn reset_for(packet: &[u8]) -> Option<Packet> {
    let segment = segment(packet)?;
    let tcp = packet.get(usize::from(packet[0] & 0x0f) * IP_HEADER_WORD_BYTES..)?;
    let acknowledged = tcp.get(8..12)?;
    let mut reset = vec![0; RESET_BYTES];
    // Version 4, a header of five words; then total length, do not fragment, time to live.
    reset[0] = 0x45;
    reset[3] = RESET_BYTES as u8;
    reset[6] = 0x40;
    reset[8] = 64;
    reset[9] = TCP;
    reset[12..16].copy_from_slice(&segment.destination.octets());
    reset[16..20].copy_from_slice(&segment.source.octets());
    reset[20..22].copy_from_slice(&segment.destination_port.to_be_bytes());
    reset[22..24].copy_from_slice(&segment.source_port.to_be_bytes());
    // What its sender expects next is what it acknowledged last: so it believes the reset.
    reset[24..28].copy_from_slice(acknowledged);
    reset[32] = 0x50;
    reset[33] = FLAG_RST;
    Some(reset)
}

/// A segment as two that acknowledge numbers half of all numbers apart: of a connection that
/// has sent little, one of them acknowledges what it never sent.
pub(super) fn acknowledging_anything(packet: &[u8]) -> [Packet; 2] {
    [0u32, 1 << 31].map(|number| {
        let mut packet = packet.to_vec();
        let tcp = usize::from(packet[0] & 0x0f) * IP_HEADER_WORD_BYTES;
        packet[tcp + 8..tcp + 12].copy_from_slice(&number.to_be_bytes());
        packet[tcp + 13] = FLAG_ACK;
        packet
    })
}

/// Reads the headers; `None` when this is not TCP over IPv4.
pub(super) fn segment(packet: &[u8]) -> Option<Segment> {
    let destination = destination(packet)?;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let tcp = packet.get(usize::from(packet[0] & 0x0f) * IP_HEADER_WORD_BYTES..)?;
    let (ports, flags) = (tcp.get(..4)?, *tcp.get(13)?);
    (packet[9] == TCP).then(|| Segment {
        source: source.into(),
        source_port: u16::from_be_bytes([ports[0], ports[1]]),
        destination,
        destination_port: u16::from_be_bytes([ports[2], ports[3]]),
        dials: flags & (FLAG_SYN | FLAG_ACK) == FLAG_SYN,
        resets: flags & FLAG_RST != 0,
    })
}
