//! TLS of the accepting side: what comes first on a connection, and what became of it.
//!
//! A port that requires TLS answers who speaks plain HTTP/2 in plain HTTP/2, so that they learn why
//! they are refused. Each kind of failure is counted, and told to the log once in a while.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use gitstratum_core::metrics::{self, Counter, Labels, Reading, Registry};
use gitstratum_core::seldom::Seldom;
use gitstratum_host::net::Stream;
use gitstratum_host::tls::{Acceptor, Begun, CertificateProblem, HandshakeError, TlsStream};

use super::super::holder::Holder;

/// What one is told who speaks in plain text to a port that requires TLS.
pub(super) const TLS_REQUIRED: &str = "the node requires TLS: other nodes are given it by [tls] in their configuration, commands by \
     --tls-authority, --tls-certificate and --tls-key";

/// How a port is secured.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// It is not.
    Plain,
    /// By TLS with those who have a certificate of the authority.
    Tls {
        /// What is shown, and who is trusted.
        acceptor: Acceptor,
        /// Whether who speaks no TLS is refused.
        is_required: bool,
    },
}

/// What came of a connection's beginning.
pub(super) enum Entered {
    /// TLS, with the holder of a certificate, or with somebody who shows none.
    Tls(Box<TlsStream<Stream>>, Option<Holder>),
    /// No TLS.
    Plain(Begun<Stream>),
}

/// What became of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The client spoke in plain text, where TLS is required.
    Plaintext,
    /// The client showed no certificate.
    NoCertificate,
    /// An authority signed the client's that is not ours.
    UnknownAuthority,
    /// The client's has expired, or is not valid yet.
    Expired,
    /// The client's was revoked.
    Revoked,
    /// The client's cannot be used, or says for nobody that it is.
    OtherCertificate,
    /// The client does not take ours.
    Refused,
    /// It did not come to its end in time.
    Late,
    /// The client went away, or what came was no handshake.
    Broken,
}

impl Outcome {
    const ALL: [Outcome; 10] = [
        Outcome::Done,
        Outcome::Plaintext,
        Outcome::NoCertificate,
        Outcome::UnknownAuthority,
        Outcome::Expired,
        Outcome::Revoked,
        Outcome::OtherCertificate,
        Outcome::Refused,
        Outcome::Late,
        Outcome::Broken,
    ];

    fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Plaintext => "plaintext",
            Outcome::NoCertificate => "no_certificate",
            Outcome::UnknownAuthority => "unknown_authority",
            Outcome::Expired => "expired",
            Outcome::Revoked => "revoked",
            Outcome::OtherCertificate => "other_certificate",
            Outcome::Refused => "refused",
            Outcome::Late => "late",
            Outcome::Broken => "broken",
        }
    }
}

/// Handshakes by what became of them.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    outcomes: [Tally; Outcome::ALL.len()],
}

#[derive(Debug, Default)]
struct Tally {
    count: Counter,
    logged: Seldom,
}

impl Handshakes {
    fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].count.inc();
    }

    /// Counts a handshake that failed with a client at `address`, and says so now and then.
    pub(super) fn failed(&self, outcome: Outcome, address: IpAddr, reason: &str) {
        let tally = &self.outcomes[outcome as usize];
        tally.count.inc();
        match tally.logged.count() {
            Some(count) => {
                tracing::warn!(
                    count,
                    %address,
                    reason,
                    "connections of nodes or commands were refused"
                );
            }
            None => tracing::debug!(%address, reason, "a connection was refused"),
        }
    }

    /// Registers what `of` gives.
    pub(super) fn register<T: Send + Sync + 'static>(
        registry: &mut Registry,
        from: Arc<T>,
        of: impl Fn(&T) -> &Handshakes + Send + Sync + 'static,
    ) {
        let help = "TLS handshakes with nodes and commands, and connections in plain text where it \
                    is required, by what became of them";
        let handshakes = [Reading::counter("server_handshakes", help, |count: &u64| *count)];
        metrics::register_encoded(registry, move |encoder| {
            let counts = Outcome::ALL.map(|outcome| {
                let labels: Labels = vec![("outcome", outcome.name().to_owned())];
                (labels, of(&from).outcomes[outcome as usize].count.get())
            });
            metrics::encode(encoder, &handshakes, &counts)
        });
    }

    /// Begins a connection: shakes hands with who speaks TLS.
    pub(super) async fn enter(
        &self,
        acceptor: &Acceptor,
        stream: Stream,
        address: IpAddr,
    ) -> Option<Entered> {
        let error = match acceptor.accept(stream).await {
            Ok(stream) => {
                let names = stream.peer_names();
                return match names.map(|names| Holder::of(&names)).transpose() {
                    Ok(holder) => {
                        self.count(Outcome::Done);
                        Some(Entered::Tls(Box::new(stream), holder))
                    }
                    Err(problem) => {
                        self.failed(Outcome::OtherCertificate, address, &problem);
                        None
                    }
                };
            }
            Err(HandshakeError::Plaintext(stream)) => return Some(Entered::Plain(stream)),
            Err(error) => error,
        };
        let outcome = outcome_of(&error);
        match &error {
            // Somebody looked whether the port is open, or had an answer from another node first.
            HandshakeError::Silent => self.count(outcome),
            HandshakeError::Broken(cause) if has_gone(cause) => self.count(outcome),
            _ => self.failed(outcome, address, &error.to_string()),
        }
        None
    }
}

fn has_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn outcome_of<S>(error: &HandshakeError<S>) -> Outcome {
    match error {
        HandshakeError::Plaintext(_) => Outcome::Plaintext,
        HandshakeError::Certificate(problem) => match problem {
            CertificateProblem::Missing => Outcome::NoCertificate,
            CertificateProblem::UnknownAuthority => Outcome::UnknownAuthority,
            CertificateProblem::Expired | CertificateProblem::NotYetValid => Outcome::Expired,
            CertificateProblem::Revoked => Outcome::Revoked,
            CertificateProblem::OtherName(_) | CertificateProblem::Other(_) => {
                Outcome::OtherCertificate
            }
        },
        HandshakeError::Refused(_) => Outcome::Refused,
        HandshakeError::Silent | HandshakeError::Broken(_) => Outcome::Broken,
    }
}
