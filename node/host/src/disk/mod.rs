//! Files: positioned reads and writes, `fdatasync`, rename, directory sync, a lock.
//!
//! Paths are relative to the disk's root and use `/`. What was written but not synced
//! may be lost when the power goes; a file's directory entry is durable only after
//! [`Disk::sync_dir`] on its directory. Nothing here retries or hides an error.

#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
pub(crate) mod simulated;

#[cfg(not(madsim))]
pub use real::{Disk, DiskLock, File};
#[cfg(madsim)]
pub use simulated::{Disk, DiskLock, File};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// A new file, for reading and writing; an existing one is an error.
    CreateNew,
}
