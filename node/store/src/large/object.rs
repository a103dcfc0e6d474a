//! Objects that are never held whole: a file each, written and read in parts.
//!
//! The file has a temporary name until its data is complete, verified and synced, so what
//! is found under an object's name is whole. The file of a put that is given up is removed at
//! once (`state/large_puts.rs`). What comes in parts and would fit a message goes the way of all small
//! objects.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHasher, ObjectHead, ObjectId};
use gitstratum_core::replica::{LargeReader, LargeWriter, StoreError, Stored};
use gitstratum_host::disk::{File, OpenMode};
use tokio::sync::OwnedSemaphorePermit;

use crate::codec::encode::EncodedRecord;
use crate::error::read_failed;
use crate::files::names::{LARGE_DIR, large_path};
use crate::format::large::{
    CHUNK_TRAILER_BYTES, LARGE_CHUNK_BYTES, LARGE_HEADER_BYTES, chunk_crc, large_file_len,
    large_header, parse_large_header,
};
use crate::read::lookup::holds;
use crate::state::shared::Shared;
use crate::state::view::{Bad, BadPlace};

/// Parts are gathered into writes of about this size.
const WRITE_BYTES: usize = 1 << 20;

/// The file of a large put under way.
struct IncompleteFile {
    /// Closed before the name is given up: until then its bytes take room.
    file: File,
    /// Where the next bytes go.
    len: u64,
    name: TemporaryName,
}

/// What the file is called until it is complete; dropped before that, the file is removed.
struct TemporaryName {
    shared: Arc<Shared>,
    path: String,
}

impl IncompleteFile {
    async fn begin(shared: Arc<Shared>, head: &ObjectHead) -> Result<Self, StoreError> {
        let path = shared.large_puts.begin(head.id);
        let name = TemporaryName { shared, path };
        if name.shared.naming.is_closed() {
            return Err(StoreError::Closed);
        }
        let made = name.shared.disk.open(&name.path, OpenMode::CreateNew).await;
        let file = made.map_err(|error| name.shared.health.write_failed(&name.path, &error))?;
        Ok(IncompleteFile { file, len: 0, name })
    }

    fn path(&self) -> &str {
        &self.name.path
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        self.shared.large_puts.give_up(std::mem::take(&mut self.path));
    }
}

/// An object on its way into a file of its own.
pub(crate) struct ObjectWriter {
    shared: Arc<Shared>,
    head: ObjectHead,
    /// None when the object is here already: then its parts are only checked.
    incomplete: Option<IncompleteFile>,
    hasher: ObjectHasher,
    /// Of the chunk's data so far.
    crc: u32,
    received_bytes: u64,
    /// What its file comes to.
    file_len: u64,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    _slot: OwnedSemaphorePermit,
}

impl ObjectWriter {
    pub(crate) async fn begin(shared: Arc<Shared>, head: ObjectHead) -> Result<Self, StoreError> {
        shared.health.check_writable()?;
        let slot = shared.large_puts.slot().ok_or_else(|| {
            let limit = limits::STORE_LARGE_WRITERS_MAX;
            shared.health.overloaded(format!(
                "{limit} large objects are being received, as many as may be at once"
            ))
        })?;
        let file_len = file_len(&head)?;
        let incomplete = match holds(&shared, &head.id).await? {
            true => None,
            false => {
                // Now, and not when most of it is written.
                shared.health.room_for(file_len, file_len).await?;
                Some(IncompleteFile::begin(shared.clone(), &head).await?)
            }
        };
        let header = incomplete.as_ref().map(|_| Bytes::copy_from_slice(&large_header(&head)));
        let hasher = ObjectHasher::plain(head.id.algorithm(), head.kind, head.size_bytes);
        Ok(ObjectWriter {
            shared,
            head,
            incomplete,
            hasher,
            crc: 0,
            received_bytes: 0,
            file_len,
            pending_bytes: header.as_ref().map_or(0, Bytes::len),
            pending: header.into_iter().collect(),
            _slot: slot,
        })
    }

    fn queue(&mut self, bytes: Bytes) {
        self.pending_bytes += bytes.len();
        self.pending.push(bytes);
    }

    fn end_chunk(&mut self) {
        let number = (self.received_bytes - 1) / LARGE_CHUNK_BYTES as u64;
        let crc = chunk_crc(std::mem::take(&mut self.crc), number);
        self.queue(Bytes::copy_from_slice(&crc));
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let (pending, bytes) = (std::mem::take(&mut self.pending), self.pending_bytes as u64);
        self.pending_bytes = 0;
        let Some(incomplete) = &mut self.incomplete else { return Ok(()) };
        self.shared.health.room_for(bytes, self.file_len.saturating_sub(incomplete.len)).await?;
        let written = incomplete.file.write_at(incomplete.len, pending).await;
        written.map_err(|error| self.shared.health.write_failed(incomplete.path(), &error))?;
        incomplete.len += bytes;
        Ok(())
    }

