//! TCP/IP stack.
//!
//! A machine's TCP/IP stack: smoltcp, and what an operating system keeps around it.
//!
//! smoltcp is the protocol. This file adds what it leaves to its host: listeners with a
//! backlog, ephemeral ports, why a connection failed, connections that outlive their
//! owner. The stack knows no task and no lock; [`super::kernel`] drives it. What a process
//! does with its sockets is in [`super::sockets`].
//!
//! Invariant: a socket identifier is never used twice, so that a handle which outlived its
//! process can do no harm.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::task::Waker;
use std::time::Duration;

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration as StackDuration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, Ipv4Cidr};

use super::device::Device;
use super::packet::{self, Packet, Segment};

/// Each way, of each connection.
pub(super) const SOCKET_BUFFER_BYTES: usize = 256 * 1024;

/// Connections of one listener that wait for `accept` or are being made; a SYN beyond that
/// is dropped and its sender tries again, as on Linux.
const BACKLOG: usize = 1024;

/// How long sent data may stay unacknowledged by a peer that says nothing: what Linux's
/// `tcp_retries2` of 15 comes to.
const USER_TIMEOUT: Duration = Duration::from_secs(924);

/// How long a connection is kept whose owner is gone: Linux's `tcp_fin_timeout`.
pub(super) const ORPHAN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a caller may take to finish its handshake: Linux's `tcp_synack_retries` of 5.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(63);

/// The ports that callers are given, Linux's `ip_local_port_range`.
pub(super) const EPHEMERAL_PORTS: std::ops::Range<u16> = 32768..61000;

/// When the stack asks to be polled again at once although nothing was left to do.
const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(1);

pub(super) type SocketId = u64;

/// What tells the connections of one machine apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peers {
    pub(super) local_port: u16,
    pub(super) remote: SocketAddrV4,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused,
    Reset,
}

/// Who answers for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The listener on this port, until the handshake is done.
    Listener { port: u16, give_up_at: Duration },
    /// The process; a connection that waits for `accept` too.
    Process,
    /// Nobody: what was sent is still delivered, then the connection ends.
    Nobody { give_up_at: Duration },
}

pub(super) struct Entry {
    pub(super) handle: SocketHandle,
    pub(super) local: SocketAddrV4,
    pub(super) peers: Peers,
    pub(super) owner: Owner,
    pub(super) failure: Option<Failure>,
    /// The process has read to the end.
    pub(super) finished: bool,
    /// The process said that it sends no more.
    pub(super) shut: bool,
}

pub(super) struct Listening {
    pub(super) id: SocketId,
    /// Unspecified listens on all.
    pub(super) address: Ipv4Addr,
    /// Being made.
    embryos: usize,
    /// Made, and waiting for `accept`.
    pub(super) waiting: VecDeque<SocketId>,
    pub(super) acceptor: Option<Waker>,
}

impl Listening {
    pub(super) fn new(id: SocketId, address: Ipv4Addr) -> Self {
        Listening { id, address, embryos: 0, waiting: VecDeque::new(), acceptor: None }
    }
}

pub(super) struct Stack {
    pub(super) address: Ipv4Addr,
    pub(super) interface: Interface,
    device: Device,
    pub(super) sockets: SocketSet<'static>,
    pub(super) entries: BTreeMap<SocketId, Entry>,
    pub(super) by_peers: BTreeMap<Peers, SocketId>,
    pub(super) listeners: BTreeMap<u16, Listening>,
    pub(super) inbox: VecDeque<Packet>,
    embryos: Vec<SocketId>,
    pub(super) orphans: Vec<SocketId>,
    pub(super) next_id: SocketId,
    pub(super) next_port: u16,
}

