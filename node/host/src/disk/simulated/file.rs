//! Simulated file.
//!
//! An open file: positioned reads and writes on an inode, each a step of the disk.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::faults::{Effect, Meant};
use super::inode::Inode;
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

impl File {
    /// The same file: here nobody waits on a thread.
    pub fn in_place(self) -> Self {
        self
    }

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
        self.step_on("read", Operation::Read, offset, len as u64).await?;
        Ok(self.inode.read(offset, len as u64))
    }

    /// Writes the buffers one after another at `offset`.
    ///
    /// # Errors
    /// `StorageFull`, having written what there was room for; injected ones.
    pub async fn write_at(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        let bytes = joined(buffers);
        let effect = self.step_on("write", Operation::Write, offset, bytes.len() as u64).await?;
        self.assert_writable();
        let written = self.disk.alter(self.generation, |state| {
            let len = self.inode.len();
            let end = offset + bytes.len() as u64;
            let grows_by = end.saturating_sub(len);
            let missing = grows_by - state.room_for(grows_by);
            let fits = bytes.len() - missing.min(bytes.len() as u64) as usize;
            if let Some(Effect::Misdirect { path, offset: place }) = effect {
                // The file's length is kept elsewhere than its bytes, and arrives.
                self.inode.set_len(len.max(offset + fits as u64));
                if let Ok(target) = state.tree.find(&path) {
                    target.overwrite_at_rest(place, &bytes[..fits]);
                }
            } else {
                self.inode.write(offset, bytes.slice(..fits));
            }
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        written.await.map_err(|error| failed("write", &self.path, error))
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
    /// When the process that opened the file is gone; injected ones. What was written
    /// since the last success is then durable in any part, whatever a second try says.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.sync_before(self.inode.mark()).await
    }

    /// Begins to make durable what was written before the call; the future ends as
    /// [`File::sync_data`] does.
    pub fn begin_sync_data(&self) -> impl Future<Output = io::Result<()>> + Send + Sync + use<> {
        let (file, mark) = (self.clone(), self.inode.mark());
        async move { file.sync_before(mark).await }
    }

    /// Makes the changes before `mark` durable.
    async fn sync_before(&self, mark: u64) -> io::Result<()> {
        let effect = match self.step("sync", Operation::Sync).await {
            Err(error) if self.disk.is_current(self.generation) => {
                self.disk.forsake(&self.inode, mark);
                return Err(error);
            }
            stepped => stepped?,
        };
        let synced = self.disk.reach_medium(self.generation, |_| {
            if !matches!(effect, Some(Effect::Lie)) {
                self.inode.sync(mark);
            }
        });
        synced.await.map_err(|error| failed("sync", &self.path, error))
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// `StorageFull`; when the process that opened the file is gone; injected ones.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        self.step("resize", Operation::Write).await?;
        self.assert_writable();
        let resized = self.disk.alter(self.generation, |state| {
            let grows_by = len.saturating_sub(self.inode.len());
            if state.room_for(grows_by) < grows_by {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.inode.set_len(len);
            Ok(())
        });
        resized.await.map_err(|error| failed("resize", &self.path, error))
    }

    fn assert_writable(&self) {
        assert!(self.writable, "{} was opened for reading", self.path);
    }

    async fn step(&self, doing: &str, operation: Operation) -> io::Result<Option<Effect>> {
        let meant = Meant { inode: Some(&self.inode), ..Meant::with_name(operation, &self.path) };
        let stepped = self.disk.step(meant, self.generation).await;
        stepped.map_err(|error| failed(doing, &self.path, error))
    }

    /// A step that touches so many bytes at `offset`.
    async fn step_on(
        &self,
        doing: &str,
        operation: Operation,
        offset: u64,
        len: u64,
    ) -> io::Result<Option<Effect>> {
        let (inode, bytes) = (Some(&self.inode), Some(&(offset..offset + len)));
        let meant = Meant { operation, path: &self.path, inode, bytes, opens: false };
        let stepped = self.disk.step(meant, self.generation).await;
        stepped.map_err(|error| failed(doing, &self.path, error))
    }
}

/// One write is one change to lose or to tear, however many buffers it came in.
fn joined(mut buffers: Vec<Bytes>) -> Bytes {
    if buffers.len() == 1 {
        return buffers.remove(0);
    }
    let mut all = BytesMut::with_capacity(buffers.iter().map(Bytes::len).sum());
    buffers.iter().for_each(|buffer| all.extend_from_slice(buffer));
    all.freeze()
}
