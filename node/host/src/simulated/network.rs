//! Simulated network.
//!
//! The wire between machines and the names they have.

use std::fmt;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use madsim::runtime::{Handle, NodeHandle};
use madsim::task::NodeId;

use super::clock::{Alarm, Clock};
use super::firewall::{Firewall, Guard};
use super::kernel::Kernel;
use super::names::Names;
use super::packet::Packet;
use super::time_of_day::set_all_right;
use super::wire::{MachineId, Wire};

/// How many packets are delivered before madsim's list of tasks is cleared of dead ones.
const DELIVERIES_BETWEEN_SWEEPS: usize = 50_000;

/// What one direction between two machines does to packets.
#[derive(Clone, Debug)]
pub struct Link {
    /// Drawn for each packet. Packets do not overtake each other, so a slow one holds up
    /// those behind it.
    pub latency: RangeInclusive<Duration>,
    /// Share of packets lost, 0.0 to 1.0.
    pub loss: f64,
}

impl Link {
    /// # Panics
    /// When the loss is not a share, or the latency range is empty.
    pub(super) fn check(&self) {
        assert!((0.0..=1.0).contains(&self.loss), "a loss of {} is not a share", self.loss);
        assert!(!self.latency.is_empty(), "the latency range {:?} is empty", self.latency);
    }
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
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    runtime: Handle,
    state: Mutex<State>,
}

/// Told of every dial: which machine, to where, how many connections its process has then.
type DialObserver = Arc<dyn Fn(&str, SocketAddrV4, usize) + Send + Sync>;

struct State {
    wire: Wire,
    names: Names,
    observer: Option<DialObserver>,
    /// Every madsim node of the run: the wire's, kernels, processes dead and alive.
    nodes: Vec<NodeId>,
    /// The delivering task, and the arrival it knows of.
    deliverer: Option<Waker>,
    awaited: Option<Duration>,
}

impl Network {
    /// A network in the current madsim runtime; `seed` draws latency and loss.
    ///
    /// # Panics
    /// Outside a madsim runtime, or when the link is not a possible one.
    pub fn new(seed: u64, default_link: Link) -> Self {
        default_link.check();
        set_all_right();
        let network = Network {
            shared: Arc::new(Shared {
                clock: Clock::current(),
                runtime: Handle::current(),
                state: Mutex::new(State {
                    wire: Wire::new(seed, default_link),
                    names: Names::default(),
                    observer: None,
                    nodes: Vec::new(),
                    deliverer: None,
                    awaited: None,
                }),
            }),
        };
        network.create_node("wire").spawn(network.clone().deliver());
        network
    }

    /// Replaces the link of one direction. Packets under way keep the time they had.
    ///
    /// # Panics
    /// When the loss is not a share, or the latency range is empty.
    pub fn set_link(&self, from: &str, to: &str, link: Link) {
        self.state().wire.direction(from, to).set_link(link);
    }

    /// Drops every packet of one direction until `mend`, those under way included.
    pub fn cut(&self, from: &str, to: &str) {
        self.state().wire.direction(from, to).cut();
    }

    /// Ends a cut.
    pub fn mend(&self, from: &str, to: &str) {
        self.state().wire.direction(from, to).mend();
    }

    /// Lets `name` resolve to `address`, or to nothing.
    pub fn set_dns(&self, name: &str, address: Option<Ipv4Addr>) {
        self.state().names.set(name, address);
    }

    /// How long the resolver of a machine remembers what a name resolved to; not at all at
    /// first.
    pub fn set_dns_time_to_live(&self, time_to_live: Duration) {
        self.state().names.set_time_to_live(time_to_live);
    }

    /// How much later than usual the name service answers. What a resolver remembers it
    /// answers at once, and it waits ten seconds at most.
    pub fn set_dns_delay(&self, delay: Duration) {
        self.state().names.set_delay(delay);
    }

    /// Puts a firewall between these machines and all others, and between them; connections
    /// that were made before are strange to it.
    pub fn set_firewall(&self, machines: &[String], rule: Firewall) {
        let mut state = self.state();
        let guarded = machines.iter().map(|name| state.wire.machine(name)).collect();
        state.wire.firewall = Some(Guard::new(rule, guarded));
    }

    /// The firewall forgets every connection. Nothing happens when there is none.
    pub fn forget_connections(&self) {
        if let Some(firewall) = &mut self.state().wire.firewall {
            firewall.forget_all();
        }
    }

