//! Real TLS: rustls.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, rustls, server};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{HandshakeError, IdentityError, IdentityFile, Validity};

/// A file of certificates or keys has no more bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Permission bits by which everybody on the machine may read a file.
const WORLD_READABLE: u32 = 0o004;

/// What the first byte of a connection says that speaks TLS.
const HANDSHAKE_RECORD: u8 = 0x16;

/// A certificate with its key, as a server shows it.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    validity: Validity,
}

impl Identity {
    /// Reads it from PEM files, for a server that speaks these protocols, the preferred one first. A
    /// key that everybody on the machine may read is refused: it is nobody's any more.
    ///
    /// # Errors
    /// [`IdentityError`], with the file and what is wrong with it.
    pub async fn read(
        certificate: &Path,
        key: &Path,
        protocols: &[&str],
    ) -> Result<Self, IdentityError> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let work = move || read(&certificate, &key, protocols);
        tokio::task::spawn_blocking(work).await.expect("reading does not panic")
    }

    /// When its certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

fn read(
    certificate: &Path,
    key: &Path,
    protocols: Vec<Vec<u8>>,
) -> Result<Identity, IdentityError> {
    let wrong = |problem: String| IdentityError {
        file: IdentityFile::Certificate,
        path: certificate.to_owned(),
        problem,
    };
    let wrong_key =
        |problem: String| IdentityError { file: IdentityFile::Key, path: key.to_owned(), problem };
    let chain = read_file(certificate).map_err(|error| wrong(error.to_string()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|error| wrong(format!("it is no PEM: {error}")))?;
    let Some(leaf) = chain.first() else {
        return Err(wrong("there is no certificate in it".to_owned()));
    };
    let validity = validity_of(leaf).map_err(wrong)?;
    let mode =
        fs::metadata(key).map_err(|error| wrong_key(error.to_string()))?.permissions().mode();
    if mode & WORLD_READABLE != 0 {
        return Err(wrong_key(format!(
            "everybody on this machine may read it (mode {:03o}): `chmod 600` it, and make another \
             one if somebody did",
            mode & 0o777
        )));
    }
    let pem = read_file(key).map_err(|error| wrong_key(error.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem);
    let private = private.map_err(|_| wrong_key("there is no private key in it".to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the suites of both versions")
        .with_no_client_auth()
        .with_single_cert(chain, private);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong_key(format!("it is not the key of the certificate in {}", certificate.display()))
        }
        error => wrong_key(error.to_string()),
    })?;
    config.alpn_protocols = protocols;
    Ok(Identity { config: Arc::new(config), validity })
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn validity_of(certificate: &[u8]) -> Result<Validity, String> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("its first certificate cannot be read: {error}"))?;
    let validity = certificate.validity();
    let (from_s, until_s) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    Ok(Validity { from_s, until_s })
}

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
            return Err(HandshakeError::Plaintext(stream));
        }
        let stream = Begun { first: Some(first), stream };
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner).config.clone();
        match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => Ok(TlsStream { stream, heard: Arc::default() }),
            Err(error) => Err(refusal(error)),
        }
    }
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a client says of our certificate when it goes.
fn refusal<S>(error: io::Error) -> HandshakeError<S> {
    match cause(&error) {
        Some(rustls::Error::AlertReceived(alert)) => match alert {
            AlertDescription::UnknownCA => HandshakeError::UnknownAuthority,
            AlertDescription::CertificateExpired => HandshakeError::Expired,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown => HandshakeError::Refused(format!("{alert:?}")),
            _ => HandshakeError::Broken(error),
        },
        _ => HandshakeError::Broken(error),
    }
}

/// A stream of which the first byte was read.
#[derive(Debug)]
struct Begun<S> {
    first: Option<u8>,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
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

/// A stream over which TLS is spoken.
#[derive(Debug)]
pub struct TlsStream<S> {
    stream: server::TlsStream<Begun<S>>,
    heard: Arc<AtomicBool>,
}

impl<S> TlsStream<S> {
    /// The protocol that both agreed on, if they did.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    /// Whether the client has said anything after the handshake, also once the stream is gone. Those
    /// who look at a certificate after the handshake, as GnuTLS has them do, go without a word when
    /// they do not take it.
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
