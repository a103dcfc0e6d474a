//! The wire between machines and the names they have.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What one direction between two machines does to packets.
#[derive(Clone, Debug)]
pub struct Link {
    /// Drawn for each packet.
    pub latency: RangeInclusive<Duration>,
    /// Share of packets lost, 0.0 to 1.0.
    pub loss: f64,
}

/// What went over the wire so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireStats {
    /// Packets that machines sent.
    pub packets_sent: u64,
    /// Packets that arrived.
    pub packets_delivered: u64,
    /// Packets lost, cut off, or sent to nobody.
    pub packets_dropped: u64,
    /// Bytes of all packets sent.
    pub bytes_sent: u64,
    /// Rolling digest of time, sender, receiver and contents of every packet.
    pub digest: u64,
}

/// All machines of a run. Cheap to clone. Machines are named; a link stays with the name
/// when the address changes.
#[derive(Clone, Debug)]
pub struct Network {}

impl Network {
    /// A network in the current madsim runtime; `seed` draws latency and loss.
    pub fn new(seed: u64, default_link: Link) -> Self {
        todo!("{seed} {default_link:?}")
    }

    /// Replaces the link of one direction.
    pub fn set_link(&self, from: &str, to: &str, link: Link) {
        todo!("{from} {to} {link:?}")
    }

    /// Drops every packet of one direction until `mend`, those under way included.
    pub fn cut(&self, from: &str, to: &str) {
        todo!("{from} {to}")
    }

    /// Ends a cut.
    pub fn mend(&self, from: &str, to: &str) {
        todo!("{from} {to}")
    }

    /// Lets `name` resolve to `address`, or to nothing.
    pub fn set_dns(&self, name: &str, address: Option<Ipv4Addr>) {
        todo!("{name} {address:?}")
    }

    /// What went over the wire so far.
    pub fn stats(&self) -> WireStats {
        todo!()
    }
}
