//! File I/O.
//!
//! Positional reads, vectored writes and `fdatasync` of one open file.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags};

use super::super::failed;
use super::{joined, shown, wait};

/// Buffers that one vectored write takes; Linux's `IOV_MAX`.
const BUFFERS_PER_WRITE_MAX: usize = 1024;

/// An open file. Cheap to clone; clones share the descriptor.
#[derive(Clone, Debug)]
pub struct File {
    pub(super) inner: Arc<Inner>,
    /// Whether operations are done on the calling thread.
    pub(super) in_place: bool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) file: fs::File,
    /// For error messages: where the file was when it was opened.
    pub(super) path: PathBuf,
}

impl File {
    /// The same file, whose operations are done on the calling thread: for a
    /// [`crate::dedicated`] task only, because they wait for the device.
    pub fn in_place(self) -> Self {
        File { in_place: true, ..self }
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// Those of `fstat`, which touches no device for an open file.
    pub async fn len(&self) -> io::Result<u64> {
        let metadata = self.inner.file.metadata();
        metadata.map(|metadata| metadata.len()).map_err(|error| self.inner.failed("stat", error))
    }

    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file. Answers
    /// from the page cache on the calling thread where it can.
    ///
    /// # Errors
    /// Those of `pread`.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = BytesMut::zeroed(len);
        let mut read = 0;
        while read < len {
            let slice = &mut [IoSliceMut::new(&mut buffer[read..])];
            let at = offset + read as u64;
            match rustix::io::preadv2(&self.inner.file, slice, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => {
                    buffer.truncate(read);
                    return Ok(buffer.freeze());
                }
                Ok(n) => read += n,
                Err(Errno::INTR) => {}
                // Not in the cache, or a kernel or file system without this flag: what
                // remains is read the plain way, which also reports any true error.
                Err(_) => return self.read_off_thread(offset, buffer, read).await,
            }
        }
        Ok(buffer.freeze())
    }

    async fn read_off_thread(
        &self,
        offset: u64,
        mut buffer: BytesMut,
        mut read: usize,
    ) -> io::Result<Bytes> {
        let inner = self.inner.clone();
        wait(self.in_place, move || {
            while read < buffer.len() {
                match inner.file.read_at(&mut buffer[read..], offset + read as u64) {
                    Ok(0) => break,
                    Ok(n) => read += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(inner.failed("read", error)),
                }
            }
            buffer.truncate(read);
            Ok(buffer.freeze())
        })
        .await
    }

    /// Writes the buffers one after another at `offset`.
    ///
    /// # Errors
    /// Those of `pwritev`, as `StorageFull`; then any part may have been written.
    pub async fn write_at(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        let inner = self.inner.clone();
        wait(self.in_place, move || inner.write_all(offset, &buffers)).await
    }

    /// `write_at`, then `sync_data`, in one hop off the async threads.
    ///
    /// # Errors
    /// Those of either.
    pub async fn write_at_and_sync(&self, offset: u64, buffers: Vec<Bytes>) -> io::Result<()> {
        let inner = self.inner.clone();
        wait(self.in_place, move || {
            inner.write_all(offset, &buffers)?;
            inner.sync_data()
        })
        .await
    }

    /// Makes what was written durable (`fdatasync`).
    ///
    /// # Errors
    /// Those of `fdatasync`; what was written since the last success may then be lost,
    /// and a second try that succeeds does not say otherwise.
    pub async fn sync_data(&self) -> io::Result<()> {
        let inner = self.inner.clone();
        wait(self.in_place, move || inner.sync_data()).await
    }

    /// Begins to make durable what was written before the call, whoever waits for it or
    /// not; the future ends as [`File::sync_data`] does.
    pub fn begin_sync_data(&self) -> impl Future<Output = io::Result<()>> + Send + Sync + use<> {
        let inner = self.inner.clone();
        let begun = tokio::task::spawn_blocking(move || inner.sync_data());
        async move { joined(begun.await) }
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// Those of `ftruncate`.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        let inner = self.inner.clone();
        wait(self.in_place, move || {
            inner.file.set_len(len).map_err(|error| inner.failed("resize", error))
        })
        .await
    }
}

impl Inner {
    fn write_all(&self, mut offset: u64, buffers: &[Bytes]) -> io::Result<()> {
        for buffers in buffers.chunks(BUFFERS_PER_WRITE_MAX) {
            let mut slices: Vec<IoSlice<'_>> = buffers.iter().map(|b| IoSlice::new(b)).collect();
            let mut rest = &mut slices[..];
            // Drops leading empty slices, so that a write of nothing is not an error.
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match rustix::io::pwritev(&self.file, rest, offset) {
                    Ok(0) => return Err(self.failed("write", io::ErrorKind::WriteZero.into())),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut rest, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(self.failed("write", errno.into())),
                }
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| self.failed("sync", error))
    }

    fn failed(&self, doing: &str, error: io::Error) -> io::Error {
        failed(doing, &shown(&self.path), error)
    }
}