    /// Calls `observer` whenever a process dials, with the machine's name, the address, and
    /// the number of connections that the process has open, this one included.
    pub fn observe_dials(
        &self,
        observer: impl Fn(&str, SocketAddrV4, usize) + Send + Sync + 'static,
    ) {
        self.state().observer = Some(Arc::new(observer));
    }

    /// What went over the wire so far.
    pub fn stats(&self) -> WireStats {
        self.state().wire.stats()
    }

    /// Ends the run: every machine is gone without a packet, and nothing of them is kept in
    /// memory once the runtime has had a moment of simulated time to drop their tasks.
    /// Without it the memory of a run is never freed, because tasks and sockets keep each
    /// other alive.
    pub fn shut_down(&self) {
        let (kernels, nodes) = {
            let mut state = self.state();
            (state.wire.clear(), std::mem::take(&mut state.nodes))
        };
        for kernel in kernels {
            kernel.power_lost();
        }
        for node in nodes {
            self.shared.runtime.kill(node);
        }
    }

    /// A madsim node that lives no longer than the network.
    pub(super) fn create_node(&self, name: &str) -> NodeHandle {
        let node = self.shared.runtime.create_node().name(name).build();
        self.state().nodes.push(node.id());
        node
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    pub(super) fn join(&self, name: &str, address: Ipv4Addr) -> MachineId {
        let mut state = self.state();
        let machine = state.wire.machine(name);
        state.wire.claim_address(machine, address);
        machine
    }

    pub(super) fn claim_address(&self, machine: MachineId, address: Ipv4Addr) {
        self.state().wire.claim_address(machine, address);
    }

    pub(super) fn attach(&self, machine: MachineId, address: Ipv4Addr, kernel: Arc<Kernel>) {
        self.state().wire.attach(machine, address, kernel);
    }

    pub(super) fn detach(&self, machine: MachineId, address: Ipv4Addr) -> Option<Arc<Kernel>> {
        let mut state = self.state();
        state.names.forget(machine);
        state.wire.detach(address)
    }

    pub(crate) fn recall(&self, machine: MachineId, name: &str) -> Result<Ipv4Addr, Duration> {
        self.state().names.recall(self.shared.clock.now(), machine, name)
    }

    pub(crate) fn look_up(&self, machine: MachineId, name: &str) -> Option<Ipv4Addr> {
        self.state().names.ask(self.shared.clock.now(), machine, name)
    }

    pub(crate) fn dialled(&self, machine: MachineId, remote: SocketAddrV4, open: usize) {
        let state = self.state();
        let (Some(observer), Some(name)) = (&state.observer, state.wire.name_of(machine)) else {
            return;
        };
        let (observer, name) = (observer.clone(), name.to_owned());
        drop(state);
        observer(&name, remote, open);
    }

    /// Takes the packets that a machine has to say.
    pub(super) fn send(&self, from: MachineId, packets: &mut Vec<Packet>) {
        let now = self.shared.clock.now();
        let mut state = self.state();
        for packet in packets.drain(..) {
            state.wire.send(now, from, packet);
        }
        let next = state.wire.next_arrival();
        if next.is_some_and(|next| state.awaited.is_none_or(|awaited| next < awaited))
            && let Some(deliverer) = &state.deliverer
        {
            deliverer.wake_by_ref();
        }
    }

    async fn deliver(self) {
        let mut alarm = Alarm::new(self.shared.clock.clone());
        let mut arrived = Vec::new();
        let mut delivered = 0_usize;
        poll_fn(|cx| self.poll_deliver(cx, &mut alarm, &mut arrived, &mut delivered)).await
    }

    fn poll_deliver(
        &self,
        cx: &mut Context<'_>,
        alarm: &mut Alarm,
        arrived: &mut Vec<(Arc<Kernel>, Packet)>,
        delivered: &mut usize,
    ) -> Poll<()> {
        loop {
            let mut state = self.state();
            state.wire.take_arrived(self.shared.clock.now(), arrived);
            state.awaited = state.wire.next_arrival();
            if state.deliverer.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                state.deliverer = Some(cx.waker().clone());
            }
            let next = state.awaited;
            drop(state);

            *delivered += arrived.len();
            if *delivered >= DELIVERIES_BETWEEN_SWEEPS {
                *delivered = 0;
                // madsim remembers every task that ever ran until it is asked for a count.
                self.shared.runtime.metrics().num_tasks();
            }
            for (kernel, packet) in arrived.drain(..) {
                kernel.receive(packet);
            }
            let Some(next) = next else { return Poll::Pending };
            if alarm.poll(cx, next).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// One thread runs everything and no lock is held across a call out of this file, so
    /// this never waits; a lock poisoned by a panic means that the run is over.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the run panicked")
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
