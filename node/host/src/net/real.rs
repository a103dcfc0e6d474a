//! tokio's TCP and the system's resolver.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The machine's network. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Net {}

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {
    inner: tokio::net::TcpListener,
}

/// A connection; `tokio::io::AsyncRead` and `AsyncWrite`.
pub type Stream = tokio::net::TcpStream;

impl Net {
    /// The machine's network.
    pub fn new() -> Self {
        Net {}
    }

    /// Binds and listens; `SO_REUSEADDR` is set.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        Ok(Listener { inner: tokio::net::TcpListener::bind(address).await? })
    }

    /// Connects within `timeout`, else `TimedOut`.
    pub async fn dial(&self, address: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        let connected = tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address));
        let stream = connected.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The addresses of `HOST:PORT`, at least one.
    pub async fn resolve(&self, host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
        todo!("{host_and_port}")
    }
}

impl Listener {
    /// The next connection and its peer's address.
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
