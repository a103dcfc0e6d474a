//! Progress counters.
//!
//! How far a long transfer is, told to whoever shows it.

/// Hears of the progress of an import or export; called from one task.
pub trait Progress: Send + Sync {
    /// Work on this many objects begins.
    fn begin(&self, doing: &str, objects: u64);
    /// So many more are done, with so many bytes of data.
    fn advance(&self, objects: u64, bytes: u64);
    /// All are done.
    fn end(&self);
}
