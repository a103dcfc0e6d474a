//! Bounds of a Git gateway: what it keeps, and how long a push may take.

use std::time::Duration;

/// A push that takes longer is given up: what it stored and nothing names is swept after as long
/// again. Only the time that the upload itself takes is bounded by it.
pub const PUSH_LEASE: Duration = Duration::from_secs(6 * 3600);
/// Chunks of one push that are put at once.
pub const PUSH_PUTS_IN_FLIGHT: usize = 4;
/// Chunks that a gateway keeps because they were read or written lately.
pub const GATEWAY_CHUNK_CACHE_BYTES: usize = 64 << 20;
/// What it keeps of packs: about 40 bytes an object.
pub const GATEWAY_META_CACHE_BYTES: usize = 256 << 20;
/// Objects that it keeps because others are deltas of them.
pub const GATEWAY_OBJECT_CACHE_BYTES: usize = 64 << 20;
