//! Sealed segment: complete, with an index file; what is kept of it in memory, and
//! how a record in it is found with one read.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use bytes::Bytes;
use gitstratum_core::object::ObjectId;
use gitstratum_host::disk::{File, OpenMode};
use gitstratum_host::{Disk, compute};

use crate::files::names::{DIR, index_path, temporary};
use crate::format::HeaderError;
use crate::format::account::Accounts;
use crate::format::index::{
    Bucket, Directory, Entry, INDEX_PREFIX_BYTES, IndexDamaged, IndexHead, Piece, Place,
    encode_index, head_len,
};
use crate::format::segment::SegmentId;
use crate::manifest::Summary;
use crate::segment::unsealed::{MemoryIndex, Unsealed};

/// Bytes that are read of an index at first: nearly every head is shorter.
const HEAD_READ_BYTES: usize = 1 << 10;
const _: () = assert!(HEAD_READ_BYTES >= INDEX_PREFIX_BYTES);

/// Parts into which ids are divided where an index need not be held whole.
const PARTS: u64 = 16;

/// The first and the last position of ids in each of some parts, which together have all.
pub(crate) fn parts() -> impl Iterator<Item = (u64, u64)> {
    let step = u64::MAX / PARTS;
    (0..PARTS).map(move |part| part * (step + 1)).map(move |first| (first, first + step))
}

/// Why an index file could not be used.
#[derive(Debug)]
pub(crate) enum IndexError {
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

impl From<IndexDamaged> for IndexError {
    fn from(IndexDamaged: IndexDamaged) -> Self {
        IndexError::Damaged
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
pub(crate) struct Sealed {
    id: SegmentId,
    /// Its records.
    pub(crate) file: File,
    /// Its length.
    pub(crate) len: u64,
    index: Index,
    /// The lowest and the highest id in it, once that is known.
    ids: Option<(ObjectId, ObjectId)>,
    /// Bytes in it that belong to no record, as far as that is known.
    unread: u64,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are files")]
enum Index {
    File {
        file: File,
        len: u64,
        head: IndexHead,
        /// Once it was read.
        directory: OnceLock<Directory>,
    },
    /// It cannot be in a file yet.
    Memory { places: MemoryIndex, accounts: Accounts },
}

impl Sealed {
    /// Opens the index of a segment of `len` bytes.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn open(
        disk: &Disk,
        id: SegmentId,
        file: File,
        len: u64,
    ) -> Result<Self, IndexError> {
        let index_file = disk.open(&index_path(id), OpenMode::Read).await?;
        let index_len = index_file.len().await?;
        let begin = index_len.min(HEAD_READ_BYTES as u64) as usize;
        let mut raw = index_file.read_at(0, begin).await?;
        let head = head_len(&raw)?;
        if head > raw.len() {
            if head as u64 > index_len {
                return Err(IndexError::Damaged);
            }
            raw = index_file.read_at(0, head).await?;
        }
        let head = IndexHead::parse(&raw, index_len)?;
        if head.segment != id || head.segment_len != len {
            return Err(IndexError::Damaged);
        }
        let directory = OnceLock::new();
        let index = Index::File { file: index_file, len: index_len, head, directory };
        Ok(Sealed { id, file, len, index, ids: None, unread: 0 })
    }

    /// Reads what its index keeps in memory, unless that was done: filter and directory.
    ///
    /// # Errors
    /// [`IndexError`]; lookups go on without.
    pub(crate) async fn load(&self) -> Result<(), IndexError> {
        let Index::File { file, head, directory, .. } = &self.index else { return Ok(()) };
        if directory.get().is_none() {
            let read = read(file, head.directory_piece()).await?;
            // Where two read it at once, both read the same.
            let _ = directory.set(head.directory(read)?);
        }
        Ok(())
    }

    /// A segment whose index cannot be written yet.
    pub(crate) fn in_memory(segment: Unsealed) -> Self {
        let Unsealed { id, file, len, unread, accounts, places, .. } = segment;
        let ids = places.ids();
        Sealed { id, file, len, index: Index::Memory { places, accounts }, ids, unread }
    }

    /// The same segment, of which it is known between which ids its own lie, and how many of its
    /// bytes belong to no record.
    pub(crate) fn with(self, ids: Option<(ObjectId, ObjectId)>, unread: u64) -> Self {
        Sealed { ids, unread, ..self }
    }

    /// What it holds.
    pub(crate) fn summary(&self) -> Summary {
        let Sealed { len, ids, unread, .. } = *self;
        Summary { len, records: self.entries(), ids, unread }
    }

    /// Reads from its index between which ids its own lie.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn read_ids(&self) -> Result<Option<(ObjectId, ObjectId)>, IndexError> {
        let Index::File { head, .. } = &self.index else { return Ok(self.ids) };
        let low = self.first_entry(head.numbers()).await?;
        let high = self.first_entry(head.numbers().rev()).await?;
        Ok(low.map(|(low, _)| low).zip(high.map(|(_, high)| high)))
    }

    /// The lowest and the highest id in the first of these buckets that has any.
    async fn first_entry(
        &self,
        numbers: impl Iterator<Item = usize>,
    ) -> Result<Option<(ObjectId, ObjectId)>, IndexError> {
        for number in numbers {
            for bucket in self.buckets_in(number..=number).await? {
                let entries = self.entries_of(bucket).await?;
                if let (Some((low, _)), Some((high, _))) = (entries.first(), entries.last()) {
                    return Ok(Some((*low, *high)));
                }
            }
        }
        Ok(None)
    }

    /// Which segment.
    pub(crate) fn id(&self) -> SegmentId {
        self.id
    }

    /// What it holds and what it made garbage.
    pub(crate) fn accounts(&self) -> &Accounts {
        match &self.index {
            Index::File { head, .. } => &head.accounts,
            Index::Memory { accounts, .. } => accounts,
        }
    }

    /// Number of ids.
    pub(crate) fn entries(&self) -> u64 {
        match &self.index {
            Index::File { head, .. } => head.entries().into(),
            Index::Memory { places, .. } => places.len() as u64,
        }
    }

    /// Bytes of both its files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        match &self.index {
            Index::File { len, .. } => self.len + len,
            Index::Memory { .. } => self.len,
        }
    }

