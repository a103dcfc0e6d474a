//! Bounds of repair: hints, their delivery, dirty ranges.

use std::time::Duration;

use super::{BATCH_OBJECTS_MAX, NAME_BYTES_MAX, OBJECT_BYTES_WHOLE_MAX, REQUEST_TIMEOUT};

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
/// Dirty ranges that `status` lists; all those of one node.
pub const DIRTY_RANGES_LISTED_MAX: usize = 256;
/// Nodes with hints that `status` lists, those first that have waited longest.
pub const HINT_TARGETS_LISTED_MAX: usize = 256;
/// A node looks this often whether hints grew too old.
pub const HINT_LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A hint is delivered no sooner than this: the write that failed may be under way still.
pub const HINT_DELIVERED_AFTER: Duration = Duration::from_secs(1);
/// Hints that are delivered together.
pub const HINT_BATCH_OBJECTS_MAX: usize = 256;
/// An answer to one request of a delivery.
pub const HINT_TIMEOUT: Duration = REQUEST_TIMEOUT;
/// A target that could not take what it was sent is left alone for up to so long, doubling.
pub const HINT_BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest time between two attempts to deliver to a target that answers.
pub const HINT_BACKOFF_MAX: Duration = Duration::from_secs(15);
/// How fast hints are delivered is what was delivered in this time,
pub const HINT_PACE_OVER: Duration = Duration::from_secs(30);
/// in so many batches at most.
pub const HINT_PACE_BATCHES_MAX: usize = 32;
/// Object data that a node exchanges in a second to repair itself and others.
pub const REPAIR_BYTES_PER_SECOND: u64 = 32 << 20;
/// Batches of repair that are under way at once.
pub const REPAIR_OPERATIONS_IN_FLIGHT: usize = 2;
/// Times a writer tells its witnesses what others missed, when none of them answers.
pub const MISSED_TOLD_MAX: u32 = 5;
/// Before the second time; doubled each time.
pub const MISSED_TOLD_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Object data that a reader keeps in flight to replicas that lacked it; past that it leaves
/// them to others.
pub const READ_REPAIR_BYTES_IN_FLIGHT_MAX: usize = 4 << 20;
/// What each object counts at least.
pub const READ_REPAIR_BYTES_EACH_MIN: usize = 8 << 10;

/// How often it is looked whether clients feel what repair does.
pub const YIELD_LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Requests in that time that tell anything.
pub const YIELD_REQUESTS_MIN: u64 = 5;
/// Repair gives way when they take so many times what they take without it.
pub const YIELD_AT_TIMES: f64 = 1.5;

/// The longest entry: a tag, a name, an id, and three numbers, with their lengths.
const HINT_ENTRY_BYTES_MAX: usize = NAME_BYTES_MAX + 64;

const _: () = assert!(HINT_FRAME_ENTRIES_MAX * HINT_ENTRY_BYTES_MAX <= HINT_FRAME_BYTES_MAX);
const _: () = assert!(BATCH_OBJECTS_MAX <= HINT_FRAME_ENTRIES_MAX);
const _: () = assert!(HINT_BATCH_OBJECTS_MAX <= BATCH_OBJECTS_MAX);
const _: () = assert!(READ_REPAIR_BYTES_IN_FLIGHT_MAX >= OBJECT_BYTES_WHOLE_MAX);
