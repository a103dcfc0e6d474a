//! Bounds of taking traces.

use std::time::Duration;

/// Spans that wait to be sent; more are dropped.
pub const TRACE_SPANS_WAITING_MAX: usize = 8192;
/// Spans of one message to the collector.
pub const TRACE_BATCH_SPANS_MAX: usize = 512;
/// A span waits so long for others to be sent with.
pub const TRACE_BATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The collector takes a message within this, the connection included.
pub const TRACE_SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// A message is tried so often, if the collector is away or asks for it, before it is dropped.
pub const TRACE_SEND_ATTEMPTS_MAX: u32 = 3;
/// Between the first two attempts; twice as long before each one after.
pub const TRACE_SEND_PAUSE: Duration = Duration::from_millis(500);
/// A node that stops sends what waits within this, and drops the rest.
pub const TRACE_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Attributes of one span, and of one event in it.
pub const TRACE_ATTRIBUTES_MAX: u32 = 32;
/// Lines of the log that go along with one span.
pub const TRACE_EVENTS_MAX: u32 = 32;

const _: () = assert!(TRACE_BATCH_SPANS_MAX <= TRACE_SPANS_WAITING_MAX);
