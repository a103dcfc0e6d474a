//! The `[pool]` part of a configuration.

use std::time::Duration;

use gitstratum_cluster::transport::{Keepalive, PoolOptions};
use gitstratum_core::limits;
use serde::{Deserialize, Serialize};

/// How a node keeps connections to its peers. Times are in seconds and may have a fraction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Connections to one peer.
    pub connections_per_peer: usize,
    /// Connections to all peers.
    pub connections: usize,
    /// Requests on one connection before another is opened.
    pub requests_per_connection: u32,
    /// Callers that wait for a connection to one peer.
    pub waiters_per_peer: usize,
    /// Object data on its way to one peer, in bytes.
    pub bytes_in_flight_per_peer: usize,
    /// A connection is replaced when it is this old.
    pub max_age_s: f64,
    /// A connection to a peer that nobody asked for anything for this long is closed.
    pub idle_s: f64,
    /// A connection on which nothing was heard for this long is asked who is there.
    pub probe_interval_s: f64,
    /// While requests wait and nothing is heard for this long, a ping is sent.
    pub keepalive_interval_s: f64,
    /// An unanswered ping ends the connection after this.
    pub keepalive_timeout_s: f64,
}

impl Default for PoolConfig {
    fn default() -> Self {
        let options = PoolOptions::default();
        PoolConfig {
            connections_per_peer: options.connections_per_peer_max,
            connections: options.connections_max,
            requests_per_connection: options.streams_per_connection_max,
            waiters_per_peer: options.waiters_per_peer_max,
            bytes_in_flight_per_peer: options.bytes_in_flight_per_peer_max,
            max_age_s: options.age_max.as_secs_f64(),
            idle_s: options.idle_max.as_secs_f64(),
            probe_interval_s: options.probe_interval.as_secs_f64(),
            keepalive_interval_s: options.keepalive.interval.as_secs_f64(),
            keepalive_timeout_s: options.keepalive.timeout.as_secs_f64(),
        }
    }
}

impl PoolConfig {
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let counts = [
            ("pool.connections_per_peer", self.connections_per_peer, 64),
            ("pool.connections", self.connections, 65_536),
            (
                "pool.requests_per_connection",
                self.requests_per_connection as usize,
                limits::CONNECTION_STREAMS_MAX as usize,
            ),
            ("pool.waiters_per_peer", self.waiters_per_peer, 1 << 20),
        ];
        for (field, count, max) in counts {
            if !(1..=max).contains(&count) {
                return Err((field, format!("{count} is not between 1 and {max}")));
            }
        }
        if self.connections < self.connections_per_peer {
            let problem = format!(
                "{} is less than pool.connections_per_peer ({})",
                self.connections, self.connections_per_peer
            );
            return Err(("pool.connections", problem));
        }
        let bytes_min = limits::MESSAGE_BYTES_MAX;
        if self.bytes_in_flight_per_peer < bytes_min {
            let problem = format!("{} is less than {bytes_min}", self.bytes_in_flight_per_peer);
            return Err(("pool.bytes_in_flight_per_peer", problem));
        }
        let times = [
            ("pool.max_age_s", self.max_age_s),
            ("pool.idle_s", self.idle_s),
            ("pool.probe_interval_s", self.probe_interval_s),
            ("pool.keepalive_interval_s", self.keepalive_interval_s),
            ("pool.keepalive_timeout_s", self.keepalive_timeout_s),
        ];
        for (field, seconds) in times {
            // False for what is no number, too.
            if !(0.1..=86_400.0).contains(&seconds) {
                return Err((field, format!("{seconds} is not between 0.1 and 86400 seconds")));
            }
        }
        Ok(())
    }

    /// The same as the pool wants it.
    pub fn options(&self) -> PoolOptions {
        PoolOptions {
            connections_per_peer_max: self.connections_per_peer,
            connections_max: self.connections,
            streams_per_connection_max: self.requests_per_connection,
            waiters_per_peer_max: self.waiters_per_peer,
            bytes_in_flight_per_peer_max: self.bytes_in_flight_per_peer,
            age_max: Duration::from_secs_f64(self.max_age_s),
            idle_max: Duration::from_secs_f64(self.idle_s),
            probe_interval: Duration::from_secs_f64(self.probe_interval_s),
            keepalive: Keepalive {
                interval: Duration::from_secs_f64(self.keepalive_interval_s),
                timeout: Duration::from_secs_f64(self.keepalive_timeout_s),
            },
        }
    }
}
