//! A directory of the machine's file system, used off the async threads.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use super::OpenMode;

/// A directory tree. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
}

/// An open file. Cheap to clone; clones share the descriptor.
#[derive(Clone, Debug)]
pub struct File {}

/// An exclusive lock, held until dropped or until the process dies.
#[derive(Debug)]
pub struct DiskLock {}

impl Disk {
    /// The disk whose root is this directory (made by `create_dir_all("")`).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Disk { root: root.into() }
    }

    /// Makes a directory and its missing parents, durably.
    pub async fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        todo!("{dir} {:?}", self.root)
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
