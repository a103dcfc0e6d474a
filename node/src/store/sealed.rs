//! A segment that is complete and has an index file: what is kept of it in memory, and
//! how a record in it is found with one read.

use bytes::Bytes;
use gitstratum_host::disk::{File, OpenMode};
use gitstratum_host::{Disk, compute};

use super::files::{DIR, index_path, temporary};
use super::format::HeaderError;
use super::format::account::Accounts;
use super::format::index::{
    Bucket, Entry, INDEX_PREFIX_BYTES, IndexHead, Place, Sought, encode_index, head_len,
};
use super::format::segment::SegmentId;
use super::unsealed::{Places, Unsealed};

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
    id: SegmentId,
    /// Its records.
    pub(super) file: File,
    /// Its length.
    pub(super) len: u64,
    index: Index,
}

#[derive(Debug)]
enum Index {
    File {
        file: File,
        len: u64,
        head: IndexHead,
    },
    /// The disk had no room for the file.
    Memory {
        places: Places,
        accounts: Accounts,
    },
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
        let head = IndexHead::parse(index_file.read_at(0, head).await?, index_len)?;
        if head.segment != id || head.segment_len != len {
            return Err(IndexError::Damaged);
        }
        let index = Index::File { file: index_file, len: index_len, head };
        Ok(Sealed { id, file, len, index })
    }

    /// A segment whose index could not be written.
    pub(super) fn in_memory(segment: Unsealed) -> Self {
        let Unsealed { id, file, len, accounts, places, .. } = segment;
        Sealed { id, file, len, index: Index::Memory { places, accounts } }
    }

    /// Which segment.
    pub(super) fn id(&self) -> SegmentId {
        self.id
    }

    /// What it holds and what it made garbage.
    pub(super) fn accounts(&self) -> &Accounts {
        match &self.index {
            Index::File { head, .. } => &head.accounts,
            Index::Memory { accounts, .. } => accounts,
        }
    }

    /// Number of ids.
    pub(super) fn entries(&self) -> u64 {
        match &self.index {
            Index::File { head, .. } => head.entries().into(),
            Index::Memory { places, .. } => places.len() as u64,
        }
    }

    /// Bytes of both its files.
    pub(super) fn disk_bytes(&self) -> u64 {
        match &self.index {
            Index::File { len, .. } => self.len + len,
            Index::Memory { .. } => self.len,
        }
    }

    /// Bytes that its index takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.index {
            Index::File { head, .. } => head.memory_bytes(),
            Index::Memory { places, .. } => places.memory_bytes(),
        }
    }

    /// All entries, where they are in memory and should be in a file.
    pub(super) fn unwritten(&self) -> Option<Vec<Entry>> {
        match &self.index {
            Index::File { .. } => None,
            Index::Memory { places, .. } => Some(places.entries()),
        }
    }

    /// Whether the id may be here. Costs no read; `false` is certain.
    pub(super) fn may_have(&self, sought: &Sought) -> bool {
        match &self.index {
            Index::Memory { places, .. } => places.get(&sought.id).is_some(),
            Index::File { head, .. } => head.may_have(sought),
        }
    }

    /// What it says of an id.
    ///
    /// # Errors
    /// [`IndexError`]; the index is to be made again then.
    pub(super) async fn find(&self, sought: &Sought) -> Result<Option<Place>, IndexError> {
        match &self.index {
            Index::Memory { places, .. } => Ok(places.get(&sought.id)),
            Index::File { file, head, .. } => {
                let Some(bucket) = head.bucket_for(sought) else { return Ok(None) };
                let bytes = read(file, bucket).await?;
                head.find(bucket, &bytes, &sought.id).map_err(|_| IndexError::Damaged)
            }
        }
    }

    /// The buckets of its index file, in the order of the ids; none without a file.
    pub(super) fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let head = match &self.index {
            Index::File { head, .. } => Some(head),
            Index::Memory { .. } => None,
        };
        head.into_iter().flat_map(IndexHead::buckets)
    }

    /// How many entries it has at most at positions `first` to `last`: whole buckets are
    /// counted. Costs no read.
    pub(super) fn entries_between_max(&self, first: u64, last: u64) -> u64 {
        match &self.index {
            Index::File { head, .. } => head.entries_between(first, last),
            Index::Memory { places, .. } => places.len() as u64,
        }
    }

    /// Its entries at positions `first` to `last`, with one read; in the order of the ids,
    /// but for a segment without an index file.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(super) async fn entries_between(
        &self,
        first: u64,
        last: u64,
    ) -> Result<Vec<Entry>, IndexError> {
        let within = |(id, _): &Entry| (first..=last).contains(&id.prefix_u64());
        let mut entries = match &self.index {
            Index::Memory { places, .. } => places.entries(),
            Index::File { file, head, .. } => {
                let buckets: Vec<Bucket> = head.buckets_between(first, last).collect();
                // They follow one another in the file.
                let len = buckets.iter().map(|bucket| bucket.len).sum();
                let bytes = file.read_at(buckets[0].offset, len).await?;
                let mut rest = &bytes[..];
                let mut entries = Vec::with_capacity(
                    usize::try_from(head.entries_between(first, last)).unwrap_or(0),
                );
                for bucket in buckets {
                    let (bytes, after) =
                        rest.split_at_checked(bucket.len).ok_or(IndexError::Damaged)?;
                    entries.extend(head.all(bucket, bytes).map_err(|_| IndexError::Damaged)?);
                    rest = after;
                }
                entries
            }
        };
        entries.retain(within);
        Ok(entries)
    }

    /// All entries of a bucket.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(super) async fn entries_of(&self, bucket: Bucket) -> Result<Vec<Entry>, IndexError> {
        match &self.index {
            Index::File { file, head, .. } => {
                head.all(bucket, &read(file, bucket).await?).map_err(|_| IndexError::Damaged)
            }
            Index::Memory { .. } => unreachable!("it has no buckets"),
        }
    }
}

async fn read(file: &File, bucket: Bucket) -> Result<Bytes, IndexError> {
    match bucket.len {
        0 => Ok(Bytes::new()),
        len => Ok(file.read_at(bucket.offset, len).await?),
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
