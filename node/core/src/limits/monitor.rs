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
