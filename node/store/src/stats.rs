//! Statistics of a store: what it holds, and what is wrong with it.

use gitstratum_core::metrics::{Reading, Unit};

use crate::PutsRefused;

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Objects held.
    pub objects: u64,
    /// Object data held, without record headers.
    pub payload_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Objects in files of their own.
    pub large_objects: u64,
    /// Objects that are known to be damaged and were not put again; and files with records of
    /// which not even the ids are known: they cannot be read, or the file lost them.
    pub damaged_objects: u64,
    /// Bytes of dead records that compaction would free.
    pub garbage_bytes: u64,
    /// Bytes of all segments, indexes and large objects.
    pub disk_bytes: u64,
    /// Memory that the indexes of sealed segments take.
    pub index_memory_bytes: u64,
}

impl StoreStats {
    /// All of it as metrics.
    pub(crate) fn readings() -> Vec<Reading<StoreStats>> {
        type Metric = Reading<StoreStats>;
        vec![
            Metric::gauge("store_objects", "Objects held", |stats| stats.objects),
            Metric::gauge("store_payload", "Object data held, without record headers", |stats| {
                stats.payload_bytes
            })
            .unit(Unit::Bytes),
            Metric::gauge("store_segments", "Segment files", |stats| stats.segments),
            Metric::gauge("store_large_objects", "Objects in files of their own", |stats| {
                stats.large_objects
            }),
            Metric::gauge(
                "store_damaged_objects",
                "Objects that are known to be damaged and were not put again, and files that lost \
                 records of which not all can be named",
                |stats| stats.damaged_objects,
            ),
            Metric::gauge("store_garbage", "Dead records that compaction would free", |stats| {
                stats.garbage_bytes
            })
            .unit(Unit::Bytes),
            Metric::gauge("store_disk", "All segments, indexes and large objects", |stats| {
                stats.disk_bytes
            })
            .unit(Unit::Bytes),
            Metric::gauge(
                "store_index_memory",
                "Memory that the indexes of sealed segments take",
                |stats| stats.index_memory_bytes,
            )
            .unit(Unit::Bytes),
        ]
    }
}

/// What is wrong with a store, if anything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why it takes no writes, if it does not.
    pub failed: Option<String>,
    /// Why it takes no puts for now, if it does not for want of room.
    pub puts_refused: Option<PutsRefused>,
    /// What is known of files that lost records which cannot all be named: a line each, at most
    /// `limits::LOST_FILES_NAMED_MAX`.
    pub lost: Vec<String>,
}
