//! Bounds of the monitoring endpoint.

use std::time::Duration;

/// Connections that it holds at once; more wait.
pub const MONITOR_CONNECTIONS_MAX: usize = 64;
/// A connection is closed after this, whatever came of it.
pub const MONITOR_CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers of a request.
pub const MONITOR_HEADERS_MAX: usize = 64;
/// Bytes of a connection's read buffer: its headers too.
pub const MONITOR_HEADER_BYTES_MAX: usize = 16 << 10;

/// Requests for the status page that are answered at once; others are told to come again.
pub const STATUS_PAGE_REQUESTS_MAX: usize = 16;
/// So long it is asked whether an access token is good, and then once more how each node is.
pub const STATUS_PAGE_ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// What was gathered for one request serves all others for so long.
pub const STATUS_PAGE_KEPT_FOR: Duration = Duration::from_secs(1);
/// Pages that differ in what they ask for, and are kept for that long.
pub const STATUS_PAGES_KEPT_MAX: usize = 16;
/// Repositories on one page.
pub const STATUS_PAGE_REPOSITORIES: usize = 50;
/// Packs of all of these whose bytes are added up.
pub const STATUS_PAGE_PACKS_MAX: usize = 100_000;
/// Between two samples of a node's own numbers.
pub const HISTORY_INTERVAL: Duration = Duration::from_secs(60);
/// Samples that are kept: an hour of them.
pub const HISTORY_SAMPLES: usize = 60;
/// Numbers in one sample. What comes beyond is left out.
pub const HISTORY_SERIES_MAX: usize = 4096;

// Both questions are over while the connection is open.
const _: () = assert!(2 * STATUS_PAGE_ASK_TIMEOUT.as_secs() < MONITOR_CONNECTION_TIMEOUT.as_secs());
