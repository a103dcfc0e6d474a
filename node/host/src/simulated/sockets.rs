//! Socket calls.
//!
//! What a process does with its sockets: the system calls of [`Stack`].
//!
//! Errors are those of Linux. A call on a socket that the process no longer has, because
//! the process is dead, changes nothing.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::task::{Context, Poll};
use std::time::Duration;

use smoltcp::socket::tcp::{RecvError, Socket, State};
use tokio::io::ReadBuf;

use super::stack::{
    EPHEMERAL_PORTS, Entry, Failure, Listening, ORPHAN_TIMEOUT, Owner, Peers, SOCKET_BUFFER_BYTES,
    SocketId, Stack, new_socket,
};

/// A result, and whether the stack has something to do now.
pub(super) struct Outcome<T> {
    pub(super) result: T,
    pub(super) kick: bool,
}

fn quiet<T>(result: T) -> Outcome<T> {
    Outcome { result, kick: false }
}

impl Stack {
    pub(super) fn listen(&mut self, address: SocketAddrV4) -> io::Result<(SocketId, SocketAddrV4)> {
        let ip = *address.ip();
        if !(ip.is_unspecified() || ip.is_loopback() || ip == self.address) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let port = match address.port() {
            0 => self.free_port(|stack, port| !stack.listeners.contains_key(&port))?,
            port if self.listeners.contains_key(&port) => return Err(ErrorKind::AddrInUse.into()),
            port => port,
        };
        let id = self.next_id;
        self.next_id += 1;
        self.listeners.insert(port, Listening::new(id, ip));
        Ok((id, SocketAddrV4::new(ip, port)))
    }

    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        listener: SocketId,
        port: u16,
    ) -> Poll<io::Result<(SocketId, SocketAddrV4)>> {
        let Some(listening) = self.listeners.get_mut(&port).filter(|now| now.id == listener) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        match listening.waiting.pop_front() {
            Some(id) => Poll::Ready(Ok((id, self.entries[&id].peers.remote))),
            None => {
                listening.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Stops listening; connections that nobody accepted are reset.
    pub(super) fn close_listener(&mut self, now: Duration, listener: SocketId, port: u16) {
        if self.listeners.get(&port).is_some_and(|listening| listening.id == listener) {
            let listening = self.listeners.remove(&port).expect("it was just found");
            for id in listening.waiting {
                self.release(now, id, true);
            }
            self.drop_embryos(port);
        }
    }

    pub(super) fn connect(&mut self, remote: SocketAddrV4) -> io::Result<SocketId> {
        if remote.port() == 0 || remote.ip().is_unspecified() || remote.ip().is_multicast() {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let local_port = self.free_port(|stack, local_port| {
            !stack.by_peers.contains_key(&Peers { local_port, remote })
                && !stack.listeners.contains_key(&local_port)
        })?;
        let local_ip = if remote.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { self.address };
        let mut socket = new_socket();
        socket
            .connect(
                self.interface.context(),
                (*remote.ip(), remote.port()),
                (local_ip, local_port),
            )
            .expect("a new socket can connect to an address with a port");
        let local = SocketAddrV4::new(local_ip, local_port);
        Ok(self.add(socket, local, Peers { local_port, remote }, Owner::Process))
    }

    /// Ports are given one after another, as if at random only at the start.
    fn free_port(&mut self, is_free: impl Fn(&Self, u16) -> bool) -> io::Result<u16> {
        for _ in EPHEMERAL_PORTS {
            let port = self.next_port;
            self.next_port =
                if port + 1 < EPHEMERAL_PORTS.end { port + 1 } else { EPHEMERAL_PORTS.start };
            if is_free(self, port) {
                return Ok(port);
            }
        }
        Err(ErrorKind::AddrNotAvailable.into())
    }

    pub(super) fn poll_connected(
        &mut self,
        cx: &mut Context<'_>,
        id: SocketId,
    ) -> Poll<io::Result<()>> {
        let Some((entry, socket)) = self.owned(id) else { return Poll::Ready(Err(not_owned())) };
        match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(cx.waker());
                Poll::Pending
            }
            State::Closed => Poll::Ready(Err(match entry.failure {
                Some(_) => ErrorKind::ConnectionRefused.into(),
                None => ErrorKind::TimedOut.into(),
            })),
            _ => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        id: SocketId,
        buffer: &mut ReadBuf<'_>,
    ) -> Outcome<Poll<io::Result<()>>> {
        let Some((entry, socket)) = self.owned(id) else {
            return quiet(Poll::Ready(Err(not_owned())));
        };
        if entry.finished || buffer.remaining() == 0 {
            return quiet(Poll::Ready(Ok(())));
        }
        let queued = socket.recv_queue();
        let mut taken = 0;
        // Twice, because the ring may wrap.
        for _ in 0..2 {
            let part = socket.recv(|data| {
                let part = data.len().min(buffer.remaining());
                buffer.put_slice(&data[..part]);
                (part, part)
            });
            match part {
                Ok(part) => taken += part,
                Err(_) if taken > 0 => break,
                Err(RecvError::Finished) => {
                    entry.finished = true;
                    return quiet(Poll::Ready(Ok(())));
                }
                Err(RecvError::InvalidState) => {
                    let failed = entry.read_failure();
                    entry.finished = failed.is_none();
                    return quiet(Poll::Ready(failed.map_or(Ok(()), Err)));
                }
            }
        }
        if taken == 0 {
            socket.register_recv_waker(cx.waker());
            return quiet(Poll::Pending);
        }
        // A sender is told of new room only when the room it knows of was small: with half
        // the buffer free it goes on by itself, and its data is answered with the rest.
        Outcome { result: Poll::Ready(Ok(())), kick: queued >= SOCKET_BUFFER_BYTES / 2 }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        id: SocketId,
        buffers: &[IoSlice<'_>],
    ) -> Outcome<Poll<io::Result<usize>>> {
        let Some((entry, socket)) = self.owned(id) else {
            return quiet(Poll::Ready(Err(not_owned())));
        };
        if entry.shut || !socket.may_send() {
            return quiet(Poll::Ready(Err(entry.write_failure())));
        }
        let mut taken = 0;
        for buffer in buffers {
            let part = socket.send_slice(buffer).expect("it was just checked that it may send");
            taken += part;
            if part < buffer.len() {
                break;
            }
        }
        if taken > 0 || buffers.iter().all(|buffer| buffer.is_empty()) {
            return Outcome { result: Poll::Ready(Ok(taken)), kick: taken > 0 };
        }
        socket.register_send_waker(cx.waker());
        quiet(Poll::Pending)
    }

    /// Sends a FIN after what was written.
    pub(super) fn shut_down(&mut self, id: SocketId) {
        if let Some((entry, socket)) = self.owned(id) {
            entry.shut = true;
            socket.close();
        }
    }

    /// The process has dropped a connection.
    pub(super) fn close(&mut self, now: Duration, id: SocketId) {
        if self.owned(id).is_some() {
            self.release(now, id, false);
        }
    }

    /// The process is gone: everything it had is closed as by itself.
    pub(super) fn process_gone(&mut self, now: Duration) {
        let ports: Vec<_> = self.listeners.iter().map(|(port, now)| (now.id, *port)).collect();
        for (listener, port) in ports {
            self.close_listener(now, listener, port);
        }
        let owned = self.entries.iter().filter(|(_, entry)| entry.owner == Owner::Process);
        for id in owned.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.release(now, id, false);
        }
    }

    /// Ends a socket as `close` does on Linux: with a FIN, or with a reset when it is to be
    /// `refused` after the fact. Data that was not read, or that comes later, turns the FIN
    /// into a reset when the orphan is looked at.
    fn release(&mut self, now: Duration, id: SocketId, refused: bool) {
        let Some((entry, socket)) = self.owned(id) else { return };
        let silent = matches!(socket.state(), State::SynSent | State::Listen)
            || socket.remote_endpoint().is_none();
        if silent {
            return self.remove(id);
        }
        if refused {
            socket.abort();
        } else {
            socket.close();
        }
        entry.owner = Owner::Nobody { give_up_at: now + ORPHAN_TIMEOUT };
        self.orphans.push(id);
    }

    pub(super) fn owned_connections(&self) -> usize {
        self.entries.values().filter(|entry| entry.owner == Owner::Process).count()
    }

    pub(super) fn addresses(&self, id: SocketId) -> Option<(SocketAddrV4, SocketAddrV4)> {
        self.entries.get(&id).map(|entry| (entry.local, entry.peers.remote))
    }

    fn owned(&mut self, id: SocketId) -> Option<(&mut Entry, &mut Socket<'static>)> {
        let entry = self.entries.get_mut(&id).filter(|entry| entry.owner == Owner::Process)?;
        let socket = self.sockets.get_mut::<Socket<'_>>(entry.handle);
        Some((entry, socket))
    }
}

impl Entry {
    /// Why nothing can be read; `None` when both sides had ended it in good order.
    fn read_failure(&self) -> Option<io::Error> {
        match self.failure {
            Some(Failure::Refused) => Some(ErrorKind::ConnectionRefused.into()),
            Some(Failure::Reset) => Some(ErrorKind::ConnectionReset.into()),
            None if self.shut => None,
            None => Some(ErrorKind::TimedOut.into()),
        }
    }

    fn write_failure(&self) -> io::Error {
        match self.failure {
            _ if self.shut => ErrorKind::BrokenPipe.into(),
            Some(Failure::Refused) => ErrorKind::ConnectionRefused.into(),
            Some(Failure::Reset) => ErrorKind::ConnectionReset.into(),
            None => ErrorKind::TimedOut.into(),
        }
    }
}

fn not_owned() -> io::Error {
    ErrorKind::NotConnected.into()
}
