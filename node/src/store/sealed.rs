//! A segment that is complete and has an index file: what is kept of it in memory, and
//! how a record in it is found with one read.

use bytes::Bytes;
use gitstratum_host::disk::{File, OpenMode};
use gitstratum_host::{Disk, compute};

use super::files::{DIR, index_path, temporary};
use super::format::HeaderError;
use super::format::account::Accounts;
use super::format::index::{
    Bucket, Entry, INDEX_PREFIX_BYTES, IndexHead, Place, encode_index, head_len,
};
use super::format::segment::SegmentId;
use crate::object::ObjectId;

/// Why an index file could not be used.
#[derive(Debug)]
pub(super) enum IndexError {
    /// It is missing or does not hold; it can be made again from its segment.
    Damaged,
    /// A newer program wrote it.
    Version(u32),
    /// The disk failed.
    Io(std::io::Error),
}

impl From<HeaderError> for IndexError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Damaged => IndexError::Damaged,
            HeaderError::Version(version) => IndexError::Version(version),
        }
    }
}

impl From<std::io::Error> for IndexError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => IndexError::Damaged,
            _ => IndexError::Io(error),
        }
    }
}

/// A sealed segment.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Its records.
    pub(super) file: File,
    /// Its length.
    pub(super) len: u64,
    index_file: File,
    index_len: u64,
    head: IndexHead,
}

impl Sealed {
    /// Opens the index of a segment of `len` bytes.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(super) async fn open(
        disk: &Disk,
        id: SegmentId,
        file: File,
        len: u64,
    ) -> Result<Self, IndexError> {
        let index_file = disk.open(&index_path(id), OpenMode::Read).await?;
        let index_len = index_file.len().await?;
        let prefix = index_file.read_at(0, INDEX_PREFIX_BYTES).await?;
        let head = head_len(&prefix)?;
        if head as u64 > index_len {
            return Err(IndexError::Damaged);
        }
        let head = IndexHead::parse(&index_file.read_at(0, head).await?, index_len)?;
        match head.segment == id && head.segment_len == len {
            true => Ok(Sealed { file, len, index_file, index_len, head }),
            false => Err(IndexError::Damaged),
        }
    }

    /// Which segment.
    pub(super) fn id(&self) -> SegmentId {
        self.head.segment
    }

    /// What it holds and what it made garbage.
    pub(super) fn accounts(&self) -> &Accounts {
        &self.head.accounts
    }

    /// Number of ids.
    pub(super) fn entries(&self) -> u32 {
        self.head.entries()
    }

    /// Bytes of both its files.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.len + self.index_len
    }

    /// Bytes it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.head.memory_bytes()
    }

    /// What it says of an id.
    ///
    /// # Errors
    /// [`IndexError`]; the index is to be made again then.
    pub(super) async fn find(&self, id: &ObjectId) -> Result<Option<Place>, IndexError> {
        let Some(bucket) = self.head.bucket_for(id) else { return Ok(None) };
        let bytes = self.read(bucket).await?;
        self.head.find(bucket, &bytes, id).map_err(|_| IndexError::Damaged)
    }

    /// Whether the index is whole.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(super) async fn entries_of(&self, bucket: Bucket) -> Result<Vec<Entry>, IndexError> {
        let bytes = self.read(bucket).await?;
        self.head.all(bucket, &bytes).map_err(|_| IndexError::Damaged)
    }

    /// All buckets, in the order of the ids.
    pub(super) fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.head.buckets()
    }

    async fn read(&self, bucket: Bucket) -> Result<Bytes, IndexError> {
        match bucket.len {
            0 => Ok(Bytes::new()),
            len => Ok(self.index_file.read_at(bucket.offset, len).await?),
        }
    }
}

/// Writes a segment's index file, durably, and opens it.
///
/// # Errors
/// Those of the disk.
pub(super) async fn write_index(
    disk: &Disk,
    id: SegmentId,
    file: File,
    len: u64,
    accounts: Accounts,
    entries: Vec<Entry>,
) -> Result<Sealed, std::io::Error> {
    // Sorting a segment's ids takes tens of milliseconds: not on the threads that serve.
    let buffers = compute(move || encode_index(id, len, &accounts, entries)).await;
    let path = index_path(id);
    let temporary = temporary(&path);
    match disk.remove(&temporary).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let index = disk.open(&temporary, OpenMode::CreateNew).await?;
    let written = index.write_at_and_sync(0, buffers).await;
    if let Err(error) = written {
        // It has no use, and on a full disk takes room that others need.
        let _ = disk.remove(&temporary).await;
        return Err(error);
    }
    disk.rename(&temporary, &path).await?;
    disk.sync_dir(DIR).await?;
    match Sealed::open(disk, id, file, len).await {
        Ok(sealed) => Ok(sealed),
        Err(IndexError::Io(error)) => Err(error),
        Err(error) => {
            let reason = format!("{path}, written just now, does not hold: {error:?}");
            Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
        }
    }
}
