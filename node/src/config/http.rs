//! The `[http]` part of a configuration: the door for Git.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a node serves Git over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where it listens, as IP:PORT; without it, it does not.
    pub listen: Option<SocketAddr>,
    /// A PEM file with the certificate that it shows, and behind it those that lead to its authority.
    /// With it, it speaks TLS.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    pub key: Option<PathBuf>,
    /// Whether a push to a repository that is not there makes it.
    pub create_on_push: bool,
    /// Minutes between two sweeps of chunks that nobody owns; 0 for none.
    pub sweep_interval_min: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: None,
            certificate: None,
            key: None,
            create_on_push: false,
            sweep_interval_min: 60,
        }
    }
}

impl HttpConfig {
    /// Between two sweeps.
    pub(crate) fn sweep_interval(&self) -> Option<Duration> {
        let minutes = u64::from(self.sweep_interval_min);
        (minutes > 0).then(|| Duration::from_secs(60 * minutes))
    }

    /// The first field that is wrong, and why.
    pub(super) fn check(&self, catalog: bool) -> Result<(), (&'static str, String)> {
        if self.listen.is_some() && !catalog {
            let problem = "repositories are in the catalog, which catalog.enabled switches off";
            return Err(("http.listen", problem.to_owned()));
        }
        match (&self.certificate, &self.key) {
            (Some(_), None) => {
                let problem = "missing beside http.certificate: the file with its key";
                Err(("http.key", problem.to_owned()))
            }
            (None, Some(_)) => {
                let problem = "missing beside http.key: the file with the certificate of that key";
                Err(("http.certificate", problem.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Whether it speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        self.certificate.is_some()
    }
}
