//! A simulated machine's sockets, over its own TCP/IP stack.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The machine's network. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Net {}

/// A bound, listening socket.
#[derive(Debug)]
pub struct Listener {}

/// A connection.
#[derive(Debug)]
pub struct Stream {}

impl Net {
    /// Binds and listens.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        todo!("{address}")
    }

    /// Connects within `timeout`, else `TimedOut`.
    pub async fn dial(&self, address: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        todo!("{address} {timeout:?}")
    }

    /// The addresses of `HOST:PORT`, at least one.
    pub async fn resolve(&self, host_and_port: &str) -> io::Result<Vec<SocketAddr>> {
        todo!("{host_and_port}")
    }
}

impl Listener {
    /// The next connection and its peer's address.
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        todo!()
    }

    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        todo!()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        todo!()
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        todo!()
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
}
