//! The client's side of a handshake.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::{TlsConnector, rustls};

use super::super::{Begun, ConnectError};
use super::identity::Trust;
use super::problem::connect_error;
use super::stream::TlsStream;
use super::{ALERT_RECORD, HANDSHAKE_RECORD};

/// Stands for a name where none is asked for; it is not told to the other side.
const ANY_NAME: &str = "any.invalid";

/// Shakes hands with servers, trusting whom it trusts at that moment. Cheap to clone; clones change
/// together.
#[derive(Clone, Debug)]
pub struct Connector(Arc<RwLock<Trust>>);

impl Connector {
    /// One that goes by this.
    pub fn new(trust: Trust) -> Self {
        Connector(Arc::new(RwLock::new(trust)))
    }

    /// Goes by another from the next handshake on. Connections that are open stay so.
    pub fn replace(&self, trust: Trust) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = trust;
    }

    /// Shakes hands with the server at the other end, whose certificate has to be for `name`, if one
    /// is given. There is no deadline here.
    ///
    /// The server has to speak first: only that tells whether it took our certificate.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect<S>(
        &self,
        stream: S,
        name: Option<&str>,
    ) -> Result<TlsStream<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let trust = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let config = if name.is_some() { trust.named } else { trust.unnamed };
        let name = ServerName::try_from(name.unwrap_or(ANY_NAME).to_owned());
        let name = name.map_err(|error| {
            ConnectError::Broken(io::Error::new(io::ErrorKind::InvalidInput, error))
        })?;
        let shaking = TlsConnector::from(config).connect(name, Begun::unread(stream));
        let mut stream = shaking.into_fallible().await.map_err(|(error, stream)| {
            let speaks_tls = |first| matches!(first, HANDSHAKE_RECORD | ALERT_RECORD);
            match stream.first() {
                Some(first) if !speaks_tls(first) => ConnectError::Plaintext,
                _ => connect_error(error),
            }
        })?;
        let first = stream.read_u8().await.map_err(connect_error)?;
        Ok(TlsStream::after(first, tokio_rustls::TlsStream::from(stream)))
    }
}
