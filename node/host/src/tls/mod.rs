//! TLS server: a certificate with its key, and handshakes over any stream.
//!
//! The real half is rustls with the cryptography of ring. In the simulated world there is no TLS: a
//! handshake draws from the system's randomness and looks at its clock, neither of which is the
//! run's. An [`Identity`] is refused there, so there is nothing to shake hands with.

use std::io;
use std::path::PathBuf;

#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
mod simulated;
#[cfg(all(test, not(madsim)))]
mod tests;

#[cfg(not(madsim))]
pub use real::{Acceptor, Identity, TlsStream};
#[cfg(madsim)]
pub use simulated::{Acceptor, Identity, TlsStream};

/// One of the two files that an identity is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityFile {
    /// The certificate, and behind it those that lead to its authority.
    Certificate,
    /// Its private key.
    Key,
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

/// Why a handshake came to nothing.
#[derive(Debug)]
pub enum HandshakeError<S> {
    /// What came is no TLS. The stream is given back, for an answer in words.
    Plaintext(S),
    /// The client went away without a word, as those do who look whether a port is open.
    Silent,
    /// The client does not know the authority of our certificate.
    UnknownAuthority,
    /// The client finds that our certificate has expired, or is not valid yet.
    Expired,
    /// The client does not take our certificate, and says no more than that.
    Refused(String),
    /// Anything else, such as a client that goes away.
    Broken(io::Error),
}

impl<S> std::fmt::Display for HandshakeError<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HandshakeError::Plaintext(_) => f.write_str("the client does not speak TLS"),
            HandshakeError::Silent => f.write_str("the client went away without a word"),
            HandshakeError::UnknownAuthority => {
                f.write_str("the client does not know the authority that signed our certificate")
            }
            HandshakeError::Expired => f.write_str(
                "the client finds that our certificate has expired, or is not valid yet",
            ),
            HandshakeError::Refused(alert) => {
                write!(f, "the client does not take our certificate: {alert}")
            }
            HandshakeError::Broken(error) => write!(f, "the handshake broke off: {error}"),
        }
    }
}
