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

use super::{
    ClientCertificates, ConnectError, Fingerprint, HandshakeError, IdentityError, IdentityFile,
    MutualFiles, Validity,
};

fn refused<T>(path: &Path) -> Result<T, IdentityError> {
    Err(IdentityError {
        file: IdentityFile::Certificate,
        path: path.to_owned(),
        problem: "there is no TLS in the simulated world".to_owned(),
    })
}

/// A certificate with its key; there is none.
#[derive(Clone, Debug)]
pub struct Identity(Infallible);

impl Identity {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn read(certificate: &Path, _: &Path, _: &[&str]) -> Result<Self, IdentityError> {
        refused(certificate)
    }

    /// When its certificate is valid.
    pub fn validity(&self) -> Validity {
        match self.0 {}
    }

    /// The DNS names that its certificate is for.
    pub fn names(&self) -> &[String] {
        match self.0 {}
    }
}

/// Whose certificates a client takes; there is none.
#[derive(Clone, Debug)]
pub struct Trust(Infallible);

impl Trust {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn read(
        authority: &Path,
        _: Option<(&Path, &Path)>,
        _: Option<&Path>,
        _: &[&str],
    ) -> Result<Self, IdentityError> {
        refused(authority)
    }

    /// The DNS names of the certificate that it shows.
    pub fn names(&self) -> &[String] {
        match self.0 {}
    }
}

/// Both halves of mutual TLS; there are none.
#[derive(Clone, Debug)]
pub struct Mutual {
    /// What would be shown to those who come.
    pub identity: Identity,
    /// What those who are gone to would be asked for.
    pub trust: Trust,
}

impl Mutual {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn read(
        files: &MutualFiles,
        _: ClientCertificates,
        _: &[&str],
    ) -> Result<Self, IdentityError> {
        refused(&files.certificate)
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

    /// Whether a certificate is worth nothing any more.
    pub fn has_revoked(&self, _: &Fingerprint) -> bool {
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

/// Shakes hands with servers; there is none.
#[derive(Clone, Debug)]
pub struct Connector(Infallible);

impl Connector {
    /// One that goes by this.
    pub fn new(trust: Trust) -> Self {
        match trust.0 {}
    }

    /// Goes by another.
    pub fn replace(&self, _: Trust) {
        match self.0 {}
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// None, since there is no connector.
    pub async fn connect<S>(&self, _: S, _: Option<&str>) -> Result<TlsStream<S>, ConnectError> {
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

    /// The DNS names of the other side's certificate.
    pub fn peer_names(&self) -> Option<Vec<String>> {
        match self.0 {}
    }

    /// The fingerprint of that certificate.
    pub fn peer_fingerprint(&self) -> Option<Fingerprint> {
        match self.0 {}
    }

    /// Whether the other side has said anything.
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
