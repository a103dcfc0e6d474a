//! A stream over which TLS is spoken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::{Begun, Fingerprint};
use super::files::dns_names;
use super::revoked::fingerprint;

/// A stream over which TLS is spoken.
#[derive(Debug)]
pub struct TlsStream<S> {
    stream: Begun<tokio_rustls::TlsStream<Begun<S>>>,
    heard: Arc<AtomicBool>,
}

impl<S> TlsStream<S> {
    pub(super) fn new(stream: impl Into<tokio_rustls::TlsStream<Begun<S>>>) -> Self {
        TlsStream { stream: Begun::unread(stream.into()), heard: Arc::default() }
    }

    /// The same, on which this byte came already.
    pub(super) fn after(first: u8, stream: impl Into<tokio_rustls::TlsStream<Begun<S>>>) -> Self {
        TlsStream {
            stream: Begun::after(first, stream.into()),
            heard: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The protocol that both agreed on, if they did.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.get_ref().get_ref().1.alpn_protocol()
    }

    /// The DNS names that the certificate of the other side is for, which was taken; nothing where it
    /// shows none.
    pub fn peer_names(&self) -> Option<Vec<String>> {
        self.peer_certificate().map(dns_names)
    }

    /// The fingerprint of that certificate.
    pub fn peer_fingerprint(&self) -> Option<Fingerprint> {
        self.peer_certificate().map(fingerprint)
    }

    fn peer_certificate(&self) -> Option<&[u8]> {
        let certificates = self.stream.get_ref().get_ref().1.peer_certificates();
        certificates.and_then(<[_]>::first).map(AsRef::as_ref)
    }

    /// Whether the other side has said anything after the handshake, also once the stream is gone.
    /// Those who look at a certificate after the handshake, as GnuTLS has them do, go without a word
    /// when they do not take it.
    pub fn heard(&self) -> Arc<AtomicBool> {
        self.heard.clone()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
