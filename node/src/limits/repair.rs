//! Bounds of repair: hints, their delivery, dirty ranges.

use std::time::Duration;

use super::{BATCH_OBJECTS_MAX, NAME_BYTES_MAX};

/// What the hints of a node may take in their file; half a million at sixty bytes each would
/// be twice this. Another two and a half times as much is taken in memory.
pub const HINT_BYTES_MAX: u64 = 16 << 20;
/// A hint that was not delivered in this time becomes a dirty range.
pub const HINT_AGE_MAX: Duration = Duration::from_secs(72 * 3600);
/// The file of hints is rewritten when it has twice what is held, and this many bytes more.
pub const HINT_SLACK_BYTES: u64 = 256 << 10;
/// Entries of one frame of that file.
pub const HINT_FRAME_ENTRIES_MAX: usize = 4096;
/// Bytes of one frame.
pub const HINT_FRAME_BYTES_MAX: usize = 4 << 20;
/// Dirty ranges that `status` lists.
pub const DIRTY_RANGES_LISTED_MAX: usize = 100;

/// The longest entry: a tag, a name, an id, and three numbers, with their lengths.
const HINT_ENTRY_BYTES_MAX: usize = NAME_BYTES_MAX + 64;

const _: () = assert!(HINT_FRAME_ENTRIES_MAX * HINT_ENTRY_BYTES_MAX <= HINT_FRAME_BYTES_MAX);
const _: () = assert!(BATCH_OBJECTS_MAX <= HINT_FRAME_ENTRIES_MAX);
