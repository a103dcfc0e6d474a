//! Contents of a file: what is in the cache, and what a power loss would leave of it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Disk, Operation, failed};

/// An open file. Cheap to clone; clones share the descriptor.
#[derive(Clone, Debug)]
pub struct File {
    disk: Disk,
    inode: Arc<Inode>,
    path: Arc<str>,
    writable: bool,
    generation: u64,
}

/// A file's content, whatever its names. Locked after the disk's state where both are.
#[derive(Debug, Default)]
pub(super) struct Inode {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    cached: Vec<u8>,
    /// Changes since the last sync, oldest first.
    unsynced: Vec<Change>,
    /// Changes ever synced: numbers the first of `unsynced`.
    synced: u64,
}

/// What takes one write or resize back.
#[derive(Debug)]
struct Change {
    offset: usize,
    /// Bytes that stood at `offset`, as far as the file reached.
    before: Vec<u8>,
    len_before: usize,
}

impl Inode {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> u64 {
        self.content().cached.len() as u64
    }

    /// Takes every unsynced change back, newest first.
    pub(super) fn lose_unsynced(&self) {
        let content = &mut *self.content();
        while let Some(change) = content.unsynced.pop() {
            change.take_back(&mut content.cached);
        }
    }
}

impl Change {
    fn take_back(self, cached: &mut Vec<u8>) {
        cached.resize(self.len_before, 0);
        cached[self.offset..self.offset + self.before.len()].copy_from_slice(&self.before);
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let len_before = self.cached.len();
        let end = offset + bytes.len();
        let before = self.cached[offset.min(len_before)..end.min(len_before)].to_vec();
        if end > len_before {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        self.unsynced.push(Change { offset: offset.min(len_before), before, len_before });
    }

    fn set_len(&mut self, len: usize) {
        let len_before = self.cached.len();
        let offset = len.min(len_before);
        let before = self.cached.split_off(offset);
        self.cached.resize(len, 0);
        self.unsynced.push(Change { offset, before, len_before });
    }

    /// The number that the next change will have.
    fn mark(&self) -> u64 {
        self.synced + self.unsynced.len() as u64
    }

    /// Makes changes before `mark` durable.
    fn sync(&mut self, mark: u64) {
        let done = mark.saturating_sub(self.synced) as usize;
        self.unsynced.drain(..done.min(self.unsynced.len()));
        self.synced = self.synced.max(mark);
    }
}

impl File {
    pub(super) fn new(
        disk: Disk,
        inode: Arc<Inode>,
        path: &str,
        writable: bool,
        generation: u64,
    ) -> Self {
        File { disk, inode, path: path.into(), writable, generation }
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// When the process that opened the file is gone.
    pub async fn len(&self) -> io::Result<u64> {
        self.step("stat", Operation::Entry).await?;
        Ok(self.inode.len())
    }

    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file. Answers
    /// from the page cache on the calling thread where it can.
    ///
    /// # Errors
    /// When the process that opened the file is gone; injected ones.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.step("read", Operation::Read).await?;
        let content = self.inode.content();
        let end = content.cached.len().min((offset as usize).saturating_add(len));
        let start = end.min(offset as usize);
        Ok(Bytes::copy_from_slice(&content.cached[start..end]))
    }

    /// Writes the buffers one after another at `offset`.
    ///
    /// # Errors
    /// `StorageFull`, having written what there was room for; injected ones.
    pub async fn write_at(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        self.step("write", Operation::Write).await?;
        self.assert_writable();
        let state = self.disk.state();
        let mut content = self.inode.content();
        let mut at = offset as usize;
        for buffer in buffers {
            let grows_by = (at + buffer.len()).saturating_sub(content.cached.len());
            drop(content);
            let room = state.room_for(grows_by as u64) as usize;
            content = self.inode.content();
            let fits = buffer.len() - (grows_by - room).min(buffer.len());
            content.write(at, &buffer[..fits]);
            if fits < buffer.len() {
                return Err(failed("write", &self.path, io::ErrorKind::StorageFull));
            }
            at += buffer.len();
        }
        Ok(())
    }

    /// `write_at`, then `sync_data`, in one hop off the async threads.
    ///
    /// # Errors
    /// Those of either.
    pub async fn write_at_and_sync(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        self.write_at(offset, buffers).await?;
        self.sync_data().await
    }

    /// Makes what was written durable (`fdatasync`): what was written before the call,
    /// not during it.
    ///
    /// # Errors
    /// When the process that opened the file is gone; injected ones.
    pub async fn sync_data(&self) -> io::Result<()> {
        let mark = self.inode.content().mark();
        self.step("sync", Operation::Sync).await?;
        self.inode.content().sync(mark);
        Ok(())
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// When the process that opened the file is gone; injected ones.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        self.step("resize", Operation::Write).await?;
        self.assert_writable();
        self.inode.content().set_len(len as usize);
        Ok(())
    }

    fn assert_writable(&self) {
        assert!(self.writable, "{} was opened for reading", self.path);
    }

    async fn step(&self, doing: &str, operation: Operation) -> io::Result<()> {
        let stepped = self.disk.step(operation, self.generation).await;
        stepped.map_err(|error| failed(doing, &self.path, error))
    }
}
