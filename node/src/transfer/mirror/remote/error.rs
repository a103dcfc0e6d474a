//! Why a remote repository cannot be read.

use std::io;
use std::time::Duration;

use gitstratum_core::limits::{self, GIT_REASON_BYTES_MAX};
use gitstratum_git::pkt_line::PacketError;
use http::StatusCode;

/// Why a remote repository cannot be read. None of them has what authenticates.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Its host has no address.
    #[error("{url}: its host is not found")]
    Resolve {
        /// The remote.
        url: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("{url}: no connection")]
    Dial {
        /// The remote.
        url: String,
        /// Why not, of the last address that was tried.
        source: io::Error,
    },
    /// There is no certificate to trust.
    #[error(
        "this machine has no certificates of authorities to trust{found}; SSL_CERT_FILE names a file \
         of them"
    )]
    NoRoots {
        /// What was found wrong.
        found: String,
    },
    /// TLS failed.
    #[error(
        "{url}: TLS failed; if its certificate is to be trusted, SSL_CERT_FILE names a file of its \
         authority's"
    )]
    Tls {
        /// The remote.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// It said nothing for too long.
    #[error("{url} has said nothing for {} seconds", after.as_secs())]
    Stalled {
        /// The remote.
        url: String,
        /// How long that was.
        after: Duration,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("{url}: the connection broke")]
    Broken {
        /// The remote.
        url: String,
        /// How.
        source: hyper::Error,
    },
    /// What came ends before it is complete.
    #[error("{url}: its answer ends in the middle")]
    Truncated {
        /// The remote.
        url: String,
    },
    /// There is no such repository, or not for everybody.
    #[error("{url} is not found (HTTP 404){said}; hosts say that of private repositories too")]
    NotFound {
        /// The remote.
        url: String,
        /// Its reason.
        said: String,
    },
    /// It asks for credentials, or does not take those that it got.
    #[error("{url} asks for credentials (HTTP 401){said}; {advice}")]
    Unauthorized {
        /// The remote.
        url: String,
        /// Its reason.
        said: String,
        /// What to do.
        advice: &'static str,
    },
    /// Any other refusal.
    #[error("{url} refuses with HTTP {status}{said}")]
    Status {
        /// The remote.
        url: String,
        /// What it answers.
        status: StatusCode,
        /// Its reason.
        said: String,
    },
    /// It redirects to where it is not followed.
    #[error("{url} redirects to {location}, where no repository of the same security is")]
    Redirect {
        /// The remote.
        url: String,
        /// Where to, without credentials.
        location: String,
    },
    /// It redirects without end.
    #[error("{url}: {} redirects are too many", limits::MIRROR_REDIRECTS_MAX)]
    Redirects {
        /// The remote.
        url: String,
    },
    /// There is a web server, and no repository.
    #[error("{url} is no Git repository over smart HTTP: {reason}")]
    NotGit {
        /// The remote.
        url: String,
        /// How that is known.
        reason: String,
    },
    /// It speaks otherwise than Git's protocol has it.
    #[error("{url}: {what}")]
    Protocol {
        /// The remote.
        url: String,
        /// What came.
        what: String,
    },
    /// Its answer is not made of packets.
    #[error("{url}: its answer cannot be read")]
    Packet {
        /// The remote.
        url: String,
        /// Why not.
        source: PacketError,
    },
    /// It says that something is wrong.
    #[error("{url} says: {reason}")]
    Said {
        /// The remote.
        url: String,
        /// What.
        reason: String,
    },
    /// It has not all of its history.
    #[error(
        "{url} is a shallow repository, without its history: `git fetch --unshallow` there completes \
         it"
    )]
    Shallow {
        /// The remote.
        url: String,
    },
    /// It has more refs than a repository may have.
    #[error(
        "{url} has more than {max} {what}, which is more than is taken; --refs takes fewer of them"
    )]
    TooMany {
        /// The remote.
        url: String,
        /// Of what.
        what: &'static str,
        /// The limit.
        max: u64,
    },
}

/// What a remote says, as one line that a terminal can show.
pub(super) fn one_line(text: &[u8]) -> String {
    let text = &text[..text.len().min(GIT_REASON_BYTES_MAX)];
    let text = String::from_utf8_lossy(text);
    let printable = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.collect()
}