impl Stack {
    /// A stack as after switching on. Its `seed` must differ from the one before, or old
    /// segments could be taken for new ones.
    pub(super) fn new(address: Ipv4Addr, seed: u64, now: Duration) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut device = Device::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = rng.next_u64();
        let mut interface = Interface::new(config, &mut device, instant(now));
        interface.update_ip_addrs(|addresses| {
            for cidr in [Ipv4Cidr::new(address, 32), Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8)] {
                addresses.push(IpCidr::Ipv4(cidr)).expect("smoltcp has room for two addresses");
            }
        });
        interface
            .routes_mut()
            .add_default_ipv4_route(address)
            .expect("smoltcp has room for one route");
        Stack {
            address,
            interface,
            device,
            sockets: SocketSet::new(Vec::new()),
            entries: BTreeMap::new(),
            by_peers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            inbox: VecDeque::new(),
            embryos: Vec::new(),
            orphans: Vec::new(),
            next_id: 0,
            next_port: rng.random_range(EPHEMERAL_PORTS),
        }
    }

    /// Takes in what arrived, sends what is due, and says when to be called again at the
    /// latest; `None` when only an event can change anything.
    pub(super) fn poll(&mut self, now: Duration, outgoing: &mut Vec<Packet>) -> Option<Duration> {
        let timestamp = instant(now);
        while let Some(packet) = self.inbox.pop_front() {
            self.take_in(now, packet);
        }
        self.settle_embryos(now);
        self.settle_orphans(now);
        self.watch_unacknowledged();
        while self.interface.poll_egress(timestamp, &mut self.device, &mut self.sockets)
            == PollResult::SocketStateChanged
        {}
        self.settle_orphans(now);
        outgoing.append(&mut self.device.outgoing);

        let stack_wants = self.interface.poll_at(timestamp, &self.sockets).map(duration);
        let stack_wants =
            stack_wants.map(|at| if at > now { at } else { now + BUSY_POLL_INTERVAL });
        let unowned = self.embryos.iter().chain(&self.orphans);
        let gives_up = unowned.filter_map(|id| match self.entries[id].owner {
            Owner::Listener { give_up_at, .. } | Owner::Nobody { give_up_at } => Some(give_up_at),
            Owner::Process => None,
        });
        gives_up.chain(stack_wants).min()
    }

    fn take_in(&mut self, now: Duration, packet: Packet) {
        let Some(segment) = packet::segment(&packet) else { return };
        if segment.dials && !self.admit(now, &segment) {
            return;
        }
        if segment.dials && self.is_established(&segment) {
            return self.challenge(now, &packet);
        }
        let struck =
            if segment.resets { self.by_peers.get(&peers(&segment)).copied() } else { None };
        let was_dialling = struck.is_some_and(|id| self.state(id) == State::SynSent);

        self.device.incoming = Some(packet);
        self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);

        if let Some(id) = struck
            && self.state(id) == State::Closed
            && let Some(entry) = self.entries.get_mut(&id)
        {
            let failure = if was_dialling { Failure::Refused } else { Failure::Reset };
            entry.failure.get_or_insert(failure);
        }
        if segment.resets {
            // An embryo that was reset listens again; it must not take the next caller.
            self.settle_embryos(now);
        }
    }

    /// Whether this side believes that the connection between the same ports stands.
    fn is_established(&self, segment: &Segment) -> bool {
        let Some(id) = self.by_peers.get(&peers(segment)) else { return false };
        !matches!(
            self.state(*id),
            State::Listen | State::SynSent | State::SynReceived | State::Closed
        )
    }

    /// Answers a SYN within a connection as RFC 5961 (4.2) and Linux do, with what this side
    /// has and expects: a caller that has forgotten the connection resets it, and its next SYN
    /// begins another. smoltcp drops a segment that acknowledges nothing, and answers one that
    /// acknowledges what was never sent: of the two, one does.
    fn challenge(&mut self, now: Duration, packet: &Packet) {
        for acknowledging in packet::acknowledging_anything(packet) {
            self.device.incoming = Some(acknowledging);
            self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);
        }
    }

    /// Whether a SYN may be seen by the stack, with a socket made for it where one listens.
    fn admit(&mut self, now: Duration, segment: &Segment) -> bool {
        let peers = peers(segment);
        if let Some(id) = self.by_peers.get(&peers).copied()
            && !self.make_way(id)
        {
            return true;
        }
        let listening = self.listeners.get_mut(&segment.destination_port).filter(|listening| {
            listening.address.is_unspecified() || listening.address == segment.destination
        });
        // Where nobody listens, the stack answers with a reset.
        let Some(listening) = listening else { return true };
        if listening.waiting.len() + listening.embryos >= BACKLOG {
            return false;
        }
        listening.embryos += 1;
        let mut socket = new_socket();
        socket
            .listen((segment.destination, segment.destination_port))
            .expect("a new socket can listen on a port");
        let port = segment.destination_port;
        let local = SocketAddrV4::new(segment.destination, port);
        let give_up_at = now + HANDSHAKE_TIMEOUT;
        let id = self.add(socket, local, peers, Owner::Listener { port, give_up_at });
        self.embryos.push(id);
        true
    }

    /// Whether a new connection may take the place of this one, because it is over.
    fn make_way(&mut self, id: SocketId) -> bool {
        match (self.state(id), self.entries[&id].owner) {
            (State::TimeWait, Owner::Nobody { .. }) => {
                self.orphans.retain(|orphan| *orphan != id);
                self.remove(id);
                true
            }
            // Its process still holds the handle, which answers why it ended.
            (State::Closed, _) => self.by_peers.remove(&self.entries[&id].peers).is_some(),
            _ => false,
        }
    }

    pub(super) fn add(
        &mut self,
        socket: Socket<'static>,
        local: SocketAddrV4,
        peers: Peers,
        owner: Owner,
    ) -> SocketId {
        let id = self.next_id;
        self.next_id += 1;
        let handle = self.sockets.add(socket);
        let entry =
            Entry { handle, local, peers, owner, failure: None, finished: false, shut: false };
        self.entries.insert(id, entry);
        let before = self.by_peers.insert(peers, id);
        assert!(before.is_none(), "two connections between the same ports");
        id
    }

    /// Forgets a socket without a packet.
    pub(super) fn remove(&mut self, id: SocketId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.sockets.remove(entry.handle);
            if self.by_peers.get(&entry.peers) == Some(&id) {
                self.by_peers.remove(&entry.peers);
            }
        }
    }

    pub(super) fn state(&self, id: SocketId) -> State {
        match self.entries.get(&id) {
            Some(entry) => self.sockets.get::<Socket<'_>>(entry.handle).state(),
            None => State::Closed,
        }
    }

    /// Hands finished handshakes to their listeners and forgets the failed ones.
    fn settle_embryos(&mut self, now: Duration) {
        let mut index = 0;
        while index < self.embryos.len() {
            let id = self.embryos[index];
            let Owner::Listener { port, give_up_at } = self.entries[&id].owner else {
                unreachable!("an embryo belongs to its listener");
            };
            let state = self.state(id);
            if state == State::SynReceived && now < give_up_at && self.listeners.contains_key(&port)
            {
                index += 1;
                continue;
            }
            // In order: who came first is handed out first.
            self.embryos.remove(index);
            let made = !matches!(state, State::SynReceived | State::Listen | State::Closed);
            match self.listeners.get_mut(&port) {
                Some(listening) => {
                    listening.embryos -= 1;
                    if made {
                        listening.waiting.push_back(id);
                        if let Some(acceptor) = listening.acceptor.take() {
                            acceptor.wake();
                        }
                        self.entries.get_mut(&id).expect("it was just looked at").owner =
                            Owner::Process;
                    } else {
                        self.remove(id);
                    }
                }
                None => self.remove(id),
            }
        }
    }

    /// Forgets the embryos of a listener that is gone; their callers learn it from the reset
    /// that their next segment meets.
    pub(super) fn drop_embryos(&mut self, port: u16) {
        let (gone, kept) = std::mem::take(&mut self.embryos).into_iter().partition(
            |id| matches!(self.entries[id].owner, Owner::Listener { port: of, .. } if of == port),
        );
        self.embryos = kept;
        let gone: Vec<SocketId> = gone;
        for id in gone {
            self.remove(id);
        }
    }

    /// Ends the connections nobody owns: those that are closed, those that took too long,
    /// and, with a reset, those whose peer still sends.
    fn settle_orphans(&mut self, now: Duration) {
        let mut index = 0;
        while index < self.orphans.len() {
            let id = self.orphans[index];
            let entry = &self.entries[&id];
            let Owner::Nobody { give_up_at } = entry.owner else {
                unreachable!("an orphan has no owner");
            };
            let socket = self.sockets.get_mut::<Socket<'_>>(entry.handle);
            let reset_to_send = socket.remote_endpoint().is_some();
            if now >= give_up_at || (socket.state() == State::Closed && !reset_to_send) {
                self.orphans.swap_remove(index);
                self.remove(id);
                continue;
            }
            if socket.recv_queue() > 0 {
                socket.abort();
            }
            index += 1;
        }
    }

    /// smoltcp's timeout would also end connections that are merely idle, so it is set only
    /// where something is on its way.
    fn watch_unacknowledged(&mut self) {
        let limit = StackDuration::from_secs(USER_TIMEOUT.as_secs());
        for (_, socket) in self.sockets.iter_mut() {
            let smoltcp::socket::Socket::Tcp(socket) = socket;
            socket.set_timeout((socket.send_queue() > 0).then_some(limit));
        }
    }
}

pub(super) fn new_socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; SOCKET_BUFFER_BYTES]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}

fn peers(segment: &Segment) -> Peers {
    Peers {
        local_port: segment.destination_port,
        remote: SocketAddrV4::new(segment.source, segment.source_port),
    }
}

fn instant(at: Duration) -> Instant {
    Instant::from_micros(i64::try_from(at.as_micros()).expect("292,000 years are enough"))
}

fn duration(at: Instant) -> Duration {
    Duration::from_micros(u64::try_from(at.total_micros()).unwrap_or(0))
}
