//! The `[monitor]` part of a configuration: metrics and health, for whoever watches nodes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where a node says how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Where it listens for Prometheus and for probes, as IP:PORT; without it, it does not.
    pub listen: Option<SocketAddr>,
}
