//! What came of a handshake, told apart.

use std::io;

use rustls::{AlertDescription, CertificateError};
use tokio_rustls::rustls;

use super::super::{CertificateProblem, ConnectError, HandshakeError, Refusal};

/// Why a handshake failed, on either side.
enum Failed {
    /// We do not take the certificate of the other side.
    Certificate(CertificateProblem),
    /// It does not take ours.
    Refused(Refusal),
    Broken(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match cause(&error) {
            Some(rustls::Error::InvalidCertificate(problem)) => {
                Failed::Certificate(problem_of(problem))
            }
            Some(rustls::Error::NoCertificatesPresented) => {
                Failed::Certificate(CertificateProblem::Missing)
            }
            Some(rustls::Error::AlertReceived(alert)) => match refusal_of(*alert) {
                Some(refusal) => Failed::Refused(refusal),
                None => Failed::Broken(error),
            },
            _ => Failed::Broken(error),
        }
    }
}

impl<S> From<Failed> for HandshakeError<S> {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Certificate(problem) => HandshakeError::Certificate(problem),
            Failed::Refused(refusal) => HandshakeError::Refused(refusal),
            Failed::Broken(error) => HandshakeError::Broken(error),
        }
    }
}

impl From<Failed> for ConnectError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Certificate(problem) => ConnectError::Certificate(problem),
            Failed::Refused(refusal) => ConnectError::Refused(refusal),
            Failed::Broken(error) => ConnectError::Broken(error),
        }
    }
}

/// Why a server's handshake failed.
pub(super) fn handshake_error<S>(error: io::Error) -> HandshakeError<S> {
    Failed::from(error).into()
}

/// Why a client's did.
pub(super) fn connect_error(error: io::Error) -> ConnectError {
    Failed::from(error).into()
}

/// What rustls says, without the words that it begins with.
pub(super) fn described(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => format!("{problem}"),
        error => error.to_string(),
    }
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn problem_of(problem: &CertificateError) -> CertificateProblem {
    match problem {
        CertificateError::UnknownIssuer => CertificateProblem::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotYetValid
        }
        CertificateError::Revoked => CertificateProblem::Revoked,
        CertificateError::NotValidForName => CertificateProblem::OtherName(Vec::new()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            CertificateProblem::OtherName(presented.iter().map(|name| bare(name)).collect())
        }
        problem => CertificateProblem::Other(problem.to_string()),
    }
}

/// A name as certificates have it, out of `DnsName("NAME")`.
fn bare(presented: &str) -> String {
    let quoted = presented.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(presented, |(name, _)| name).to_owned()
}

/// What an alert says of our certificate, if it is of that.
fn refusal_of(alert: AlertDescription) -> Option<Refusal> {
    match alert {
        AlertDescription::CertificateRequired => Some(Refusal::Missing),
        AlertDescription::UnknownCA => Some(Refusal::UnknownAuthority),
        AlertDescription::CertificateExpired => Some(Refusal::Expired),
        AlertDescription::CertificateRevoked => Some(Refusal::Revoked),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => Some(Refusal::Other(format!("{alert:?}"))),
        _ => None,
    }
}
