//! No TLS: what has the names of the real half, and is never there.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{HandshakeError, IdentityError, IdentityFile, Validity};

/// A certificate with its key; there is none.
#[derive(Clone, Debug)]
pub struct Identity(Infallible);

impl Identity {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn read(certificate: &Path, _: &Path, _: &[&str]) -> Result<Self, IdentityError> {
        Err(IdentityError {
            file: IdentityFile::Certificate,
            path: certificate.to_owned(),
            problem: "there is no TLS in the simulated world".to_owned(),
        })
    }

    /// When its certificate is valid.
    pub fn validity(&self) -> Validity {
        match self.0 {}
    }
}

/// Shakes hands with clients; there is none.
#[derive(Clone, Debug)]
pub struct Acceptor(Infallible);

impl Acceptor {
    /// One that shows this identity.
    pub fn new(identity: Identity) -> Self {
        match identity.0 {}
    }

    /// Shows another one.
    pub fn replace(&self, _: Identity) {
        match self.0 {}
    }

    /// When the certificate that it shows is valid.
    pub fn validity(&self) -> Validity {
        match self.0 {}
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// None, since there is no acceptor.
    pub async fn accept<S>(&self, _: S) -> Result<TlsStream<S>, HandshakeError<S>> {
        match self.0 {}
    }
}

/// A stream over which TLS is spoken; there is none.
#[derive(Debug)]
pub struct TlsStream<S>(Infallible, PhantomData<S>);

impl<S> TlsStream<S> {
    /// The protocol that both agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        match self.0 {}
    }

    /// Whether the client has said anything.
    pub fn heard(&self) -> Arc<AtomicBool> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
