//! Bounds of anti-entropy: how often, how fast, how long.

use std::time::Duration;

use super::{BATCH_OBJECTS_MAX, OBJECT_BYTES_WHOLE_MAX};

/// Between two comparisons of one pair of nodes, about.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(3600);
/// A node that has just started lets its peers answer first.
pub const RECONCILE_START_AFTER: Duration = Duration::from_secs(1);
/// After the first failure with a peer; doubled each time.
pub const RECONCILE_BACKOFF_MIN: Duration = Duration::from_secs(2);
/// And no longer than this.
pub const RECONCILE_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// For one answer, behind which may be a scan of a million ids.
pub const RECONCILE_TIMEOUT: Duration = Duration::from_secs(30);
/// For what goes on at once with one peer: objects fetched, or objects sent.
pub const RECONCILE_BATCH_BYTES: usize = 1 << 20;
/// Ids of the first fetch, before it is known how large the objects are.
pub const RECONCILE_FETCH_OBJECTS_MIN: usize = 16;
/// Ids of one fetch at most: each may be of an object as large as one held whole may be.
pub const RECONCILE_FETCH_OBJECTS_MAX: usize = 64;
/// Comparisons that a node answers at a time; each holds the ids of what is not sealed, and
/// two windows of others.
pub const RECONCILE_ANSWERS_MAX: usize = 2;
/// How often it is looked whether damage was found.
pub const RECONCILE_LOOK_INTERVAL: Duration = Duration::from_secs(30);

const _: () = assert!(RECONCILE_FETCH_OBJECTS_MIN <= RECONCILE_FETCH_OBJECTS_MAX);
const _: () = assert!(RECONCILE_FETCH_OBJECTS_MAX <= BATCH_OBJECTS_MAX);
const _: () = assert!(RECONCILE_BATCH_BYTES >= OBJECT_BYTES_WHOLE_MAX);
