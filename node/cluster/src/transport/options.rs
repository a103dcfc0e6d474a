//! Pool options.
//!
//! How a pool behaves, with the defaults of `limits`.

use std::time::Duration;

use gitstratum_core::limits;

use super::dial::Keepalive;

/// How a pool behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolOptions {
    /// Connections to one peer; at least 1.
    pub connections_per_peer_max: usize,
    /// Connections to all peers together; at least 1.
    pub connections_max: usize,
    /// Requests on one connection before another is opened.
    pub streams_per_connection_max: u32,
    /// Callers that wait for a connection to one peer.
    pub waiters_per_peer_max: usize,
    /// Object data on its way to one peer. A single request may exceed it.
    pub bytes_in_flight_per_peer_max: usize,
    /// A connection is replaced when it is this old; jitter takes up to a fifth away.
    pub age_max: Duration,
    /// A connection to a peer that nobody asked for anything for this long is closed.
    pub idle_max: Duration,
    /// A connection on which nothing was heard for this long is asked who is there.
    pub probe_interval: Duration,
    /// HTTP/2 pings while requests wait.
    pub keepalive: Keepalive,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions {
            connections_per_peer_max: limits::POOL_CONNECTIONS_PER_PEER_MAX,
            connections_max: limits::POOL_CONNECTIONS_MAX,
            streams_per_connection_max: limits::CONNECTION_STREAMS_MAX,
            waiters_per_peer_max: limits::POOL_WAITERS_PER_PEER_MAX,
            bytes_in_flight_per_peer_max: limits::POOL_BYTES_IN_FLIGHT_PER_PEER_MAX,
            age_max: limits::CONNECTION_AGE_MAX,
            idle_max: limits::CONNECTION_IDLE_MAX,
            probe_interval: limits::CONNECTION_PROBE_INTERVAL,
            keepalive: Keepalive::default(),
        }
    }
}
