//! Bounds of Git packs: what one push may bring, and what a node holds in memory to read it.

/// Objects of one pack. A node that indexes a pack holds about 150 bytes for each.
pub const PACK_OBJECTS_MAX: u32 = 1 << 25;
/// Different objects that those of one pack may name: some 50 bytes each meanwhile.
pub const PACK_LINKS_MAX: u32 = 1 << 26;
/// A pack without its header and trailer: offsets are kept in 40 bits.
pub const PACK_BODY_BYTES_MAX: u64 = (1 << 40) - 1;
/// Any object, uncompressed: sizes are kept in 40 bits. One that is larger than
/// [`DELTA_OBJECT_BYTES_MAX`] streams through.
pub const GIT_OBJECT_BYTES_MAX: u64 = (1 << 40) - 1;
/// All objects of a pack, uncompressed. A delta of a few bytes can stand for megabytes, so this and
/// not the size of the pack bounds the work that a push can ask for.
pub const PACK_INFLATED_BYTES_MAX: u64 = 4 << 40;
/// An object that is a delta or the base of one, uncompressed: base, delta and result are in memory
/// together.
pub const DELTA_OBJECT_BYTES_MAX: u64 = 512 << 20;
/// A tree, a commit or a tag.
pub const STRUCTURED_OBJECT_BYTES_MAX: u64 = 100 << 20;
/// A larger blob is hashed while it is read, and not held.
pub const BLOB_HELD_BYTES_MAX: u64 = 4 << 20;
/// Objects that are kept because a delta may build on them.
pub const DELTA_CACHE_BYTES: usize = 64 << 20;
/// What an indexer asks at once of the body that it has seen before.
pub const PACK_READ_BYTES_MAX: usize = 1 << 20;
/// Bytes of objects that an indexer computes before its caller has another turn.
pub const PACK_STEP_BYTES: u64 = 16 << 20;
/// Bases that an indexer asks for at once.
pub const PACK_BASES_AT_ONCE: usize = 256;
/// Chunks of a stored pack that a check asks for at once, each from all of its replicas.
pub const CHUNKS_CHECKED_AT_ONCE: usize = 4;
/// Findings of fsck that are listed for one pack; all are counted.
pub const FSCK_FINDINGS_LISTED_MAX: usize = 100;
/// Missing bases that an error names; it counts all.
pub const MISSING_BASES_NAMED_MAX: usize = 16;

const _: () = assert!(PACK_LINKS_MAX >= PACK_OBJECTS_MAX);
const _: () = assert!(STRUCTURED_OBJECT_BYTES_MAX <= DELTA_OBJECT_BYTES_MAX);
const _: () = assert!(BLOB_HELD_BYTES_MAX <= STRUCTURED_OBJECT_BYTES_MAX);
const _: () = assert!(DELTA_OBJECT_BYTES_MAX <= GIT_OBJECT_BYTES_MAX);
const _: () = assert!(DELTA_OBJECT_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(BLOB_HELD_BYTES_MAX as usize <= DELTA_CACHE_BYTES / 4);
