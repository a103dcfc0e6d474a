//! Bounds of a node's listener for its cluster and for clients: what a connection, an address, and
//! all clients together may hold, and how long what is held may stand still.
//!
//! Addresses of members are those of the layout. A member may hold as much as all clients together,
//! which leave the rest of everything to members.

use std::time::Duration;

use super::{
    BATCH_OBJECTS_MAX, CONNECTION_IDLE_MAX, CONNECTION_PROBE_INTERVAL, FRAME_BYTES_MAX,
    HANDSHAKE_TIMEOUT, IDENTIFY_TIMEOUT, KEEPALIVE_TIMEOUT, LARGE_ANSWER_TIMEOUT,
    LARGE_PART_TIMEOUT, LAYOUTS_UNSETTLED_MAX, MEMBERS_MAX, MESSAGE_BYTES_MAX,
    POOL_BYTES_IN_FLIGHT_PER_PEER_MAX, SECURE_TIMEOUT, SHUTDOWN_TIMEOUT, STORE_LARGE_WRITERS_MAX,
};

/// Requests that a server works on at once.
pub const SERVER_REQUESTS_MAX: usize = 1024;
/// Of those, what clients may have at once: the rest is for members.
pub const SERVER_REQUESTS_OF_CLIENTS_MAX: usize = 768;
/// And those at one address.
pub const SERVER_REQUESTS_OF_ONE_MAX: usize = 512;
/// Questions who a node is, and how it is, that it answers beside those: they are what tells
/// overload from a node that is gone.
pub const SERVER_QUESTIONS_MAX: usize = 64;
/// Of those, what clients may have at once.
pub const SERVER_QUESTIONS_OF_CLIENTS_MAX: usize = 48;
/// And those at one address.
pub const SERVER_QUESTIONS_OF_ONE_MAX: usize = 32;
/// Streams that tell how a node is whenever that changes, which last as long as somebody watches: they
/// take none of the room of requests and of questions.
pub const SERVER_WATCHES_MAX: usize = 128;
/// Of those, what clients may have at once.
pub const SERVER_WATCHES_OF_CLIENTS_MAX: usize = 96;
/// And those at one address.
pub const SERVER_WATCHES_OF_ONE_MAX: usize = 32;
/// How often such a stream looks how the node is.
pub const HEALTH_WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// A question how a node is: the name of a service.
pub const HEALTH_REQUEST_BYTES_MAX: usize = 4 << 10;
/// Connections that a server holds at once.
pub const SERVER_CONNECTIONS_MAX: usize = 4096;
/// Of those, what clients may have at once.
pub const SERVER_CONNECTIONS_OF_CLIENTS_MAX: usize = 3072;
/// And those at one address.
pub const SERVER_CONNECTIONS_OF_ONE_MAX: usize = 1024;
/// Requests of one connection at once (HTTP/2 streams): a fourth of all.
pub const SERVER_CONNECTION_STREAMS_MAX: u32 = 256;
/// TLS handshakes that are under way at once.
pub const SERVER_HANDSHAKES_MAX: usize = 512;
/// Of those, what clients may have at once.
pub const SERVER_HANDSHAKES_OF_CLIENTS_MAX: usize = 384;
/// And those at one address.
pub const SERVER_HANDSHAKES_OF_ONE_MAX: usize = 256;
/// Large objects that are received at once from clients.
pub const SERVER_LARGE_OF_CLIENTS_MAX: usize = 12;
/// And from those at one address.
pub const SERVER_LARGE_OF_ONE_MAX: usize = 8;

/// Bytes of requests that are received at once: of messages of which the rest is to come.
pub const SERVER_RECEIVED_BYTES_MAX: usize = 384 << 20;
/// Of those, what clients may have at once.
pub const SERVER_RECEIVED_BYTES_OF_CLIENTS_MAX: usize = 256 << 20;
/// And those at one address.
pub const SERVER_RECEIVED_BYTES_OF_ONE_MAX: usize = 128 << 20;
/// Bytes of answers that wait to be read for longer than [`SERVER_UNREAD_AFTER`].
pub const SERVER_UNREAD_BYTES_MAX: usize = 192 << 20;
/// Of those, what clients may have at once.
pub const SERVER_UNREAD_BYTES_OF_CLIENTS_MAX: usize = 128 << 20;
/// And those at one address.
pub const SERVER_UNREAD_BYTES_OF_ONE_MAX: usize = 64 << 20;
/// Elements of one message, those of a layout's earlier layouts included: more are refused before
/// they are decoded.
pub const MESSAGE_ELEMENTS_MAX: usize = 32 << 10;
/// What of an answer is handed to a connection before its client has made room for it.
pub const ANSWER_PART_BYTES_MAX: usize = FRAME_BYTES_MAX as usize;

