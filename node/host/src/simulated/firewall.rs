//! Stateful firewall.
//!
//! A firewall or NAT in front of machines: it knows the connections that go through it, and
//! forgets those on which nothing was said for a while.
//!
//! What belongs to no connection it knows is not let through, in either direction: silently,
//! or answered with a reset in the other end's name. Only a dial makes a connection known.
//! The two ends are told nothing when theirs is forgotten; that is what makes a half-open
//! connection out of an idle one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use super::packet::{self, Packet, Segment};
use super::wire::MachineId;

/// How long a firewall remembers, and what it does with what it no longer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// A connection without a packet for longer than this is forgotten.
    pub forgets_after: Duration,
    /// What becomes of the packets of a connection that it does not know.
    pub stray: Stray,
}

/// What a firewall does with a packet of a connection that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Drops it; its sender hears nothing.
    Drop,
    /// Drops it and answers with a reset, as if the other end had sent it.
    Reset,
}

/// What is to become of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Through,
    Dropped,
    /// Dropped; this goes back to its sender.
    Answered(Packet),
}

/// Both ends, the lesser first: a connection is the same from either side.
type Flow = (SocketAddrV4, SocketAddrV4);

/// A firewall at work.
pub(super) struct Guard {
    rule: Firewall,
    /// The machines behind it.
    guarded: BTreeSet<MachineId>,
    /// When a packet of a connection last came by.
    last_seen: BTreeMap<Flow, Duration>,
}

impl Guard {
    pub(super) fn new(rule: Firewall, guarded: BTreeSet<MachineId>) -> Self {
        Guard { rule, guarded, last_seen: BTreeMap::new() }
    }

    /// Forgets every connection, as one that was restarted does.
    pub(super) fn forget_all(&mut self) {
        self.last_seen.clear();
    }

    /// Looks at a packet on its way between two machines.
    pub(super) fn inspect(
        &mut self,
        now: Duration,
        (from, to): (MachineId, MachineId),
        packet: &[u8],
    ) -> Passage {
        let in_its_way = self.guarded.contains(&from) || self.guarded.contains(&to);
        if from == to || !in_its_way {
            return Passage::Through;
        }
        let Some(segment) = packet::segment(packet) else { return Passage::Through };
        let flow = flow(&segment);
        let forgets_after = self.rule.forgets_after;
        if segment.dials {
            // Only here does the table grow, so only here are the forgotten swept out.
            self.last_seen.retain(|_, seen| now - *seen <= forgets_after);
            self.last_seen.insert(flow, now);
            return Passage::Through;
        }
        match self.last_seen.get_mut(&flow) {
            Some(seen) if now - *seen <= forgets_after => {
                *seen = now;
                if segment.resets {
                    self.last_seen.remove(&flow);
                }
                Passage::Through
            }
            _ => self.stray(&segment, packet),
        }
    }

    fn stray(&self, segment: &Segment, packet: &[u8]) -> Passage {
        match self.rule.stray {
            // A reset is never answered.
            Stray::Reset if !segment.resets => {
                packet::reset_for(packet).map_or(Passage::Dropped, Passage::Answered)
            }
            _ => Passage::Dropped,
        }
    }
}

fn flow(segment: &Segment) -> Flow {
    let source = SocketAddrV4::new(segment.source, segment.source_port);
    let destination = SocketAddrV4::new(segment.destination, segment.destination_port);
    (source.min(destination), source.max(destination))
}
