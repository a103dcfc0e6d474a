//! Simulated network card.
//!
//! The machine's network card, as smoltcp sees it: one packet in, any number out.
//!
//! Checksums are not computed, because the wire never alters a packet. Buffers of packets
//! that were read are used again for packets to send.

use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use super::packet::Packet;

/// Far above what a real link has: the number of packets is what a simulation pays for.
const MTU_BYTES: usize = 32 * 1024;

/// Buffers kept for use again.
const SPARE_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Device {
    /// What the next ingress reads.
    pub(super) incoming: Option<Packet>,
    /// What egress wrote.
    pub(super) outgoing: Vec<Packet>,
    spare: Vec<Packet>,
}

pub(super) struct Received<'a> {
    packet: Packet,
    spare: &'a mut Vec<Packet>,
}

pub(super) struct Transmission<'a> {
    buffer: Packet,
    outgoing: &'a mut Vec<Packet>,
}

impl phy::Device for Device {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmission<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, Transmission<'_>)> {
        let packet = self.incoming.take()?;
        let buffer = self.spare.pop().unwrap_or_default();
        Some((
            Received { packet, spare: &mut self.spare },
            Transmission { buffer, outgoing: &mut self.outgoing },
        ))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmission<'_>> {
        let buffer = self.spare.pop().unwrap_or_default();
        Some(Transmission { buffer, outgoing: &mut self.outgoing })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU_BYTES;
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        let result = read(&self.packet);
        if self.spare.len() < SPARE_MAX {
            self.spare.push(self.packet);
        }
        result
    }
}

impl phy::TxToken for Transmission<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, write: F) -> R {
        self.buffer.clear();
        self.buffer.resize(len, 0);
        let result = write(&mut self.buffer);
        self.outgoing.push(self.buffer);
        result
    }
}
