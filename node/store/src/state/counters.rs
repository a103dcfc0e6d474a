//! Counters since the store was opened: of requests, and of what compaction did.

use gitstratum_core::metrics::{Counter, Registry, Unit};

/// Puts and gets, and what compaction replaced.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) puts: Counter,
    pub(crate) gets: Counter,
    /// Segments.
    pub(crate) compacted_segments: Counter,
    /// Bytes of them that were not written again.
    pub(crate) compaction_freed_bytes: Counter,
}

impl Counters {
    /// Registers them.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Counters { puts, gets, compacted_segments, compaction_freed_bytes } = self;
        let help = "Objects put since the store was opened, those already present included";
        registry.register("store_puts", help, puts.clone());
        let help = "Objects asked for since the store was opened";
        registry.register("store_gets", help, gets.clone());
        let help = "Segments that compaction replaced since the store was opened";
        registry.register("store_compacted_segments", help, compacted_segments.clone());
        let help = "What compaction gave back to the disk since the store was opened";
        let freed = compaction_freed_bytes.clone();
        registry.register_with_unit("store_compaction_freed", help, Unit::Bytes, freed);
    }
}
