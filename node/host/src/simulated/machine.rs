//! Simulated machine.
//!
//! One simulated machine: kernel, disk and at most one process.

use std::fmt;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use madsim::runtime::{Handle, NodeHandle};
use madsim::task::NodeId;
use tokio::time::sleep;

use super::kernel::Kernel;
use super::time_of_day::set_ahead;
use super::wire::MachineId;
use super::{DiskProfile, Network};
use crate::{Disk, Host, Net};

/// What a throttled process gets of the processor at a time.
const PROCESSOR_SLICE: Duration = Duration::from_millis(1);

/// A machine. Cheap to clone. New machines are powered on and run no process.
#[derive(Clone)]
pub struct Machine {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    id: MachineId,
    seed: u64,
    network: Network,
    disk: Disk,
    state: Mutex<State>,
}

struct State {
    address: Ipv4Addr,
    /// `None` while the power is off.
    power: Option<Power>,
    process: Option<Process>,
    /// Counts orders about the processor, so that one that was given before ends.
    processor_orders: u64,
    /// How far its clock is ahead of the run's.
    ahead: Duration,
    /// How often it was switched on; a kernel draws nothing that one before it drew.
    boots: u64,
}

struct Power {
    node: NodeHandle,
    kernel: Arc<Kernel>,
}

/// Processes are told apart by their madsim node, which is used once.
struct Process {
    node: NodeId,
}

impl Machine {
    /// A machine on this network; `seed` draws whatever its kernel and disk draw.
    ///
    /// # Panics
    /// When another machine has the address.
    pub fn new(
        network: &Network,
        name: &str,
        address: Ipv4Addr,
        disk: DiskProfile,
        seed: u64,
    ) -> Self {
        let machine = Machine {
            shared: Arc::new(Shared {
                name: name.to_owned(),
                id: network.join(name, address),
                seed,
                network: network.clone(),
                disk: Disk::simulated(disk, seed),
                state: Mutex::new(State {
                    address,
                    power: None,
                    process: None,
                    processor_orders: 0,
                    ahead: Duration::ZERO,
                    boots: 0,
                }),
            }),
        };
        machine.power_on();
        machine
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its present address.
    pub fn address(&self) -> Ipv4Addr {
        self.state().address
    }

    /// Switches the machine on if need be and runs `main` as its process.
    ///
    /// When `main` returns, the process is gone as after an exit: its tasks are dropped and
    /// the kernel closes its sockets.
    ///
    /// # Panics
    /// When a process runs already.
    pub fn start<F, Fut>(&self, main: F)
    where
        F: FnOnce(Host) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        assert!(!self.is_running(), "a process runs on {} already", self.shared.name);
        let kernel = self.power_on();
        let node = self.shared.network.create_node(&self.shared.name);
        {
            let mut state = self.state();
            state.process = Some(Process { node: node.id() });
            set_ahead(node.id(), state.ahead);
        }

        let net = Net::simulated(
            self.shared.network.clone(),
            self.shared.id,
            kernel.clone(),
            kernel.begin_process(),
        );
        let host = Host { net, disk: self.shared.disk.clone() };
        let (machine, id) = (self.clone(), node.id());
        node.spawn(async move {
            main(host).await;
            machine.end_process(Some(id));
        });
    }

    /// Kills the process; the kernel closes its sockets (FIN, or RST with unread data).
    /// Nothing happens when none runs.
    pub fn crash(&self) {
        self.end_process(None);
    }

    /// Asks the process to stop, as `SIGTERM` does: see [`crate::signal::Terminations`]. A
    /// process that does not watch for it dies at once.
    pub fn terminate(&self) {
        let node = self.state().process.as_ref().map(|process| process.node);
        if let Some(node) = node {
            let runtime = self.shared.network.runtime();
            runtime.send_ctrl_c(node);
            if runtime.is_exit(node) {
                self.end_process(Some(node));
            }
        }
    }

    /// Cuts the power: process, stack and unsynced writes are gone without a packet.
    pub fn power_off(&self) {
        let (power, process, address) = {
            let mut state = self.state();
            (state.power.take(), state.process.take(), state.address)
        };
        let Some(power) = power else { return };
        let runtime = self.shared.network.runtime();
        // The kernel goes first, so that nothing the process's end does is said to anyone.
        drop(self.shared.network.detach(self.shared.id, address));
        power.kernel.power_lost();
        runtime.kill(power.node.id());
        if let Some(process) = process {
            kill_process(runtime, process.node);
        }
        self.shared.disk.power_lost();
    }

    /// Whether a process runs. A process whose `main` returned does not.
    pub fn is_running(&self) -> bool {
        self.state().process.is_some()
    }

