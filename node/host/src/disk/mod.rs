//! File system access.
//!
//! Files: positioned reads and writes, `fdatasync`, names, directory sync, a lock.
//!
//! Paths are relative to the disk's root and use `/`. What was written but not synced
//! may be lost when the power goes; a file's directory entry is durable only after
//! [`Disk::sync_dir`] on its directory. Nothing here retries or hides an error: every
//! error keeps the system's `io::ErrorKind` and says what was done to which file.

mod errors;
#[cfg(not(madsim))]
mod real;
#[cfg(any(test, madsim, feature = "scratch"))]
mod scratch;
#[cfg(madsim)]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;

use std::io;

use bytes::Bytes;

pub use errors::{is_exhausted, is_full, is_read_only, is_shortage};
#[cfg(not(madsim))]
pub use real::{Directory, Disk, DiskLock, File};
#[cfg(any(test, madsim, feature = "scratch"))]
pub use scratch::{Scratch, scratch};
#[cfg(madsim)]
pub use simulated::{Directory, Disk, DiskLock, Fault, File, Loss, Operation};

/// Greatest size of a file that [`Disk::read_whole`] reads.
pub const WHOLE_FILE_BYTES_MAX: u64 = 16 << 20;

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

/// What a file system has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that a writer without privileges can still write.
    pub bytes: u64,
    /// Files that such a writer can still make; `None` where nothing limits them.
    pub files: Option<u64>,
    /// Nothing can be written at all.
    pub read_only: bool,
}

impl Disk {
    /// Bytes that a writer without privileges can still write to the file system.
    ///
    /// # Errors
    /// As [`Disk::room`].
    pub async fn available_bytes(&self) -> io::Result<u64> {
        Ok(self.room().await?.bytes)
    }

    /// Gives `path` these contents, durably: after a crash it holds either them or what
    /// it held before. Uses `path` with `.tmp` appended on the way.
    ///
    /// # Errors
    /// Those of the steps it is made of.
    pub async fn replace(&self, path: &str, contents: Bytes) -> io::Result<()> {
        let temporary = format!("{path}.tmp");
        match self.remove(&temporary).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // First, so that it cannot be wanting when the name is taken.
        let directory = self.open_dir(parent_of(path)).await?;
        let file = self.open(&temporary, OpenMode::CreateNew).await?;
        if let Err(error) = file.write_at_and_sync(0, vec![contents]).await {
            // On a full disk it would take the room that somebody makes.
            let _ = self.remove(&temporary).await;
            return Err(error);
        }
        self.rename(&temporary, path).await?;
        directory.sync().await
    }

    /// The contents of a small file.
    ///
    /// # Errors
    /// `NotFound`; `FileTooLarge` for one of more than 16 MiB.
    pub async fn read_whole(&self, path: &str) -> io::Result<Bytes> {
        let file = self.open(path, OpenMode::Read).await?;
        let len = file.len().await?;
        if len > WHOLE_FILE_BYTES_MAX {
            let kind = io::ErrorKind::FileTooLarge;
            return Err(io::Error::new(kind, format!("read {path}: {len} bytes are too many")));
        }
        file.read_at(0, len as usize).await
    }
}

/// The directory of a path; the root is `""`.
fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Asserts that a path stays below the root and has one spelling only.
fn assert_path(path: &str) {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    assert!(path.is_empty() || path.split('/').all(plain), "path {path:?} is not plain");
}

/// The error with what was being done, its kind kept, and whether it [is one of
/// exhaustion](is_exhausted).
fn failed(doing: &str, path: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    let words = format!("{doing} {path}: {error}");
    match is_exhausted(&error) {
        true => errors::exhausted(error.kind(), words),
        false => io::Error::new(error.kind(), words),
    }
}
