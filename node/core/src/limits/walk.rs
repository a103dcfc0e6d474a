//! Bounds of walks over the objects of a repository.

/// Objects that one walk can know: each takes about 40 bytes of memory.
pub const WALK_OBJECTS_MAX: usize = 50_000_000;
/// Trees that are asked for together, as far as a walk knows which ones come next.
pub const WALK_TREES_AHEAD_MAX: usize = 32;
/// Once so many bytes of trees were read before their turn, no more are asked for together.
pub const WALK_TREE_BYTES_AHEAD_MAX: usize = 4 << 20;
/// Up to so many commits a pack's boundary is looked at only where they changed something: their
/// changed trees are then opened twice, and the boundary's others not at all.
pub const WALK_ALONG_PATHS_COMMITS_MAX: usize = 1024;
/// Once so many trees were opened for that, the whole boundary is looked at after all.
pub const WALK_ALONG_PATHS_TREES_MAX: usize = 32_768;
/// Entries of one tree, of all trees in which it is, and so on, that wait for their turn: 24 bytes
/// each. Only trees that are deep and wide at once come near it.
pub const WALK_STACK_ENTRIES_MAX: usize = 8_000_000;
/// After so many steps a walk tells how far it has come and lets other tasks go first.
pub const WALK_STEPS_BETWEEN_YIELDS: u64 = 1024;

/// Objects are numbered by 32 bits, of which the last number stands for none.
const _: () = assert!(WALK_OBJECTS_MAX < u32::MAX as usize);
