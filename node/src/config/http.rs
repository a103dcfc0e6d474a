//! The `[http]` part of a configuration: the door for Git.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How a node serves Git over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where it listens, as IP:PORT; without it, it does not.
    pub listen: Option<SocketAddr>,
    /// Whether a push to a repository that is not there makes it.
    pub create_on_push: bool,
}

impl HttpConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self, catalog: bool) -> Result<(), (&'static str, String)> {
        if self.listen.is_some() && !catalog {
            let problem = "repositories are in the catalog, which catalog.enabled switches off";
            return Err(("http.listen", problem.to_owned()));
        }
        Ok(())
    }
}