    /// Bytes that its index takes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.index {
            Index::File { directory, .. } => {
                size_of::<Self>() + directory.get().map_or(0, Directory::memory_bytes)
            }
            Index::Memory { places, .. } => places.memory_bytes(),
        }
    }

    /// All entries, where they are in memory and should be in a file.
    pub(crate) fn unwritten(&self) -> Option<Vec<Entry>> {
        match &self.index {
            Index::File { .. } => None,
            Index::Memory { places, .. } => Some(places.entries()),
        }
    }

    /// Whether the id may be here. Costs no read; `false` is certain.
    pub(crate) fn may_have(&self, id: &ObjectId) -> bool {
        match &self.index {
            Index::Memory { places, .. } => places.get(id).is_some(),
            Index::File { directory, .. } => {
                directory.get().is_none_or(|directory| directory.may_have(id))
            }
        }
    }

    /// What it says of an id that it may have.
    ///
    /// # Errors
    /// [`IndexError`]; the index is to be made again then.
    pub(crate) async fn find(&self, id: &ObjectId) -> Result<Option<Place>, IndexError> {
        match &self.index {
            Index::Memory { places, .. } => Ok(places.get(id)),
            Index::File { file, head, directory, .. } => {
                let number = head.number_of(id);
                let bucket = match directory.get() {
                    Some(known) => head.bucket(number, known.starts(&(number..=number))),
                    None => {
                        let starts = read(file, head.starts_piece(&(number..=number))).await?;
                        head.bucket(number, &starts)
                    }
                }?;
                Ok(head.find(bucket, &read(file, bucket.piece).await?, id)?)
            }
        }
    }

    /// The buckets of its index file, in the order of the ids; none without a file.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn buckets(&self) -> Result<Vec<Bucket>, IndexError> {
        match &self.index {
            Index::File { head, .. } => self.buckets_in(head.numbers()).await,
            Index::Memory { .. } => Ok(Vec::new()),
        }
    }

    async fn buckets_in(&self, numbers: RangeInclusive<usize>) -> Result<Vec<Bucket>, IndexError> {
        let Index::File { file, head, directory, .. } = &self.index else {
            unreachable!("it has no buckets")
        };
        if let Some(known) = directory.get() {
            return Ok(head.buckets(numbers.clone(), known.starts(&numbers))?);
        }
        let starts = read(file, head.starts_piece(&numbers)).await?;
        Ok(head.buckets(numbers, &starts)?)
    }

    /// How many entries it has at most at positions `first` to `last`: whole buckets are
    /// counted, or all while nobody knows where they begin. Costs no read.
    pub(crate) fn entries_between_max(&self, first: u64, last: u64) -> u64 {
        match &self.index {
            Index::File { head, directory, .. } => {
                let known = directory.get();
                let counted = known.and_then(|it| it.entries(&head.numbers_between(first, last)));
                counted.unwrap_or(head.entries().into())
            }
            Index::Memory { places, .. } => places.len() as u64,
        }
    }

    /// Its entries at positions `first` to `last`, with one read; in the order of the ids,
    /// but for a segment without an index file.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) async fn entries_between(
        &self,
        first: u64,
        last: u64,
    ) -> Result<Vec<Entry>, IndexError> {
        let within = |(id, _): &Entry| (first..=last).contains(&id.prefix_u64());
        let mut entries = match &self.index {
            Index::Memory { places, .. } => places.entries(),
            Index::File { file, head, .. } => {
                let buckets = self.buckets_in(head.numbers_between(first, last)).await?;
                // They follow one another in the file.
                let len = buckets.iter().map(|bucket| bucket.piece.len).sum();
                let mut rest = read(file, Piece { len, ..buckets[0].piece }).await?;
                let mut entries = Vec::new();
                for bucket in buckets {
                    if rest.len() < bucket.piece.len {
                        return Err(IndexError::Damaged);
                    }
                    entries.extend(head.all(bucket, &rest.split_to(bucket.piece.len))?);
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
    pub(crate) async fn entries_of(&self, bucket: Bucket) -> Result<Vec<Entry>, IndexError> {
        match &self.index {
            Index::File { file, head, .. } => {
                Ok(head.all(bucket, &read(file, bucket.piece).await?)?)
            }
            Index::Memory { .. } => unreachable!("it has no buckets"),
        }
    }
}

async fn read(file: &File, Piece { offset, len }: Piece) -> Result<Bytes, IndexError> {
    Ok(file.read_at(offset, len).await?)
}

/// Writes a segment's index file, durably, and opens it.
///
/// # Errors
/// Those of the disk.
pub(crate) async fn write_index(
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
    let opened = async {
        let sealed = Sealed::open(disk, id, file, len).await?;
        sealed.load().await?;
        Ok(sealed)
    };
    match opened.await {
        Ok(sealed) => Ok(sealed),
        Err(IndexError::Io(error)) => Err(error),
        Err(error) => {
            let reason = format!("{path}, written just now, does not hold: {error:?}");
            Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
        }
    }
}
