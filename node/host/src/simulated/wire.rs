//! Simulated links.
//!
//! Packets under way: who gets them, when, and which are lost.
//!
//! A packet goes to whichever machine has its destination address when it arrives, and to
//! nobody when no powered machine has it: silence, not an error, as on a real network.
//! Packets of one direction never overtake each other. Every direction draws from a
//! generator of its own, so that traffic on one link does not shift the others.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::firewall::{Guard, Passage};
use super::kernel::Kernel;
use super::network::{Link, WireStats};
use super::packet::{self, Packet};

/// Arrivals are rounded up to a multiple of this, as a network card that gathers its
/// interrupts would: it lets one wake-up deliver many packets.
const ARRIVAL_GRANULARITY: Duration = Duration::from_micros(50);

/// What a packet to oneself takes.
const LOOPBACK_LATENCY: Duration = Duration::from_micros(20);

/// A machine by the order in which its name came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MachineId(u32);

/// The state of the wire; holds no lock and starts no task.
pub(super) struct Wire {
    seed: u64,
    default_link: Link,
    names: BTreeMap<String, MachineId>,
    /// Whose address it is, powered or not.
    addresses: BTreeMap<Ipv4Addr, MachineId>,
    /// Who is powered and has the address.
    routes: BTreeMap<Ipv4Addr, (MachineId, Arc<Kernel>)>,
    directions: BTreeMap<(MachineId, MachineId), Direction>,
    pub(super) firewall: Option<Guard>,
    under_way: BTreeMap<(Duration, u64), Flight>,
    packets_numbered: u64,
    stats: WireStats,
}

struct Direction {
    link: Link,
    cut: bool,
    rng: ChaCha8Rng,
    last_arrival: Duration,
}

struct Flight {
    from: MachineId,
    to: MachineId,
    destination: Ipv4Addr,
    packet: Packet,
}

impl Wire {
    pub(super) fn new(seed: u64, default_link: Link) -> Self {
        Wire {
            seed,
            default_link,
            names: BTreeMap::new(),
            addresses: BTreeMap::new(),
            routes: BTreeMap::new(),
            directions: BTreeMap::new(),
            firewall: None,
            under_way: BTreeMap::new(),
            packets_numbered: 0,
            stats: WireStats::default(),
        }
    }

    pub(super) fn stats(&self) -> WireStats {
        self.stats
    }

    pub(super) fn name_of(&self, machine: MachineId) -> Option<&str> {
        let mut names = self.names.iter();
        names.find(|(_, known)| **known == machine).map(|(name, _)| name.as_str())
    }

    pub(super) fn machine(&mut self, name: &str) -> MachineId {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = MachineId(u32::try_from(self.names.len()).expect("fewer than 2^32 machines"));
        self.names.insert(name.to_owned(), id);
        id
    }

