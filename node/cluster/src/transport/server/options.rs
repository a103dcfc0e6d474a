//! Server options.
//!
//! What a server bounds, with the values of `limits`.

use std::time::Duration;

use gitstratum_core::limits;

use super::shares::Portions;

/// How a server bounds what it serves.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerOptions {
    /// Connections.
    pub connections: Portions,
    /// TLS handshakes that are under way.
    pub handshakes: Portions,
    /// Requests that are worked on.
    pub requests: Portions,
    /// Questions who the node is and how it is, and messages of the catalog's group, that find no
    /// room among those.
    pub questions: Portions,
    /// Streams that tell how the node is.
    pub watches: Portions,
    /// Large objects on their way in.
    pub large: Portions,
    /// Bytes of requests of which the rest is to come.
    pub received_bytes: Portions,
    /// Bytes of answers that are not read for longer than `unread_after`.
    pub unread_bytes: Portions,
    /// Requests of one connection.
    pub streams_per_connection_max: u32,
    /// From a connection's beginning until something is asked on it.
    pub first_request_timeout: Duration,
    /// Of a connection on which nothing is asked any more.
    pub idle_timeout: Duration,
    /// Of waiting for a client that does not send what it began, or does not read its answer.
    pub stall_timeout: Duration,
    /// After this an answer that is not read counts among the unread ones.
    pub unread_after: Duration,
    /// As `stall_timeout`, when the node stops.
    pub stall_timeout_stopping: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            connections: Portions {
                all: limits::SERVER_CONNECTIONS_MAX,
                of_clients: limits::SERVER_CONNECTIONS_OF_CLIENTS_MAX,
                of_one: limits::SERVER_CONNECTIONS_OF_ONE_MAX,
            },
            handshakes: Portions {
                all: limits::SERVER_HANDSHAKES_MAX,
                of_clients: limits::SERVER_HANDSHAKES_OF_CLIENTS_MAX,
                of_one: limits::SERVER_HANDSHAKES_OF_ONE_MAX,
            },
            requests: Portions {
                all: limits::SERVER_REQUESTS_MAX,
                of_clients: limits::SERVER_REQUESTS_OF_CLIENTS_MAX,
                of_one: limits::SERVER_REQUESTS_OF_ONE_MAX,
            },
            questions: Portions {
                all: limits::SERVER_QUESTIONS_MAX,
                of_clients: limits::SERVER_QUESTIONS_OF_CLIENTS_MAX,
                of_one: limits::SERVER_QUESTIONS_OF_ONE_MAX,
            },
            watches: Portions {
                all: limits::SERVER_WATCHES_MAX,
                of_clients: limits::SERVER_WATCHES_OF_CLIENTS_MAX,
                of_one: limits::SERVER_WATCHES_OF_ONE_MAX,
            },
            large: Portions {
                all: limits::STORE_LARGE_WRITERS_MAX,
                of_clients: limits::SERVER_LARGE_OF_CLIENTS_MAX,
                of_one: limits::SERVER_LARGE_OF_ONE_MAX,
            },
            received_bytes: Portions {
                all: limits::SERVER_RECEIVED_BYTES_MAX,
                of_clients: limits::SERVER_RECEIVED_BYTES_OF_CLIENTS_MAX,
                of_one: limits::SERVER_RECEIVED_BYTES_OF_ONE_MAX,
            },
            unread_bytes: Portions {
                all: limits::SERVER_UNREAD_BYTES_MAX,
                of_clients: limits::SERVER_UNREAD_BYTES_OF_CLIENTS_MAX,
                of_one: limits::SERVER_UNREAD_BYTES_OF_ONE_MAX,
            },
            streams_per_connection_max: limits::SERVER_CONNECTION_STREAMS_MAX,
            first_request_timeout: limits::SERVER_FIRST_REQUEST_TIMEOUT,
            idle_timeout: limits::SERVER_IDLE_TIMEOUT,
            stall_timeout: limits::SERVER_STALL_TIMEOUT,
            unread_after: limits::SERVER_UNREAD_AFTER,
            stall_timeout_stopping: limits::SERVER_STALL_TIMEOUT_STOPPING,
        }
    }
}
