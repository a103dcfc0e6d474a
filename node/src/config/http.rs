//! The `[http]` part of a configuration: the door for Git.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a node serves Git over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where it listens, as IP:PORT; without it, it does not.
    pub listen: Option<SocketAddr>,
    /// Whether a push to a repository that is not there makes it.
    pub create_on_push: bool,
    /// Minutes between two sweeps of chunks that nobody owns; 0 for none.
    pub sweep_interval_min: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig { listen: None, create_on_push: false, sweep_interval_min: 60 }
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
        Ok(())
    }
}
