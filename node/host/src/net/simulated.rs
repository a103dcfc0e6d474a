//! Simulated sockets.
//!
//! A simulated machine's sockets, over its own TCP/IP stack.
//!
//! Only handles live here: a handle that outlives its process or its machine's power does
//! nothing and fails. The protocol is the kernel's.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::UnknownName;
use crate::simulated::Network;
use crate::simulated::kernel::Kernel;
use crate::simulated::wire::MachineId;

/// What asking for a name takes.
const RESOLVE_LATENCY: Duration = Duration::from_millis(1);

/// When a resolver gives the name service up: two attempts of five seconds, as glibc makes.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// When Linux gives up a dial whatever the caller would wait: `tcp_syn_retries` of 6.
const DIAL_TIMEOUT_MAX: Duration = Duration::from_secs(127);

/// The machine's network. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    network: Network,
    machine: MachineId,
    kernel: Arc<Kernel>,
    process: u64,
}

/// A bound, listening socket.
pub struct Listener {
    kernel: Arc<Kernel>,
    id: u64,
    address: SocketAddrV4,
}

/// A connection.
pub struct Stream {
    kernel: Arc<Kernel>,
    id: u64,
}

impl Net {
    pub(crate) fn simulated(
        network: Network,
        machine: MachineId,
        kernel: Arc<Kernel>,
        process: u64,
    ) -> Self {
        Net { network, machine, kernel, process }
    }

    /// Binds and listens.
    ///
    /// # Errors
    /// `AddrInUse` when another socket listens there, `AddrNotAvailable` when the machine
    /// does not have the address, `Unsupported` for IPv6.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let (id, address) = self.kernel.listen(self.process, v4(address)?)?;
        Ok(Listener { kernel: self.kernel.clone(), id, address })
    }

    /// Connects within `timeout`.
    ///
    /// # Errors
    /// `TimedOut` when nobody answered in time, `ConnectionRefused` when nobody listens,
    /// `HostUnreachable` when this machine is off, `Unsupported` for IPv6.
    pub async fn dial(&self, address: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        let address = v4(address)?;
        let id = self.kernel.connect(self.process, address)?;
        self.network.dialled(self.machine, address, self.kernel.open_connections());
        // From here on, dropping the stream gives the attempt up.
        let stream = Stream { kernel: self.kernel.clone(), id };
        let connected = poll_fn(|cx| self.kernel.poll_connected(cx, id));
        match tokio::time::timeout(timeout.min(DIAL_TIMEOUT_MAX), connected).await {
            Ok(connected) => connected.map(|()| stream),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// The addresses of `HOST:PORT`, at least one.
    ///
    /// # Errors
    /// `InvalidInput` when this is not `HOST:PORT`, `NotFound` when the host has no
    /// address, or when the name service did not answer.
    pub async fn resolve(&self, host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
        let parts = host_and_port.rsplit_once(':');
        let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let Some((host, port)) = parts else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "this is not HOST:PORT"));
        };
        if let Ok(literal) = host.parse::<Ipv4Addr>() {
            return Ok(vec![SocketAddr::from((literal, port))]);
        }
        tokio::time::sleep(RESOLVE_LATENCY).await;
        let address = match self.network.recall(self.machine, host) {
            Ok(remembered) => Some(remembered),
            Err(delay) => {
                tokio::time::sleep(delay.min(RESOLVE_TIMEOUT)).await;
                if delay > RESOLVE_TIMEOUT {
                    let source = io::Error::from(ErrorKind::TimedOut);
                    return Err(UnknownName::error(host_and_port, Some(source)));
                }
                self.network.look_up(self.machine, host)
            }
        };
        match address {
            Some(address) => Ok(vec![SocketAddr::from((address, port))]),
            None => Err(UnknownName::error(host_and_port, None)),
        }
    }
}

fn v4(address: SocketAddr) -> io::Result<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(_) => Err(ErrorKind::Unsupported.into()),
    }
}

impl Listener {
    /// The next connection and its peer's address. Safe to cancel: a connection that was
    /// not handed out waits for the next call.
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let port = self.address.port();
        let (id, peer) = poll_fn(|cx| self.kernel.poll_accept(cx, self.id, port)).await?;
        Ok((Stream { kernel: self.kernel.clone(), id }, peer.into()))
    }

    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address.into())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.kernel.close_listener(self.id, self.address.port());
    }
}

impl Stream {
    /// The address of this end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.kernel.addresses(self.id).map(|(local, _)| local.into())
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.kernel.addresses(self.id).map(|(_, remote)| remote.into())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.kernel.close(self.id);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.kernel.poll_read(cx, self.id, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.kernel.poll_write(cx, self.id, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.kernel.poll_write(cx, self.id, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.kernel.shut_down(self.id);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}
