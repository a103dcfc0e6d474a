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
const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
const FLAG_ACK: u8 = 0x10;

/// Where a packet wants to go; `None` when it is not IPv4.
pub(super) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let version = packet.first()? >> 4;
    let octets: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    (version == 4).then(|| octets.into())
}

/// Reads the headers; `None` when this is not TCP over IPv4.
pub(super) fn segment(packet: &[u8]) -> Option<Segment> {
    let destination = destination(packet)?;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let tcp = packet.get(usize::from(packet[0] & 0x0f) * 4..)?;
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
