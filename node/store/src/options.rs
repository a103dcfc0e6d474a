//! How a store is opened.

use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Durability;

/// When what was written is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is acknowledged.
    Always,
    /// So long after it was acknowledged at most.
    Every(Duration),
    /// When the system likes: for tests of other things.
    Never,
}

/// The form in which new objects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// As LZ4 blocks, those of 512 bytes and more, where that is shorter by a sixteenth or
    /// more: for machines that have more disk than processor.
    Lz4,
    /// As zstd frames, those of 4 KiB and more, where that is shorter by a sixteenth or more.
    /// They are a third shorter than LZ4 blocks, and have nine tenths of the bytes of real
    /// repositories; the small objects that most gets are about stay as they are
    /// (`benches/engines`, `compression`).
    Zstd,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub(crate) node_id: NodeId,
    pub(crate) fsync: Fsync,
    pub(crate) compression: Compression,
    pub(crate) segment_bytes_max: u64,
    pub(crate) segment_records_max: usize,
    pub(crate) reserve_bytes: u64,
    pub(crate) zeros_ahead_bytes: u64,
    pub(crate) flight_bytes_min: u64,
}

impl StoreOptions {
    /// The store of `node_id`, with the defaults.
    pub fn new(node_id: NodeId, fsync: Fsync) -> Self {
        StoreOptions {
            node_id,
            fsync,
            compression: Compression::Zstd,
            segment_bytes_max: limits::SEGMENT_BYTES_MAX,
            segment_records_max: limits::SEGMENT_RECORDS_MAX,
            reserve_bytes: 0,
            zeros_ahead_bytes: limits::ZEROS_AHEAD_BYTES,
            flight_bytes_min: limits::FLIGHT_BYTES_MIN,
        }
    }

    /// Keeps new objects in this form.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Begins a new segment past this size instead of `limits::SEGMENT_BYTES_MAX`.
    ///
    /// # Panics
    /// When it is above that limit.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        assert!(bytes <= limits::SEGMENT_BYTES_MAX, "offsets are kept in four bytes");
        self.segment_bytes_max = bytes;
        self
    }

    /// Begins a new segment past this number of records.
    ///
    /// # Panics
    /// When it is above `limits::SEGMENT_RECORDS_MAX`.
    pub fn segment_records_max(mut self, records: usize) -> Self {
        assert!(records <= limits::SEGMENT_RECORDS_MAX, "an index has that much room");
        self.segment_records_max = records;
        self
    }

    /// Writes so many zeros behind a small group that reaches the end of its file, for the
    /// next ones to be written over, instead of `limits::ZEROS_AHEAD_BYTES`; 0 for none.
    pub fn zeros_ahead_bytes(mut self, bytes: u64) -> Self {
        self.zeros_ahead_bytes = bytes;
        self
    }

    /// Writes the next group while one of so many bytes is flushed, instead of
    /// `limits::FLIGHT_BYTES_MIN`.
    pub fn flight_bytes_min(mut self, bytes: u64) -> Self {
        self.flight_bytes_min = bytes;
        self
    }

    /// Refuses puts while the disk has less room than this, so that compaction and
    /// shutdown always have some.
    pub fn reserve_bytes(mut self, bytes: u64) -> Self {
        self.reserve_bytes = bytes;
        self
    }

    /// What an acknowledgement says.
    pub(crate) fn durability(&self) -> Durability {
        match self.fsync {
            Fsync::Always => Durability::Synced,
            Fsync::Every(_) => Durability::Periodic,
            Fsync::Never => Durability::Buffered,
        }
    }
}