/// A connection on which nothing was asked so long after it came is closed: it covers the TLS
/// handshake and the beginning of HTTP/2, too.
pub const SERVER_FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// One on which nothing is asked any more is closed after this. Pools close theirs before.
pub const SERVER_IDLE_TIMEOUT: Duration = Duration::from_secs(900);
/// When so long a time of waiting for a request's bytes brought fewer than
/// [`SERVER_STALL_BYTES_MIN`], or an answer is not read for so long, the request is given up.
pub const SERVER_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// What goes on with at least so much is waited for, however long it takes.
pub const SERVER_STALL_BYTES_MIN: u64 = 64 << 10;
/// An answer that its client does not read for so long counts as one that waits.
pub const SERVER_UNREAD_AFTER: Duration = Duration::from_secs(2);
/// When a node stops, it waits no longer than this for clients that neither send nor read.
pub const SERVER_STALL_TIMEOUT_STOPPING: Duration = Duration::from_secs(3);

const _: () = assert!(SERVER_REQUESTS_OF_ONE_MAX <= SERVER_REQUESTS_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_REQUESTS_OF_CLIENTS_MAX < SERVER_REQUESTS_MAX);
const _: () = assert!(SERVER_QUESTIONS_OF_ONE_MAX <= SERVER_QUESTIONS_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_QUESTIONS_OF_CLIENTS_MAX < SERVER_QUESTIONS_MAX);
const _: () = assert!(SERVER_WATCHES_OF_ONE_MAX <= SERVER_WATCHES_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_WATCHES_OF_CLIENTS_MAX < SERVER_WATCHES_MAX);
// Who watches is told that the node stops before its connection is to end.
const _: () =
    assert!(HEALTH_WATCH_INTERVAL.as_millis() < SERVER_STALL_TIMEOUT_STOPPING.as_millis());
const _: () = assert!(SERVER_CONNECTIONS_OF_ONE_MAX <= SERVER_CONNECTIONS_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_CONNECTIONS_OF_CLIENTS_MAX < SERVER_CONNECTIONS_MAX);
const _: () = assert!(SERVER_HANDSHAKES_OF_ONE_MAX <= SERVER_HANDSHAKES_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_HANDSHAKES_OF_CLIENTS_MAX < SERVER_HANDSHAKES_MAX);
const _: () = assert!(SERVER_HANDSHAKES_MAX < SERVER_CONNECTIONS_MAX);
const _: () = assert!(SERVER_LARGE_OF_ONE_MAX <= SERVER_LARGE_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_LARGE_OF_CLIENTS_MAX < STORE_LARGE_WRITERS_MAX);
// One connection holds no more than its address may.
const _: () = assert!((SERVER_CONNECTION_STREAMS_MAX as usize) < SERVER_REQUESTS_OF_ONE_MAX);
// Who dials and asks at once, as pools do, is never too late, and closes before it is closed.
const _: () = assert!(
    SECURE_TIMEOUT.as_millis() + HANDSHAKE_TIMEOUT.as_millis() + IDENTIFY_TIMEOUT.as_millis()
        <= SERVER_FIRST_REQUEST_TIMEOUT.as_millis()
);
const _: () = assert!(CONNECTION_IDLE_MAX.as_millis() < SERVER_IDLE_TIMEOUT.as_millis());
const _: () = assert!(CONNECTION_PROBE_INTERVAL.as_millis() < SERVER_IDLE_TIMEOUT.as_millis());
const _: () = assert!(LARGE_PART_TIMEOUT.as_millis() <= SERVER_STALL_TIMEOUT.as_millis());
const _: () = assert!(LARGE_PART_TIMEOUT.as_millis() < LARGE_ANSWER_TIMEOUT.as_millis());
const _: () = assert!(SERVER_STALL_TIMEOUT_STOPPING.as_millis() < SHUTDOWN_TIMEOUT.as_millis());
// A member of a slow network is not taken for one that stands still.
const _: () = assert!(KEEPALIVE_TIMEOUT.as_millis() <= SERVER_STALL_TIMEOUT_STOPPING.as_millis());
const _: () = assert!(SERVER_RECEIVED_BYTES_OF_ONE_MAX <= SERVER_RECEIVED_BYTES_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_RECEIVED_BYTES_OF_CLIENTS_MAX < SERVER_RECEIVED_BYTES_MAX);
const _: () = assert!(SERVER_UNREAD_BYTES_OF_ONE_MAX <= SERVER_UNREAD_BYTES_OF_CLIENTS_MAX);
const _: () = assert!(SERVER_UNREAD_BYTES_OF_CLIENTS_MAX < SERVER_UNREAD_BYTES_MAX);
// All that a member has on its way here fits what it may have.
const _: () = assert!(SERVER_RECEIVED_BYTES_OF_CLIENTS_MAX >= POOL_BYTES_IN_FLIGHT_PER_PEER_MAX);
const _: () = assert!(SERVER_UNREAD_BYTES_OF_ONE_MAX >= 2 * MESSAGE_BYTES_MAX);
const _: () = assert!(MESSAGE_ELEMENTS_MAX >= 2 * BATCH_OBJECTS_MAX);
const _: () = assert!(
    MESSAGE_ELEMENTS_MAX > (LAYOUTS_UNSETTLED_MAX + 1) * (MEMBERS_MAX + 16),
    "the largest layout with those before it is taken"
);
const _: () = assert!(SERVER_UNREAD_AFTER.as_millis() < SERVER_STALL_TIMEOUT.as_millis());
