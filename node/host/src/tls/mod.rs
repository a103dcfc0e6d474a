//! TLS: certificates with their keys, whom to trust, and handshakes of both sides over any stream.
//!
//! A server shows an [`Identity`] by an [`Acceptor`]; one that was read as [`Mutual`] asks those who
//! come for certificates of its authority. A client has [`Trust`], and shakes hands by a [`Connector`].
//! What a certificate's names mean is left to others.
//!
//! The real half is rustls with the cryptography of ring. In the simulated world there is no TLS: a
//! handshake draws from the system's randomness and looks at its clock, neither of which is the
//! run's. An [`Identity`] and [`Trust`] are refused there, so there is nothing to shake hands with.

use std::io;
use std::path::PathBuf;

mod begun;
#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
mod simulated;
#[cfg(all(test, not(madsim)))]
mod tests;

pub use begun::Begun;
#[cfg(not(madsim))]
pub use real::{Acceptor, Connector, Identity, Mutual, TlsStream, Trust, dns_names, fingerprint};
#[cfg(madsim)]
pub use simulated::{Acceptor, Connector, Identity, Mutual, TlsStream, Trust};

/// One of the files that an identity is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityFile {
    /// The certificate, and behind it those that lead to its authority.
    Certificate,
    /// Its private key.
    Key,
    /// The certificates of the authorities that are trusted.
    Authority,
    /// The list of certificates that were revoked.
    Revoked,
}

/// The SHA-256 of a certificate, by which it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

/// The PEM files of one side of mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutualFiles {
    /// The certificate, and behind it those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificates of the authorities that are trusted, and no others.
    pub authority: PathBuf,
    /// The fingerprints of certificates that are worth nothing any more, if there is such a list.
    pub revoked: Option<PathBuf>,
}

/// Whether those who come have to show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They have to: without one there is no handshake.
    Required,
    /// They may: who shows none is known to be nobody, and one that is shown has to be good.
    Optional,
}

/// Why there is no identity.
#[derive(Debug)]
pub struct IdentityError {
    /// Which of the files is wrong.
    pub file: IdentityFile,
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl std::fmt::Display for IdentityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for IdentityError {}

/// When a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before this.
    pub from_s: i64,
    /// Not after this.
    pub until_s: i64,
}

/// What is wrong with the certificate of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// It has none.
    Missing,
    /// An authority signed it that is not trusted here.
    UnknownAuthority,
    /// It has expired, by our clock.
    Expired,
    /// It is not valid yet, by our clock.
    NotYetValid,
    /// It was revoked.
    Revoked,
    /// It does not have the name that was asked for; these it has.
    OtherName(Vec<String>),
    /// Anything else, such as one that is made for servers and shown by a client.
    Other(String),
}

impl std::fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CertificateProblem::Missing => f.write_str("it shows no certificate"),
            CertificateProblem::UnknownAuthority => {
                f.write_str("an authority that is not trusted here signed its certificate")
            }
            CertificateProblem::Expired => f.write_str("its certificate has expired"),
            CertificateProblem::NotYetValid => {
                f.write_str("its certificate is not valid yet, by our clock")
            }
            CertificateProblem::Revoked => f.write_str("its certificate was revoked"),
            CertificateProblem::OtherName(names) => {
                write!(f, "its certificate is for {}", listed(names))
            }
            CertificateProblem::Other(problem) => {
                write!(f, "its certificate cannot be used: {problem}")
            }
        }
    }
}

/// The names of a certificate, which are somebody's word, for a line of a log.
fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        names => {
            names.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Why the other side did not take our certificate, as far as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for a certificate, and we have none.
    Missing,
    /// It does not know the authority that signed ours.
    UnknownAuthority,
    /// It finds that ours has expired, or is not valid yet.
    Expired,
    /// It knows that ours was revoked.
    Revoked,
    /// It says no more than that.
    Other(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Missing => f.write_str("it asks for a certificate, and we show none"),
            Refusal::UnknownAuthority => {
                f.write_str("it does not know the authority that signed our certificate")
            }
            Refusal::Expired => {
                f.write_str("it finds that our certificate has expired, or is not valid yet")
            }
            Refusal::Revoked => f.write_str("it knows that our certificate was revoked"),
            Refusal::Other(alert) => write!(f, "it does not take our certificate: {alert}"),
        }
    }
}

/// Why a server's handshake with a client came to nothing.
#[derive(Debug)]
pub enum HandshakeError<S> {
    /// What came is no TLS. The stream is given back, with all that came on it.
    Plaintext(Begun<S>),
    /// The client went away without a word, as those do who look whether a port is open.
    Silent,
    /// The client does not take our certificate.
    Refused(Refusal),
    /// We do not take the client's.
    Certificate(CertificateProblem),
    /// Anything else, such as a client that goes away.
    Broken(io::Error),
}

impl<S> std::fmt::Display for HandshakeError<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HandshakeError::Plaintext(_) => f.write_str("the client does not speak TLS"),
            HandshakeError::Silent => f.write_str("the client went away without a word"),
            HandshakeError::Refused(Refusal::UnknownAuthority) => {
                f.write_str("the client does not know the authority that signed our certificate")
            }
            HandshakeError::Refused(Refusal::Expired) => f.write_str(
                "the client finds that our certificate has expired, or is not valid yet",
            ),
            HandshakeError::Refused(Refusal::Revoked) => {
                f.write_str("the client knows that our certificate was revoked")
            }
            HandshakeError::Refused(Refusal::Other(alert)) => {
                write!(f, "the client does not take our certificate: {alert}")
            }
            HandshakeError::Refused(Refusal::Missing) => {
                f.write_str("the client asks for a certificate, and we show none")
            }
            HandshakeError::Certificate(problem) => {
                write!(f, "we do not take the client's certificate: {problem}")
            }
            HandshakeError::Broken(error) => write!(f, "the handshake broke off: {error}"),
        }
    }
}

/// Why a client's handshake with a server came to nothing.
#[derive(Debug)]
pub enum ConnectError {
    /// What came back is no TLS.
    Plaintext,
    /// We do not take the server's certificate.
    Certificate(CertificateProblem),
    /// The server does not take ours.
    Refused(Refusal),
    /// Anything else, such as a server that goes away.
    Broken(io::Error),
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConnectError::Plaintext => f.write_str("it does not speak TLS"),
            ConnectError::Certificate(problem) => write!(f, "{problem}"),
            ConnectError::Refused(refusal) => write!(f, "{refusal}"),
            ConnectError::Broken(error) => write!(f, "the handshake broke off: {error}"),
        }
    }
}