    /// Syncs the file, gives it its name, and enters the object into the view; `false` when
    /// that had happened to another file of the object.
    async fn keep(&self, incomplete: IncompleteFile) -> Result<bool, StoreError> {
        let shared = &self.shared;
        let id = self.head.id;
        let to = large_path(id);
        if large_file_len(self.head.size_bytes) != Some(incomplete.len) {
            // A write of it failed or was given up, and the caller went on all the same.
            return Err(shared.health.fail(format!("{} is not whole", incomplete.path())));
        }
        // Before the name is taken: others wait for it, and a sync takes its time.
        let synced = incomplete.file.sync_data().await;
        synced.map_err(|error| shared.health.write_failed(incomplete.path(), &error))?;
        // Opened before the name is taken: it can then not be wanting.
        let directory = shared.disk.open_dir(LARGE_DIR).await;
        let directory = directory.map_err(|error| shared.health.write_failed(LARGE_DIR, &error))?;
        // Closed first when the store is, so that nothing is named without its lock.
        let _naming = shared.naming.acquire().await?;
        shared.health.check_writable()?;
        if holds(shared, &id).await? {
            // Another writer of the same object was faster.
            return Ok(false);
        }
        let named = async {
            shared.disk.rename(incomplete.path(), &to).await?;
            directory.sync().await
        };
        named.await.map_err(|error| shared.health.fail(format!("name {to}: {error}")))?;
        shared.large_puts.completed(incomplete.path());
        if let Err(error) = shared.large_names.note(id, Some(incomplete.len)).await {
            if matches!(error, StoreError::DiskFull) {
                // Durably, or what was refused might be there after a power loss.
                let removed = async {
                    shared.disk.remove(&to).await?;
                    directory.sync().await
                };
                removed
                    .await
                    .map_err(|error| shared.health.fail(format!("remove {to}: {error}")))?;
            }
            return Err(error);
        }
        let healed = {
            let mut view = shared.view();
            view.large.insert(id, incomplete.len);
            let healed = view.bad(&id).is_some_and(|bad| {
                // Where its file was missing, this one takes its place.
                matches!(bad.at, BadPlace::Large | BadPlace::Dropped)
            });
            if healed {
                view.bad.remove(&id);
            }
            healed
        };
        if healed {
            // Before the acknowledgement: the list speaks of this name.
            shared.damage.save().await?;
        }
        shared.health.count_write(incomplete.len, 2);
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
        self.hasher.update(&part);
        let mut rest = part;
        while !rest.is_empty() {
            let room = LARGE_CHUNK_BYTES as u64 - self.received_bytes % LARGE_CHUNK_BYTES as u64;
            let piece = rest.split_to(rest.len().min(room as usize));
            self.crc = crc32c::crc32c_append(self.crc, &piece);
            self.received_bytes += piece.len() as u64;
            self.queue(piece);
            if self.received_bytes.is_multiple_of(LARGE_CHUNK_BYTES as u64) {
                self.end_chunk();
            }
        }
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
        if !size_bytes.is_multiple_of(LARGE_CHUNK_BYTES as u64) {
            self.end_chunk();
        }
        self.flush().await?;
        let durability = self.shared.options.durability();
        let incomplete = self.incomplete.take();
        let kept = match incomplete {
            Some(incomplete) => self.keep(incomplete).await?,
            None => false,
        };
        let already_present = !kept;
        Ok(Stored { bytes: size_bytes, durability, already_present })
    }
}

/// Length of the object's file; an error for what no file can hold.
fn file_len(head: &ObjectHead) -> Result<u64, StoreError> {
    let (size_bytes, limit_bytes) = (head.size_bytes, i64::MAX as u64);
    large_file_len(size_bytes).ok_or(StoreError::TooLarge { size_bytes, limit_bytes })
}

/// A small object that comes in parts.
pub(crate) struct SmallWriter {
    shared: Arc<Shared>,
    head: ObjectHead,
    data: BytesMut,
}

impl SmallWriter {
    pub(crate) fn begin(shared: Arc<Shared>, head: ObjectHead) -> Result<Self, StoreError> {
        shared.health.check_writable()?;
        Ok(SmallWriter { shared, head, data: BytesMut::new() })
    }
}

