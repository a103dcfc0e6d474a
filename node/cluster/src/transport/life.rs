//! Connection liveness.
//!
//! The stream under a connection, watched: when it was last heard, and a way to end it.
//!
//! A TCP connection can be dead for a quarter of an hour before the kernel says so. Whether
//! anything was read since a request was sent is what tells a slow peer from a dead flow.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is known of a stream from outside.
#[derive(Debug)]
pub struct Life {
    opened: Instant,
    /// Microseconds from `opened` to the last bytes that were read; written by the stream.
    heard_us: AtomicU64,
    /// Set once, by whoever finds the connection dead; the stream fails from then on.
    killed: AtomicBool,
    reader: AtomicWaker,
}

impl Life {
    fn new() -> Self {
        Life {
            opened: Instant::now(),
            heard_us: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }
    }

    /// When the stream was connected.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// When bytes were last read; when it was connected, if none were.
    pub fn last_heard(&self) -> Instant {
        self.opened + std::time::Duration::from_micros(self.heard_us.load(Ordering::Relaxed))
    }

    /// Ends the stream: its next read fails, and with it everything that waits on it.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.reader.wake();
    }
}

/// A stream that keeps its [`Life`] up to date.
pub struct Watched<S> {
    inner: S,
    life: Arc<Life>,
}

impl<S> Watched<S> {
    /// Watches `inner`, which has just been connected.
    pub fn new(inner: S) -> Self {
        Watched { inner, life: Arc::new(Life::new()) }
    }

    /// What is known of it.
    pub fn life(&self) -> &Arc<Life> {
        &self.life
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.life.reader.register(cx.waker());
        if self.life.killed.load(Ordering::Acquire) {
            let reason = "given up: the peer shows no life";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason)));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            let heard = self.life.opened.elapsed().as_micros();
            self.life.heard_us.store(u64::try_from(heard).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
