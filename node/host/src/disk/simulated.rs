//! A disk in memory that knows which of its bytes would survive a power loss.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::OpenMode;

/// How long the operations of a disk take.
#[derive(Clone, Debug)]
pub struct DiskProfile {
    /// A read that is served.
    pub read_latency: RangeInclusive<Duration>,
    /// A write into the cache.
    pub write_latency: RangeInclusive<Duration>,
    /// `fdatasync`, of a file or a directory.
    pub sync_latency: RangeInclusive<Duration>,
}

/// A directory tree. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    profile: Arc<DiskProfile>,
}

/// An open file. Cheap to clone; clones share the descriptor.
#[derive(Clone, Debug)]
pub struct File {}

/// An exclusive lock, held until dropped or until the process dies.
#[derive(Debug)]
pub struct DiskLock {}

impl Disk {
    /// An empty disk; `seed` draws its latencies and what a power loss spares.
    pub fn simulated(profile: DiskProfile, seed: u64) -> Self {
        let _ = seed;
        Disk { profile: Arc::new(profile) }
    }

    /// The process that used the disk is gone: its open files fail from now on, its locks
    /// are free, what it wrote stays in the cache.
    pub fn process_gone(&self) {}

    /// The power went: as `process_gone`, and what was not synced is lost.
    pub fn power_lost(&self) {}

    /// Makes a directory and its missing parents, durably.
    pub async fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        todo!("{dir} {:?}", self.profile)
    }

    /// Names in a directory, sorted.
    pub async fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        todo!("{dir}")
    }

    /// Opens or makes a file.
    pub async fn open(&self, path: &str, mode: OpenMode) -> io::Result<File> {
        todo!("{path} {mode:?}")
    }

    /// Renames a file, replacing what was there.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        todo!("{from} {to}")
    }

    /// Removes a file.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        todo!("{path}")
    }

    /// Makes the entries of a directory durable.
    pub async fn sync_dir(&self, dir: &str) -> io::Result<()> {
        todo!("{dir}")
    }

    /// Takes the exclusive lock on a file, making it if need be; `WouldBlock` when
    /// another process has it.
    pub async fn lock(&self, path: &str) -> io::Result<DiskLock> {
        todo!("{path}")
    }
}

impl File {
    /// Length in bytes.
    pub async fn len(&self) -> io::Result<u64> {
        todo!()
    }

    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file. Answers
    /// from the page cache on the calling thread where it can.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        todo!("{offset} {len}")
    }

    /// Writes the buffers one after another at `offset`.
    pub async fn write_at(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        todo!("{offset} {buffers:?}")
    }

    /// `write_at`, then `sync_data`, in one hop off the async threads.
    pub async fn write_at_and_sync(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        todo!("{offset} {buffers:?}")
    }

    /// Makes what was written durable (`fdatasync`).
    pub async fn sync_data(&self) -> io::Result<()> {
        todo!()
    }

    /// Cuts or extends the file.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        todo!("{len}")
    }
}
