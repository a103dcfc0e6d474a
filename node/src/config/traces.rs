//! The `[traces]` part of a configuration: where traces go, and of how many requests.

use http::Uri;
use serde::{Deserialize, Serialize};

/// Below the endpoint, where OTLP has spans sent to.
const PATH: &str = "/v1/traces";
/// Where a collector listens for OTLP over HTTP, when nothing else is said.
const PORT: u16 = 4318;

/// What a node traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// The collector that spans are sent to, by OTLP over HTTP, as `http://HOST[:PORT][/PATH]`;
    /// without it, nothing is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The share of requests that are traced, from 0 to 1.
    pub sample: f64,
    /// Whether callers outside of the cluster say what their requests are called, and whether they
    /// are traced: by the header `traceparent`, as a forge's proxy sends it.
    pub believe_callers: bool,
}

impl Default for TracesConfig {
    fn default() -> Self {
        TracesConfig { endpoint: None, sample: 0.01, believe_callers: false }
    }
}

/// Where a collector takes spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// What is dialled.
    pub host_and_port: String,
    /// What is asked for there.
    pub path: String,
}

impl TracesConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(0.0..=1.0).contains(&self.sample) {
            return Err(("traces.sample", format!("{} is not between 0 and 1", self.sample)));
        }
        self.collector().map(drop).map_err(|problem| ("traces.endpoint", problem))
    }

    /// Where spans are sent to, if they are.
    ///
    /// # Errors
    /// What is wrong with the endpoint. It may have a password, so none of it is repeated.
    pub fn collector(&self) -> Result<Option<Collector>, String> {
        let Some(text) = &self.endpoint else { return Ok(None) };
        let wrong = || "it is no URL such as http://127.0.0.1:4318".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "spans are sent in plain HTTP: name a collector on this machine or in \
                            a network that you trust, and have that one speak TLS to others"
                        .to_owned(),
                );
            }
            _ => return Err(wrong()),
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err("a user, a password and a query have no place in it".to_owned());
        }
        if authority.host().is_empty() {
            return Err(wrong());
        }
        let port = authority.port_u16().unwrap_or(PORT);
        if port == 0 || authority.as_str().ends_with(':') {
            return Err(wrong());
        }
        let base = uri.path().trim_end_matches('/');
        let base = base.strip_suffix(PATH).unwrap_or(base);
        let host_and_port = format!("{}:{port}", authority.host());
        Ok(Some(Collector { host_and_port, path: format!("{base}{PATH}") }))
    }
}
