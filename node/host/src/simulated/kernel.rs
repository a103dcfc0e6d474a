//! Simulated kernel.
//!
//! The kernel of a machine: one task that drives the stack, and the stack's lock.
//!
//! The task runs when it is kicked (a packet came, a process wrote, read or closed) or when
//! the stack asked to be called, and never otherwise, so that an idle machine costs
//! nothing. A kernel is made when the machine is switched on and never comes back after a
//! power loss.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;

use super::Network;
use super::clock::{Alarm, Clock};
use super::packet::Packet;
use super::sockets::Outcome;
use super::stack::{SocketId, Stack};
use super::wire::MachineId;

/// A powered kernel, or one that was.
pub(crate) struct Kernel {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    /// `None` after a power loss.
    stack: Option<Stack>,
    /// Which process may open sockets; counts up, so that a handle of a dead one cannot.
    process: u64,
    kicked: bool,
    task: Option<Waker>,
}

impl State {
    fn kick(&mut self) {
        self.kicked = true;
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

impl Kernel {
    pub(super) fn new(clock: Clock, address: Ipv4Addr, seed: u64) -> Arc<Self> {
        let stack = Stack::new(address, seed, clock.now());
        let state = State { stack: Some(stack), process: 0, kicked: false, task: None };
        Arc::new(Kernel { clock, state: Mutex::new(state) })
    }

    /// Drives the stack for ever.
    pub(super) async fn run(self: Arc<Self>, network: Network, machine: MachineId) {
        let mut alarm = Alarm::new(self.clock.clone());
        let mut outgoing = Vec::new();
        let mut next = None;
        poll_fn(|cx| self.poll_run(cx, &network, machine, &mut alarm, &mut outgoing, &mut next))
            .await
    }

    fn poll_run(
        &self,
        cx: &mut Context<'_>,
        network: &Network,
        machine: MachineId,
        alarm: &mut Alarm,
        outgoing: &mut Vec<Packet>,
        next: &mut Option<Duration>,
    ) -> Poll<()> {
        loop {
            let is_due = match *next {
                Some(at) => alarm.poll(cx, at).is_ready(),
                None => false,
            };
            let mut state = self.state();
            if state.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
                state.task = Some(cx.waker().clone());
            }
            if !std::mem::take(&mut state.kicked) && !is_due {
                return Poll::Pending;
            }
            *next = state.stack.as_mut().and_then(|stack| stack.poll(self.clock.now(), outgoing));
            drop(state);
            if !outgoing.is_empty() {
                network.send(machine, outgoing);
            }
        }
    }

    /// A packet came off the wire.
    pub(super) fn receive(&self, packet: Packet) {
        let mut state = self.state();
        if let Some(stack) = &mut state.stack {
            stack.inbox.push_back(packet);
            state.kick();
        }
    }

    /// Lets a new process open sockets.
    pub(super) fn begin_process(&self) -> u64 {
        let mut state = self.state();
        state.process += 1;
        state.process
    }

    /// Closes everything that the process had open.
    pub(super) fn process_gone(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        state.process += 1;
        if let Some(stack) = &mut state.stack {
            stack.process_gone(now);
            state.kick();
        }
    }

    /// Forgets everything without a packet.
    pub(super) fn power_lost(&self) {
        let mut state = self.state();
        state.process += 1;
        let gone = (state.stack.take(), state.task.take());
        drop(state);
        drop(gone);
    }

    pub(crate) fn listen(
        &self,
        process: u64,
        address: SocketAddrV4,
    ) -> io::Result<(SocketId, SocketAddrV4)> {
        self.stack_of(process, |stack| stack.listen(address))
    }

    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        listener: SocketId,
        port: u16,
    ) -> Poll<io::Result<(SocketId, SocketAddrV4)>> {
        match &mut self.state().stack {
            Some(stack) => stack.poll_accept(cx, listener, port),
            None => Poll::Ready(Err(powerless())),
        }
    }

    pub(crate) fn close_listener(&self, listener: SocketId, port: u16) {
        let now = self.clock.now();
        self.kicking(|stack| stack.close_listener(now, listener, port));
    }

    pub(crate) fn connect(&self, process: u64, remote: SocketAddrV4) -> io::Result<SocketId> {
        let id = self.stack_of(process, |stack| stack.connect(remote))?;
        self.state().kick();
        Ok(id)
    }

    pub(crate) fn poll_connected(
        &self,
        cx: &mut Context<'_>,
        id: SocketId,
    ) -> Poll<io::Result<()>> {
        match &mut self.state().stack {
            Some(stack) => stack.poll_connected(cx, id),
            None => Poll::Ready(Err(powerless())),
        }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        id: SocketId,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.transfer(|stack| stack.poll_read(cx, id, buffer))
    }

    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        id: SocketId,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transfer(|stack| stack.poll_write(cx, id, buffers))
    }

    pub(crate) fn shut_down(&self, id: SocketId) {
        self.kicking(|stack| stack.shut_down(id));
    }

    pub(crate) fn close(&self, id: SocketId) {
        let now = self.clock.now();
        self.kicking(|stack| stack.close(now, id));
    }

    /// Connections that the process has, those that are being made included.
    pub(crate) fn open_connections(&self) -> usize {
        self.state().stack.as_ref().map_or(0, Stack::owned_connections)
    }

    /// Our address and the peer's.
    pub(crate) fn addresses(&self, id: SocketId) -> io::Result<(SocketAddrV4, SocketAddrV4)> {
        let state = self.state();
        let found = state.stack.as_ref().and_then(|stack| stack.addresses(id));
        found.ok_or_else(|| ErrorKind::NotConnected.into())
    }

    fn transfer<T>(
        &self,
        call: impl FnOnce(&mut Stack) -> Outcome<Poll<io::Result<T>>>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.state();
        let Some(stack) = &mut state.stack else { return Poll::Ready(Err(powerless())) };
        let Outcome { result, kick } = call(stack);
        if kick {
            state.kick();
        }
        result
    }

    fn kicking(&self, call: impl FnOnce(&mut Stack)) {
        let mut state = self.state();
        if let Some(stack) = &mut state.stack {
            call(stack);
            state.kick();
        }
    }

    fn stack_of<T>(
        &self,
        process: u64,
        call: impl FnOnce(&mut Stack) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        let is_alive = state.process == process;
        match &mut state.stack {
            Some(stack) if is_alive => call(stack),
            _ => Err(powerless()),
        }
    }

    /// One thread runs everything and no lock is held across a call out of this file, so
    /// this never waits. Streams are closed while a panic unwinds too, where a second panic
    /// would hide the first: hence poison is ignored.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn powerless() -> io::Error {
    ErrorKind::HostUnreachable.into()
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let sockets = state.stack.as_ref().map(|stack| stack.entries.len());
        f.debug_struct("Kernel").field("sockets", &sockets).finish_non_exhaustive()
    }
}
