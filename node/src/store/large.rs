//! Objects that are never held whole: a segment file each, written and read in parts.
//!
//! The file has a temporary name until its data is complete, verified and synced, so what
//! is found under a segment's name is whole. A put that is given up leaves its file to the
//! next large put, to closing, or to opening.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_host::disk::File;
use tokio::sync::OwnedSemaphorePermit;

use super::index::Location;
use super::record::{
    Contents, RECORD_HEADER_BYTES, RECORD_TRAILER_BYTES, SEGMENT_HEADER_BYTES, parse_record_header,
    record_header, record_len,
};
use super::segment::{self, Segment};
use super::shared::{Shared, read_failed};
use super::{LargeReader, LargeWriter, StoreError, Stored};
use crate::limits;
use crate::object::{ObjectHasher, ObjectHead, ObjectId};

/// Parts are gathered into writes of about this size.
const WRITE_BYTES: usize = 1 << 20;

impl Shared {
    /// Removes the files of large puts that were given up.
    pub(super) async fn remove_abandoned(&self) {
        let abandoned = std::mem::take(&mut *self.lock_abandoned());
        for path in abandoned {
            if let Err(error) = self.disk().remove(&path).await {
                tracing::warn!(path, %error, "what an interrupted put left stays until restart");
            }
        }
    }

    fn lock_abandoned(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.abandoned.lock().expect("nothing panics while it lists")
    }
}

/// The file of a large put under way; given up unless it was kept.
struct Draft {
    shared: Arc<Shared>,
    segment: Segment,
    kept: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let path = segment::temporary_path(self.segment.number);
            self.shared.lock_abandoned().push(path);
        }
    }
}

/// An object on its way into a file of its own.
pub(super) struct ObjectWriter {
    shared: Arc<Shared>,
    head: ObjectHead,
    /// None when the object is here already: then its parts are only checked.
    draft: Option<Draft>,
    hasher: ObjectHasher,
    crc: u32,
    received_bytes: u64,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    _slot: OwnedSemaphorePermit,
}

impl ObjectWriter {
    pub(super) async fn begin(shared: Arc<Shared>, head: ObjectHead) -> Result<Self, StoreError> {
        shared.check_writable()?;
        let slot = shared.large_writers.clone().try_acquire_owned();
        let slot = slot.map_err(|_| StoreError::Overloaded { waiting_bytes: head.size_bytes })?;
        shared.remove_abandoned().await;
        let present = shared.lock_index().holds(&head.id);
        let draft = match present {
            true => None,
            false => {
                let number = shared.next_number();
                let path = segment::temporary_path(number);
                let made = segment::create(shared.disk(), &path, number, Contents::One).await;
                let segment = made.map_err(|error| shared.write_failed(&path, &error))?;
                Some(Draft { shared: shared.clone(), segment, kept: false })
            }
        };
        let header = draft.as_ref().map(|Draft { segment, .. }| {
            Bytes::copy_from_slice(&record_header(&head, segment.number, segment.len))
        });
        let hasher = ObjectHasher::plain(head.id.algorithm(), head.kind, head.size_bytes);
        Ok(ObjectWriter {
            shared,
            head,
            draft,
            hasher,
            crc: 0,
            received_bytes: 0,
            pending_bytes: header.as_ref().map_or(0, Bytes::len),
            pending: header.into_iter().collect(),
            _slot: slot,
        })
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let (pending, bytes) = (std::mem::take(&mut self.pending), self.pending_bytes as u64);
        self.pending_bytes = 0;
        let Some(draft) = &mut self.draft else { return Ok(()) };
        let written = draft.segment.file.write_at(draft.segment.len, pending).await;
        let path = segment::temporary_path(draft.segment.number);
        written.map_err(|error| self.shared.write_failed(&path, &error))?;
        draft.segment.len += bytes;
        Ok(())
    }

    /// Syncs the file, gives it its name, and enters the object into the index; `false` when
    /// that had happened to another file of the object.
    async fn keep(&self, mut draft: Draft) -> Result<bool, StoreError> {
        let shared = &self.shared;
        let number = draft.segment.number;
        let (from, to) = (segment::temporary_path(number), segment::path(number));
        let record = record_len(self.head.size_bytes);
        if record != draft.segment.len.checked_sub(SEGMENT_HEADER_BYTES as u64) {
            // A write of it failed or was given up, and the caller went on all the same.
            return Err(shared.fail(format!("{from} is not whole")));
        }
        // Closed first when the store is, so that nothing is named without its lock.
        let _naming = shared.naming.acquire().await.map_err(|_| StoreError::Closed)?;
        shared.check_writable()?;
        if shared.lock_index().holds(&self.head.id) {
            // Another writer of the same object was faster.
            return Ok(false);
        }
        let synced = async {
            // Even without fsync: recovery takes a segment that has its name for whole.
            draft.segment.file.sync_data().await?;
            shared.disk().rename(&from, &to).await?;
            shared.disk().sync_dir(segment::DIR).await
        };
        synced.await.map_err(|error| shared.write_failed(&to, &error))?;
        draft.kept = true;
        let location = Location {
            segment: number,
            offset: SEGMENT_HEADER_BYTES as u64,
            size_bytes: self.head.size_bytes,
            kind: self.head.kind,
            damaged: false,
        };
        shared.lock_index().insert(self.head.id, location);
        shared.count_segment(0);
        shared.count_write(draft.segment.len, draft.segment.len, 2);
        Ok(true)
    }
}