    /// Gives an address to a machine in place of the one it had.
    ///
    /// # Panics
    /// When another machine has the address, or when it is not one that a machine can have.
    pub(super) fn claim_address(&mut self, machine: MachineId, address: Ipv4Addr) {
        assert!(
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_broadcast()
                || address.is_multicast()),
            "{address} is not the address of a machine"
        );
        let owner = *self.addresses.entry(address).or_insert(machine);
        assert!(owner == machine, "another machine has the address {address}");
        self.addresses.retain(|had, owner| *owner != machine || *had == address);
    }

    pub(super) fn attach(&mut self, machine: MachineId, address: Ipv4Addr, kernel: Arc<Kernel>) {
        assert_eq!(self.addresses.get(&address), Some(&machine), "the address is the machine's");
        let before = self.routes.insert(address, (machine, kernel));
        assert!(before.is_none(), "a machine was switched on twice");
    }

    /// Packets to the address go nowhere from now on. The kernel is given back so that it
    /// is dropped outside any lock.
    pub(super) fn detach(&mut self, address: Ipv4Addr) -> Option<Arc<Kernel>> {
        self.routes.remove(&address).map(|(_, kernel)| kernel)
    }

    pub(super) fn direction(&mut self, from: &str, to: &str) -> DirectionHandle<'_> {
        let ends = (self.machine(from), self.machine(to));
        self.ensure_direction(ends);
        DirectionHandle { wire: self, ends }
    }

    fn ensure_direction(&mut self, ends: (MachineId, MachineId)) -> &mut Direction {
        let (seed, names) = (self.seed, &self.names);
        self.directions.entry(ends).or_insert_with(|| {
            // By name, so that the order in which machines come up decides nothing.
            let name_of = |id| names.iter().find(|(_, known)| **known == id).map(|(name, _)| name);
            let digest =
                |id| name_of(id).map_or(0, |name| u64::from(crc32c::crc32c(name.as_bytes())));
            let own = digest(ends.0) << 32 | digest(ends.1);
            Direction {
                link: self.default_link.clone(),
                cut: false,
                rng: ChaCha8Rng::seed_from_u64(seed ^ own),
                last_arrival: Duration::ZERO,
            }
        })
    }

    /// Takes a packet from a machine at `now`.
    pub(super) fn send(&mut self, now: Duration, from: MachineId, packet: Packet) {
        self.packets_numbered += 1;
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += packet.len() as u64;
        let address = packet::destination(&packet);
        self.note(now, from, address, &packet);

        let loops = address.is_some_and(|address| address.is_loopback());
        let to = match address.and_then(|address| self.routes.get(&address)) {
            _ if loops => from,
            Some((to, _)) => *to,
            None => return self.drop_one(),
        };
        let destination = address.expect("a packet with a receiver has an address");
        let passage = match &mut self.firewall {
            Some(firewall) => firewall.inspect(now, (from, to), &packet),
            None => Passage::Through,
        };
        match passage {
            Passage::Through => self.set_out(now, Flight { from, to, destination, packet }),
            Passage::Dropped => self.drop_one(),
            Passage::Answered(reset) => {
                self.drop_one();
                self.packets_numbered += 1;
                self.stats.packets_sent += 1;
                self.stats.bytes_sent += reset.len() as u64;
                let destination = packet::destination(&reset);
                self.note(now, to, destination, &reset);
                let destination = destination.expect("a reset goes back to an address");
                self.set_out(now, Flight { from: to, to: from, destination, packet: reset });
            }
        }
    }

    /// Puts the packet that was numbered last under way, unless it is lost.
    fn set_out(&mut self, now: Duration, flight: Flight) {
        match self.draw_arrival(now, flight.from, flight.to) {
            Some(arrival) => {
                self.under_way.insert((arrival, self.packets_numbered), flight);
            }
            None => self.drop_one(),
        }
    }

    /// When a packet sent now arrives; `None` when it is lost.
    fn draw_arrival(&mut self, now: Duration, from: MachineId, to: MachineId) -> Option<Duration> {
        let direction = self.ensure_direction((from, to));
        // Both are drawn always: the fate of one packet does not shift the next one's.
        let lost = direction.rng.random_bool(direction.link.loss);
        let drawn = nanos(*direction.link.latency.start())..=nanos(*direction.link.latency.end());
        let drawn = Duration::from_nanos(direction.rng.random_range(drawn));
        let latency = if from == to { LOOPBACK_LATENCY } else { drawn };
        if direction.cut || (lost && from != to) {
            return None;
        }
        direction.last_arrival = direction.last_arrival.max(round_up(now + latency));
        Some(direction.last_arrival)
    }

    /// When the next packet arrives.
    pub(super) fn next_arrival(&self) -> Option<Duration> {
        self.under_way.first_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// Moves what has arrived by `now` to `arrived`, in order, with its receivers.
    pub(super) fn take_arrived(&mut self, now: Duration, arrived: &mut Vec<(Arc<Kernel>, Packet)>) {
        while let Some(first) = self.under_way.first_entry() {
            if first.key().0 > now {
                return;
            }
            let flight = first.remove();
            let receiver = if flight.destination.is_loopback() {
                self.routes.values().find(|(machine, _)| *machine == flight.to)
            } else {
                self.routes.get(&flight.destination)
            };
            match receiver {
                Some((_, kernel)) => {
                    self.stats.packets_delivered += 1;
                    arrived.push((kernel.clone(), flight.packet));
                }
                None => self.drop_one(),
            }
        }
    }

    /// Forgets every machine and every packet; gives the kernels back.
    pub(super) fn clear(&mut self) -> Vec<Arc<Kernel>> {
        self.under_way.clear();
        std::mem::take(&mut self.routes).into_values().map(|(_, kernel)| kernel).collect()
    }

    fn drop_one(&mut self) {
        self.stats.packets_dropped += 1;
    }

    fn note(&mut self, now: Duration, from: MachineId, to: Option<Ipv4Addr>, packet: &[u8]) {
        let to = to.map_or(0, |address| u64::from(address.to_bits()));
        let contents = u64::from(crc32c::crc32c(packet));
        for word in [nanos(now), u64::from(from.0) << 32 | to, contents] {
            // One round of a multiplicative hash; the constant is 2^64 over the golden ratio.
            self.stats.digest =
                (self.stats.digest.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

/// One direction, to be changed.
pub(super) struct DirectionHandle<'a> {
    wire: &'a mut Wire,
    ends: (MachineId, MachineId),
}

impl DirectionHandle<'_> {
    /// # Panics
    /// When the loss is not a share, or the latency range is empty.
    pub(super) fn set_link(&mut self, link: Link) {
        link.check();
        self.wire.ensure_direction(self.ends).link = link;
    }

    pub(super) fn cut(&mut self) {
        self.wire.ensure_direction(self.ends).cut = true;
        let ends = self.ends;
        let before = self.wire.under_way.len();
        self.wire.under_way.retain(|_, flight| (flight.from, flight.to) != ends);
        let dropped = before - self.wire.under_way.len();
        self.wire.stats.packets_dropped += dropped as u64;
    }

    pub(super) fn mend(&mut self) {
        self.wire.ensure_direction(self.ends).cut = false;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("584 years are enough")
}

fn round_up(at: Duration) -> Duration {
    let tick = nanos(ARRIVAL_GRANULARITY);
    Duration::from_nanos(nanos(at).next_multiple_of(tick))
}
