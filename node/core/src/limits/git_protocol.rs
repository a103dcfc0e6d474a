//! Bounds of the Git server: requests, connections, what a request may hold, how long is waited.

use std::time::Duration;

use super::SERVER_CONNECTIONS_MAX;

/// Connections that the Git server holds at once.
pub const GIT_CONNECTIONS_MAX: usize = 1024;
/// Requests of Git clients that are worked on at once.
pub const GIT_REQUESTS_MAX: usize = 512;
/// A client that finds so many is asked to come back after this.
pub const GIT_RETRY_AFTER: Duration = Duration::from_secs(2);
/// Header lines of a request.
pub const GIT_HEADERS_MAX: usize = 100;
/// Bytes of a connection's read buffer: its longest header too.
pub const GIT_HEADER_BYTES_MAX: usize = 64 << 10;
/// A request's headers take no longer, and a connection without a request is closed after this.
pub const GIT_HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// A TLS handshake takes no longer.
pub const GIT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes that are under way at once; more wait, within the time of their own.
pub const GIT_HANDSHAKES_MAX: usize = 256;
/// Requests of one connection of HTTP/2 at once.
pub const GIT_STREAMS_MAX: u32 = 32;
/// What one of them may have on its way without being read.
pub const GIT_STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// What all of a connection may. It lies in memory while requests work on what came before it; what
/// is refused is read and dropped at once.
pub const GIT_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// The files of a certificate are looked at so often.
pub const CERTIFICATE_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// So long before a certificate expires, that is said.
pub const CERTIFICATE_EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// When nothing moves for so long, while the client is waited for, it is given up.
pub const GIT_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// And when fewer bytes than this came in as long a time of waiting.
pub const GIT_STALL_BYTES_MIN: u64 = 4 << 10;
/// When a pack or a push has been worked on for so long without a word, the client and whatever
/// is between hear that it goes on.
pub const GIT_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes of a request to fetch, inflated: of its wants and haves.
pub const FETCH_REQUEST_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a push before its pack: of its commands and options.
pub const PUSH_COMMAND_BYTES_MAX: u64 = 32 << 20;
/// Options of a push.
pub const PUSH_OPTIONS_MAX: usize = 1024;
/// Shallow commits that a client may tell of.
pub const CLIENT_SHALLOW_MAX: usize = 100_000;
/// Prefixes of a list of refs. With more of them all refs are listed, as git does it.
pub const REF_PREFIXES_MAX: usize = 65_536;
/// Commands that one request of protocol version 2 may make.
pub const GIT_COMMANDS_PER_REQUEST_MAX: usize = 64;
/// A gzipped request may inflate to this.
pub const GZIP_BYTES_FREE: u64 = 1 << 20;
/// And to so many times what was received.
pub const GZIP_RATIO_MAX: u64 = 100;
/// Parts of an answer that wait for a slow client.
pub const RESPONSE_PARTS_WAITING_MAX: usize = 8;
/// After a push was refused, so many bytes more of it are received and dropped, so that the client
/// comes to read why.
pub const REFUSED_BODY_BYTES_MAX: u64 = 64 << 20;
/// And for no longer than this.
pub const REFUSED_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a reason that a client is told.
pub const GIT_REASON_BYTES_MAX: usize = 1000;

const _: () = assert!(GIT_KEEPALIVE_INTERVAL.as_millis() < GIT_STALL_TIMEOUT.as_millis());
const _: () = assert!(GIT_CONNECTIONS_MAX <= SERVER_CONNECTIONS_MAX);
const _: () = assert!(GIT_REQUESTS_MAX <= GIT_CONNECTIONS_MAX);
const _: () = assert!(GIT_HANDSHAKES_MAX < GIT_CONNECTIONS_MAX);
const _: () = assert!((GIT_STREAMS_MAX as usize) < GIT_REQUESTS_MAX);
const _: () = assert!(GIT_STREAM_WINDOW_BYTES <= GIT_CONNECTION_WINDOW_BYTES);
