//! The server's side of a handshake.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::super::{Begun, Fingerprint, HandshakeError, Validity};
use super::HANDSHAKE_RECORD;
use super::identity::Identity;
use super::problem::handshake_error;
use super::stream::TlsStream;

/// Shakes hands with clients, as whoever it is at that moment. Cheap to clone; clones change
/// together.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<RwLock<Identity>>);

impl Acceptor {
    /// One that shows this identity.
    pub fn new(identity: Identity) -> Self {
        Acceptor(Arc::new(RwLock::new(identity)))
    }

    /// Shows another one from the next handshake on. Connections that are open stay so.
    pub fn replace(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// When the certificate that it shows is valid.
    pub fn validity(&self) -> Validity {
        self.0.read().unwrap_or_else(PoisonError::into_inner).validity
    }

    /// Whether a certificate is worth nothing any more, which may have been taken before.
    pub fn has_revoked(&self, certificate: &Fingerprint) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).revoked.has(certificate)
    }

    /// Shakes hands with the client at the other end. There is no deadline here.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = stream;
        let first = match stream.read_u8().await {
            Ok(first) => first,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(HandshakeError::Silent);
            }
            Err(error) => return Err(HandshakeError::Broken(error)),
        };
        // rustls would answer with an alert, which whoever speaks something else cannot read.
        if first != HANDSHAKE_RECORD {
            return Err(HandshakeError::Plaintext(Begun::after(first, stream)));
        }
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        match TlsAcceptor::from(config).accept(Begun::after(first, stream)).await {
            Ok(stream) => Ok(TlsStream::new(tokio_rustls::TlsStream::from(stream))),
            Err(error) => Err(handshake_error(error)),
        }
    }
}