#[async_trait]
impl LargeWriter for ObjectWriter {
    async fn write(&mut self, part: Bytes) -> Result<(), StoreError> {
        let size_bytes = self.received_bytes + part.len() as u64;
        if size_bytes > self.head.size_bytes {
            return Err(StoreError::TooLarge { size_bytes, limit_bytes: self.head.size_bytes });
        }
        self.received_bytes = size_bytes;
        self.hasher.update(&part);
        self.crc = crc32c::crc32c_append(self.crc, &part);
        self.pending_bytes += part.len();
        self.pending.push(part);
        if self.pending_bytes >= WRITE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, StoreError> {
        let ObjectHead { id, kind, size_bytes } = self.head;
        if self.received_bytes < size_bytes {
            let received_bytes = self.received_bytes;
            return Err(StoreError::Truncated { id, received_bytes, size_bytes });
        }
        let fresh = ObjectHasher::plain(id.algorithm(), kind, size_bytes);
        std::mem::replace(&mut self.hasher, fresh).verify(id)?;
        self.pending.push(Bytes::copy_from_slice(&self.crc.to_le_bytes()));
        self.pending_bytes += RECORD_TRAILER_BYTES;
        self.flush().await?;
        let durability = self.shared.durability();
        let draft = self.draft.take();
        let kept = match draft {
            Some(draft) => self.keep(draft).await?,
            None => false,
        };
        let already_present = !kept;
        Ok(Stored { bytes: size_bytes, durability, already_present })
    }
}

/// An object on its way out of its record.
pub(super) struct ObjectReader {
    shared: Arc<Shared>,
    head: ObjectHead,
    location: Location,
    file: File,
    path: String,
    offset: u64,
    left: u64,
    crc: u32,
    /// Taken when the hash was verified at the end.
    hasher: Option<ObjectHasher>,
}

impl ObjectReader {
    pub(super) async fn open(
        shared: Arc<Shared>,
        id: ObjectId,
        location: Location,
    ) -> Result<Self, StoreError> {
        let head = location.head(id);
        let path = segment::path(location.segment);
        let file = shared.file(location.segment).await?;
        let read = file.read_at(location.offset, RECORD_HEADER_BYTES).await;
        let header = read.map_err(|error| read_failed(&path, &error))?;
        if parse_record_header(&header, location.segment, location.offset) != Some(head) {
            return Err(shared.damaged(id, &location, format!("its record header in {path}")));
        }
        let hasher = Some(ObjectHasher::plain(id.algorithm(), head.kind, head.size_bytes));
        let offset = location.offset + RECORD_HEADER_BYTES as u64;
        Ok(ObjectReader {
            shared,
            head,
            location,
            file,
            path,
            offset,
            left: head.size_bytes,
            crc: 0,
            hasher,
        })
    }

    async fn read(&mut self, len: usize) -> Result<Bytes, StoreError> {
        let read = self.file.read_at(self.offset, len).await;
        let bytes = read.map_err(|error| read_failed(&self.path, &error))?;
        if bytes.len() < len {
            let reason = format!("{} ends within its record", self.path);
            return Err(self.shared.damaged(self.head.id, &self.location, reason));
        }
        self.offset += len as u64;
        Ok(bytes)
    }
}

#[async_trait]
impl LargeReader for ObjectReader {
    fn head(&self) -> ObjectHead {
        self.head
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left > 0 {
            let part = self.left.min(limits::PART_BYTES_MAX as u64);
            let len = usize::try_from(part).expect("a part is small");
            let bytes = self.read(len).await?;
            self.left -= part;
            self.crc = crc32c::crc32c_append(self.crc, &bytes);
            self.hasher.as_mut().expect("taken only at the end").update(&bytes);
            return Ok(Some(bytes));
        }
        let Some(hasher) = self.hasher.take() else { return Ok(None) };
        let trailer = self.read(RECORD_TRAILER_BYTES).await?;
        if trailer[..] != self.crc.to_le_bytes() {
            let reason = format!("the checksum of its data in {}", self.path);
            return Err(self.shared.damaged(self.head.id, &self.location, reason));
        }
        hasher.verify(self.head.id).map_err(|error| {
            self.shared.damaged(self.head.id, &self.location, error.to_string())
        })?;
        Ok(None)
    }
}