    /// Stops the process where it is, as `SIGSTOP` does: the kernel still acknowledges what
    /// comes for it, up to the room in its buffers, and accepts connections for it. Nothing
    /// happens when none runs.
    pub fn pause(&self) {
        self.order_processor(|runtime, process| runtime.pause(process));
    }

    /// Lets a process that was paused or throttled go on, with all its timers due at once.
    pub fn resume(&self) {
        self.order_processor(|runtime, process| runtime.resume(process));
    }

    /// Gives the process the processor for the first millisecond of every `factor`
    /// milliseconds only, as a quota of processor time does: whatever it answers it answers
    /// at the next one. It ends with the process, or with `resume`.
    ///
    /// # Panics
    /// When `factor` is 0.
    pub fn throttle(&self, factor: u32) {
        assert!(factor > 0, "a process needs some time");
        let Some((order, process)) = self.order_processor(|runtime, process| {
            runtime.pause(process);
        }) else {
            return;
        };
        let machine = self.clone();
        let state = self.state();
        let power = state.power.as_ref().expect("a machine with a process has power");
        power.node.spawn(async move {
            let runtime = machine.shared.network.runtime();
            let in_force = || {
                let state = machine.state();
                let runs = state.process.as_ref().is_some_and(|running| running.node == process);
                runs && state.processor_orders == order
            };
            loop {
                sleep(PROCESSOR_SLICE * (factor - 1)).await;
                if !in_force() {
                    return;
                }
                runtime.resume(process);
                sleep(PROCESSOR_SLICE).await;
                if !in_force() {
                    return;
                }
                runtime.pause(process);
            }
        });
    }

    /// Sets the machine's time of day so far ahead of the run's, for its present process and
    /// those after it; zero sets it right. No timer goes by it.
    pub fn set_clock(&self, ahead: Duration) {
        let mut state = self.state();
        state.ahead = ahead;
        if let Some(process) = &state.process {
            set_ahead(process.node, ahead);
        }
    }

    /// Gives an order about the process that runs, if one does; says which and to whom.
    fn order_processor(&self, give: impl FnOnce(&Handle, NodeId)) -> Option<(u64, NodeId)> {
        let mut state = self.state();
        let process = state.process.as_ref()?.node;
        state.processor_orders += 1;
        give(self.shared.network.runtime(), process);
        Some((state.processor_orders, process))
    }

    /// Changes the address of a machine that is powered off.
    ///
    /// # Panics
    /// When it is on, or when another machine has the address.
    pub fn set_address(&self, address: Ipv4Addr) {
        let mut state = self.state();
        assert!(state.power.is_none(), "{} is powered on", self.shared.name);
        self.shared.network.claim_address(self.shared.id, address);
        state.address = address;
    }

    /// The disk, to look at from outside.
    pub fn disk(&self) -> Disk {
        self.shared.disk.clone()
    }

    fn power_on(&self) -> Arc<Kernel> {
        let Shared { name, id, seed, network, .. } = &*self.shared;
        let mut state = self.state();
        if let Some(power) = &state.power {
            return power.kernel.clone();
        }
        state.boots += 1;
        // Any odd constant makes the boots differ; this one also spreads the bits.
        let seed = seed ^ state.boots.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let kernel = Kernel::new(network.clock().clone(), state.address, seed);
        let node = network.create_node(&format!("{name}.kernel"));
        node.spawn(kernel.clone().run(network.clone(), *id));
        network.attach(*id, state.address, kernel.clone());
        state.power = Some(Power { node, kernel: kernel.clone() });
        kernel
    }

    /// Ends the process, if it is this one.
    fn end_process(&self, expected: Option<NodeId>) {
        let (kernel, process) = {
            let mut state = self.state();
            let is_it = |process: &mut Process| expected.is_none_or(|node| node == process.node);
            let Some(process) = state.process.take_if(is_it) else { return };
            (state.power.as_ref().map(|power| power.kernel.clone()), process)
        };
        // The kernel goes first: what the dead process's values do when they are dropped
        // later no longer concerns it.
        if let Some(kernel) = kernel {
            kernel.process_gone();
        }
        kill_process(self.shared.network.runtime(), process.node);
        self.shared.disk.process_gone();
    }

    /// One thread runs everything, so this never waits; a lock poisoned by a panic means
    /// that the run is over.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the run panicked")
    }
}

/// madsim drops the tasks of a paused node while it holds a lock that their ends may need,
/// so the node is resumed first; nothing of it runs in between.
fn kill_process(runtime: &Handle, process: NodeId) {
    runtime.resume(process);
    runtime.kill(process);
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("name", &self.shared.name)
            .field("address", &self.address())
            .field("is_running", &self.is_running())
            .finish_non_exhaustive()
    }
}
