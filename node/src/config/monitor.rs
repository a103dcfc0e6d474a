//! The `[monitor]` part of a configuration: metrics and health, for whoever watches nodes.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a node says how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Where it listens for Prometheus, for probes and for browsers, as IP:PORT; without it, it does not.
    pub listen: Option<SocketAddr>,
    /// A PEM file with the certificate that it shows there, and behind it those that lead to its
    /// authority. With it, it speaks TLS.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    pub key: Option<PathBuf>,
    /// Whether the status page takes access tokens in plain text from other machines.
    pub plain_tokens: bool,
}

impl MonitorConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        match (&self.certificate, &self.key) {
            (Some(_), None) => {
                let problem = "missing beside monitor.certificate: the file with its key";
                Err(("monitor.key", problem.to_owned()))
            }
            (None, Some(_)) => {
                let problem =
                    "missing beside monitor.key: the file with the certificate of that key";
                Err(("monitor.certificate", problem.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// What whoever starts a node should know that says how it is at this address.
    pub(crate) fn warning(&self, at: SocketAddr, asks_for_tokens: bool) -> Option<&'static str> {
        if at.ip().to_canonical().is_loopback() {
            return None;
        }
        if !asks_for_tokens {
            return Some(
                "whoever reaches this address sees the names and sizes of all repositories at /status, \
                 since no access tokens are asked for: set tokens = \"required\" under [access], or keep \
                 the address on a network that you trust",
            );
        }
        (self.plain_tokens && self.certificate.is_none()).then_some(
            "access tokens come to the status page as plain text, readable by everybody on the way, as \
             plain_tokens under [monitor] says: give it a certificate there (certificate and key), or \
             keep the address on a network that you trust",
        )
    }
}
