//! Counters of requests since the store was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// Puts and gets.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Counters {
    /// So many objects are put.
    pub(crate) fn count_puts(&self, objects: u64) {
        self.puts.fetch_add(objects, Ordering::Relaxed);
    }

    /// An object is asked for.
    pub(crate) fn count_get(&self) {
        self.gets.fetch_add(1, Ordering::Relaxed);
    }

    /// Objects put.
    pub(crate) fn puts(&self) -> u64 {
        self.puts.load(Ordering::Relaxed)
    }

    /// Objects asked for.
    pub(crate) fn gets(&self) -> u64 {
        self.gets.load(Ordering::Relaxed)
    }
}