#[async_trait]
impl LargeWriter for SmallWriter {
    async fn write(&mut self, part: Bytes) -> Result<(), StoreError> {
        let size_bytes = (self.data.len() + part.len()) as u64;
        if size_bytes > self.head.size_bytes {
            return Err(StoreError::TooLarge { size_bytes, limit_bytes: self.head.size_bytes });
        }
        self.data.extend_from_slice(&part);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored, StoreError> {
        let ObjectHead { id, kind, size_bytes } = self.head;
        let received_bytes = self.data.len() as u64;
        if received_bytes < size_bytes {
            return Err(StoreError::Truncated { id, received_bytes, size_bytes });
        }
        let object = Object::claimed(id, kind, self.data.freeze()).verified()?;
        let seen = self.shared.view().seen();
        if holds(&self.shared, &id).await? {
            let durability = self.shared.options.durability();
            return Ok(Stored { bytes: size_bytes, durability, already_present: true });
        }
        let record = EncodedRecord::of_object(object, self.shared.codecs.packer().as_deref_mut());
        self.shared.queue.write(vec![record], seen).await.remove(0)
    }
}

/// A small object that is asked for in parts.
pub(crate) struct SmallReader {
    head: ObjectHead,
    left: Bytes,
}

impl SmallReader {
    pub(crate) fn new(object: Object) -> Self {
        SmallReader { head: object.head(), left: object.data().clone() }
    }
}

#[async_trait]
impl LargeReader for SmallReader {
    fn head(&self) -> ObjectHead {
        self.head
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let part = self.left.split_to(self.left.len().min(limits::PART_BYTES_MAX));
        Ok(Some(part).filter(|part| !part.is_empty()))
    }
}

/// An object on its way out of its file.
pub(crate) struct ObjectReader {
    shared: Arc<Shared>,
    head: ObjectHead,
    file: File,
    offset: u64,
    left: u64,
    /// Number of the next chunk.
    chunk: u64,
    /// Taken when the hash was verified at the end.
    hasher: Option<ObjectHasher>,
}

impl ObjectReader {
    pub(crate) async fn open(shared: Arc<Shared>, id: ObjectId) -> Result<Self, StoreError> {
        let path = large_path(id);
        let opened = shared.disk.open(&path, OpenMode::Read).await;
        let file = opened.map_err(|error| read_failed(&path, &error))?;
        let header = file.read_at(0, LARGE_HEADER_BYTES).await;
        let header =
            header.map_err(|error| shared.damage.note_unread(id, BadPlace::Large, 0, &error))?;
        let head = match parse_large_header(&header) {
            Ok(head) if head.id == id => head,
            _ => return Err(damaged(&shared, id, 0, "its header".to_owned())),
        };
        let hasher = Some(ObjectHasher::plain(id.algorithm(), head.kind, head.size_bytes));
        let (offset, left) = (LARGE_HEADER_BYTES as u64, head.size_bytes);
        Ok(ObjectReader { shared, head, file, offset, left, chunk: 0, hasher })
    }

    fn damaged(&self, reason: String) -> StoreError {
        damaged(&self.shared, self.head.id, self.head.size_bytes, reason)
    }

    async fn read(&mut self, len: usize) -> Result<Bytes, StoreError> {
        let read = self.file.read_at(self.offset, len).await;
        let (id, size) = (self.head.id, self.head.size_bytes);
        let bytes = read
            .map_err(|error| self.shared.damage.note_unread(id, BadPlace::Large, size, &error))?;
        if bytes.len() < len {
            return Err(self.damaged("its end is missing".to_owned()));
        }
        self.offset += len as u64;
        Ok(bytes)
    }
}

fn damaged(shared: &Arc<Shared>, id: ObjectId, size: u64, reason: String) -> StoreError {
    shared.damage.note(id, Bad::wrong(BadPlace::Large, size, reason))
}

#[async_trait]
impl LargeReader for ObjectReader {
    fn head(&self) -> ObjectHead {
        self.head
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left > 0 {
            let part = self.left.min(LARGE_CHUNK_BYTES as u64);
            let len = usize::try_from(part).expect("a chunk is small");
            let mut bytes = self.read(len + CHUNK_TRAILER_BYTES).await?;
            let trailer = bytes.split_off(len);
            if trailer[..] != chunk_crc(crc32c::crc32c(&bytes), self.chunk) {
                return Err(self.damaged("the checksum of its data".to_owned()));
            }
            self.left -= part;
            self.chunk += 1;
            self.hasher.as_mut().expect("taken only at the end").update(&bytes);
            return Ok(Some(bytes));
        }
        let Some(hasher) = self.hasher.take() else { return Ok(None) };
        hasher.verify(self.head.id).map_err(|error| self.damaged(error.to_string()))?;
        Ok(None)
    }
}
