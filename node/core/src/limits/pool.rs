//! Bounds of the calling side: dials, connections, second attempts, breakers.

use std::time::Duration;

use super::{CONNECTION_STREAMS_MAX, REQUEST_TIMEOUT, WRITER_BYTES_IN_FLIGHT_MAX};

/// Asking for the addresses of a peer's name.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connecting to one of them, a lost first packet included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Making the stream confidential, where that is configured.
pub const SECURE_TIMEOUT: Duration = Duration::from_secs(1);
/// Beginning HTTP/2.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);
/// Hearing who is there.
pub const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(2);
/// What is not waited for any longer: a newer layout, asked for on the way.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer to a node's probe of a peer, a dial included.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(8);
/// After a failed dial, the next waits this long, doubling up to `DIAL_BACKOFF_MAX`.
pub const DIAL_BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest wait between two dials of a peer that does not answer.
pub const DIAL_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// While a peer is backed off from, the resolver is asked this often whether it has moved.
pub const DIAL_LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// And waited for this long, because a caller waits too.
pub const DIAL_LOOK_TIMEOUT: Duration = Duration::from_millis(100);
/// A connection that ended so soon after it was opened might as well not have been.
pub const CONNECTION_STILLBORN: Duration = Duration::from_secs(1);

/// While requests wait and nothing is heard for this long, the calling side pings.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// An unanswered ping ends the connection after this.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// A shorter silence says nothing of a connection, however soon its requests are given up: what
/// they wait behind, a large object on a slow link, may take as long to be sent. Connections that
/// died are found within an election timeout all the same.
pub const CONNECTION_SILENCE_MIN: Duration = Duration::from_millis(500);
/// A connection on which nothing was heard for this long is asked who is there.
pub const CONNECTION_PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// A connection is replaced when it is this old.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// A connection to a peer that nobody asked for anything for this long is closed.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(600);
/// A pool does not look after its connections more often than this.
pub const POOL_UPKEEP_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Connections to one peer. One more may be open while it replaces an old one.
pub const POOL_CONNECTIONS_PER_PEER_MAX: usize = 4;
/// Connections to all peers of a pool.
pub const POOL_CONNECTIONS_MAX: usize = 1024;
/// Callers that wait for a connection to one peer.
pub const POOL_WAITERS_PER_PEER_MAX: usize = 2048;
/// Object data on its way to one peer.
pub const POOL_BYTES_IN_FLIGHT_PER_PEER_MAX: usize = 64 << 20;

/// Second attempts that a peer's requests may have at once: all that its connections hold.
pub const RETRY_TOKENS_MAX: u64 = 4096;
/// While second attempts go on, so many of a hundred requests may have one.
pub const RETRY_PERCENT: u64 = 20;
/// And so many in a second, however few requests there are.
pub const RETRIES_PER_SECOND_MIN: u64 = 10;

/// No deadline that follows a peer's latency is shorter than this.
pub const ADAPTIVE_DEADLINE_MIN: Duration = Duration::from_secs(8);

// A shorter deadline would pass before the pings tell a dead connection from a slow peer,
// and take the second attempt away.
const _: () = assert!(
    KEEPALIVE_INTERVAL.as_millis() + KEEPALIVE_TIMEOUT.as_millis()
        < ADAPTIVE_DEADLINE_MIN.as_millis()
);
// A dial that succeeds at all does so within the deadline of the request that waits for it.
const _: () = assert!(
    RESOLVE_TIMEOUT.as_millis()
        + CONNECT_TIMEOUT.as_millis()
        + SECURE_TIMEOUT.as_millis()
        + HANDSHAKE_TIMEOUT.as_millis()
        + IDENTIFY_TIMEOUT.as_millis()
        < REQUEST_TIMEOUT.as_millis()
);
// A request on a connection that died in silence learns it in time for a second attempt.
const _: () = assert!(
    KEEPALIVE_INTERVAL.as_millis() + KEEPALIVE_TIMEOUT.as_millis() + CONNECT_TIMEOUT.as_millis()
        < REQUEST_TIMEOUT.as_millis()
);
const _: () = assert!(KEEPALIVE_TIMEOUT.as_millis() <= KEEPALIVE_INTERVAL.as_millis());
const _: () = assert!(KEEPALIVE_INTERVAL.as_millis() < CONNECTION_PROBE_INTERVAL.as_millis());
const _: () = assert!(DIAL_LOOK_INTERVAL.as_millis() < DIAL_BACKOFF_MAX.as_millis());
const _: () = assert!(POOL_CONNECTIONS_PER_PEER_MAX <= POOL_CONNECTIONS_MAX);
const _: () = assert!(
    RETRY_TOKENS_MAX >= POOL_CONNECTIONS_PER_PEER_MAX as u64 * CONNECTION_STREAMS_MAX as u64
);
const _: () = assert!(POOL_BYTES_IN_FLIGHT_PER_PEER_MAX >= 2 * WRITER_BYTES_IN_FLIGHT_MAX);
