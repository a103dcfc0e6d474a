//! Bounds of a Git gateway: what it keeps, and does at once.

/// Chunks of one push that are put at once.
pub const PUSH_PUTS_IN_FLIGHT: usize = 4;
/// Chunks that a gateway keeps because they were read or written lately.
pub const GATEWAY_CHUNK_CACHE_BYTES: usize = 64 << 20;
/// What it keeps of packs: about 40 bytes an object.
pub const GATEWAY_META_CACHE_BYTES: usize = 256 << 20;
/// Objects that it keeps because others are deltas of them.
pub const GATEWAY_OBJECT_CACHE_BYTES: usize = 64 << 20;
