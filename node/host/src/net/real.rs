//! Real network.
//!
//! tokio's TCP and the system's resolver.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::UnknownName;

/// Connections that may wait for `accept`; the kernel may allow fewer.
const BACKLOG: u32 = 1024;

/// The machine's network. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Net {}

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
}

/// A connection; `tokio::io::AsyncRead` and `AsyncWrite`.
pub type Stream = TcpStream;

impl Net {
    /// The machine's network.
    pub fn new() -> Self {
        Net {}
    }

    /// Binds and listens; `SO_REUSEADDR` is set, so that a restart need not wait for the
    /// connections of the process before.
    ///
    /// # Errors
    /// `AddrInUse` when another socket listens there, `AddrNotAvailable` when the machine
    /// does not have the address.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let socket = socket_for(address)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Listener { inner: socket.listen(BACKLOG)? })
    }

    /// Connects within `timeout`.
    ///
    /// # Errors
    /// `TimedOut` when nobody answered in time, `ConnectionRefused` when nobody listens.
    pub async fn dial(&self, address: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        let connected = tokio::time::timeout(timeout, socket_for(address)?.connect(address));
        let stream = connected.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The addresses of `HOST:PORT`, at least one.
    ///
    /// # Errors
    /// `InvalidInput` when this is not `HOST:PORT`, `NotFound` when the host has no
    /// address; the resolver's own words are the source.
    pub async fn resolve(&self, host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
        let unknown = |source| UnknownName::error(host_and_port, source);
        let found = match tokio::net::lookup_host(host_and_port).await {
            Ok(found) => found.collect::<Vec<_>>(),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
            Err(error) => return Err(unknown(Some(error))),
        };
        if found.is_empty() { Err(unknown(None)) } else { Ok(found) }
    }
}

fn socket_for(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

impl Listener {
    /// The next connection and its peer's address. Safe to cancel: a connection that was
    /// not handed out waits for the next call.
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.inner.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}
