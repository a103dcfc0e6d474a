//! The store over segment files: what callers see, put together from its parts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use gitstratum_host::Disk;
use gitstratum_host::disk::{DiskLock, File, OpenMode};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::commit::{self, Queued};
use super::identity;
use super::index::{Index, Location};
use super::large::{ObjectReader, ObjectWriter};
use super::record::{RECORD_HEADER_BYTES, RECORD_TRAILER_BYTES, parse_record_header};
use super::recover::recover;
use super::segment;
use super::{
    Durability, Found, LargeReader, LargeWriter, OpenError, Store, StoreError, StoreStats, Stored,
    io_error,
};
use crate::limits;
use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;

/// Hashing yields to other tasks after this many bytes.
const HASHED_BYTES_BEFORE_YIELD: usize = 256 << 10;
/// Files kept open for reading.
const OPEN_FILES_MAX: usize = 256;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    node_id: NodeId,
    fsync: bool,
    segment_bytes_max: u64,
}

impl StoreOptions {
    /// The store of `node_id`; with `fsync` off, acknowledged puts may be lost with the power.
    pub fn new(node_id: NodeId, fsync: bool) -> Self {
        StoreOptions { node_id, fsync, segment_bytes_max: limits::SEGMENT_BYTES_MAX }
    }

    /// Begins a new segment past this size instead of `limits::SEGMENT_BYTES_MAX`.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }
}

/// What the parts of a store share.
pub(super) struct Shared {
    disk: Disk,
    options: StoreOptions,
    index: Mutex<Index>,
    /// Why nothing is written any more.
    failed: Mutex<Option<String>>,
    queued_bytes: AtomicUsize,
    next_number: AtomicU64,
    files: Mutex<BTreeMap<u64, File>>,
    pub(super) large_writers: Arc<Semaphore>,
    /// Files of large puts that were given up, to be removed by whoever may wait for it.
    pub(super) abandoned: Mutex<Vec<String>>,
    segments: AtomicU64,
    disk_bytes: AtomicU64,
    syncs: AtomicU64,
    bytes_written: AtomicU64,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Shared {
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn fsync(&self) -> bool {
        self.options.fsync
    }

    pub(super) fn segment_bytes_max(&self) -> u64 {
        self.options.segment_bytes_max
    }

    pub(super) fn lock_index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("nothing panics while it holds the index")
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        match &*self.failed.lock().expect("nothing panics while it fails") {
            Some(reason) => Err(StoreError::Failed { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Ends all writing. The first reason stays.
    pub(super) fn fail(&self, reason: String) -> StoreError {
        let mut failed = self.failed.lock().expect("nothing panics while it fails");
        let reason = failed.get_or_insert_with(|| {
            tracing::error!(reason, "the store takes no more writes until it is restarted");
            reason
        });
        StoreError::Failed { reason: reason.clone() }
    }

    /// What a failed write means: a full disk is waited out, anything else ends all writing.
    pub(super) fn write_failed(&self, path: &str, error: &std::io::Error) -> StoreError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::DiskFull
            }
            _ => self.fail(format!("write {path}: {error}")),
        }
    }

    pub(super) fn release_queue(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_segment(&self, bytes: u64) {
        self.segments.fetch_add(1, Ordering::Relaxed);
        // Its header, and its name in the directory.
        self.count_write(bytes, bytes, 2);
    }

    pub(super) fn count_write(&self, written: u64, kept: u64, syncs: u64) {
        self.bytes_written.fetch_add(written, Ordering::Relaxed);
        self.disk_bytes.fetch_add(kept, Ordering::Relaxed);
        self.syncs.fetch_add(syncs, Ordering::Relaxed);
    }

    pub(super) fn count_puts(&self, objects: u64) {
        self.puts.fetch_add(objects, Ordering::Relaxed);
    }

    pub(super) fn remember_file(&self, number: u64, file: File) {
        let mut files = self.files.lock().expect("nothing panics while it holds the files");
        if files.len() >= OPEN_FILES_MAX {
            files.pop_first();
        }
        files.insert(number, file);
    }

    /// The file of a segment, opened if it is not.
    pub(super) async fn file(&self, number: u64) -> Result<File, StoreError> {
        let known = {
            let files = self.files.lock().expect("nothing panics while it holds the files");
            files.get(&number).cloned()
        };
        if let Some(file) = known {
            return Ok(file);
        }
        let path = segment::path(number);
        let opened = self.disk.open(&path, OpenMode::Read).await;
        let file = opened.map_err(|error| read_failed(&path, &error))?;
        self.remember_file(number, file.clone());
        Ok(file)
    }

    /// Marks the object's record as damaged and says so.
    pub(super) fn damaged(&self, id: ObjectId, reason: String) -> StoreError {
        tracing::error!(%id, reason, "damaged object");
        self.lock_index().mark_damaged(&id);
        StoreError::Damaged { id, reason }
    }

    pub(super) fn locate(&self, id: ObjectId) -> Result<Option<Location>, StoreError> {
        let location = self.lock_index().get(&id).copied();
        match location {
            Some(location) if location.damaged => {
                let reason = format!("its record in {}", segment::path(location.segment));
                Err(StoreError::Damaged { id, reason })
            }
            location => Ok(location),
        }
    }
}

/// A failed read.
pub(super) fn read_failed(path: &str, error: &std::io::Error) -> StoreError {
    let (doing, reason) = (format!("read {path}"), error.to_string());
    StoreError::Io { doing, reason, kind: error.kind() }
}

/// The store of one node, in append-only segment files.
pub struct SegmentStore {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::UnboundedSender<Queued>>>,
    /// Taken by whoever closes the store; the lock goes when the last write is done.
    running: Mutex<Option<(JoinHandle<()>, DiskLock)>>,
}

impl SegmentStore {
    /// Opens the store in the disk's root, making it if the disk is empty.
    ///
    /// # Errors
    /// [`OpenError`]; a disk that is not this node's, or in use, is left as it was.
    pub async fn open(disk: Disk, options: StoreOptions) -> Result<Arc<Self>, OpenError> {
        let lock = identity::claim(&disk, &options.node_id).await?;
        disk.create_dir_all(segment::DIR).await.map_err(io_error("make", segment::DIR))?;
        let recovered = recover(&disk).await?;
        tracing::info!(
            objects = recovered.index.len(),
            segments = recovered.segments,
            bytes = recovered.disk_bytes,
            "store opened"
        );
        let shared = Arc::new(Shared {
            disk,
            options,
            index: Mutex::new(recovered.index),
            failed: Mutex::default(),
            queued_bytes: AtomicUsize::new(0),
            next_number: AtomicU64::new(recovered.next_number),
            files: Mutex::default(),
            large_writers: Arc::new(Semaphore::new(limits::STORE_LARGE_WRITERS_MAX)),
            abandoned: Mutex::default(),
            segments: AtomicU64::new(recovered.segments),
            disk_bytes: AtomicU64::new(recovered.disk_bytes),
            syncs: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            puts: AtomicU64::new(0),
            gets: AtomicU64::new(0),
        });
        // Bounded in bytes by `enqueue`.
        let (queue, queued) = mpsc::unbounded_channel();
        let committer = tokio::spawn(commit::run(shared.clone(), queued, recovered.active));
        Ok(Arc::new(SegmentStore {
            shared,
            queue: Mutex::new(Some(queue)),
            running: Mutex::new(Some((committer, lock))),
        }))
    }

    fn enqueue(
        &self,
        objects: Vec<Object>,
    ) -> Result<oneshot::Receiver<Vec<Result<Stored, StoreError>>>, StoreError> {
        self.shared.check_writable()?;
        let overhead = RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;
        let bytes = objects.iter().map(|object| object.data().len() + overhead).sum();
        let waiting = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let refused = |error| {
            self.shared.release_queue(bytes);
            Err(error)
        };
        // One put may pass the bound alone, or a large batch could never be stored.
        if waiting > limits::STORE_QUEUE_BYTES_MAX && waiting > bytes {
            return refused(StoreError::Overloaded { waiting_bytes: waiting as u64 });
        }
        let queue = self.queue.lock().expect("nothing panics while it holds the queue");
        let Some(queue) = &*queue else { return refused(StoreError::Closed) };
        let (answer, answered) = oneshot::channel();
        match queue.send(Queued { objects, bytes, answer }) {
            Ok(()) => Ok(answered),
            Err(_) => refused(self.shared.fail("the committer ended".into())),
        }
    }

    async fn commit(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>> {
        let count = objects.len();
        let answered = match self.enqueue(objects) {
            Ok(answered) => answered.await.map_err(|_| StoreError::Closed),
            Err(error) => Err(error),
        };
        answered.unwrap_or_else(|error| vec![Err(error); count])
    }
}

/// What one object of a put needs.
enum Checked {
    Refused(StoreError),
    Present(Stored),
    ToWrite,
}

fn check(shared: &Shared, object: &Object) -> Checked {
    let (size_bytes, limit_bytes) = (object.size_bytes(), limits::OBJECT_BYTES_WHOLE_MAX as u64);
    if size_bytes > limit_bytes {
        return Checked::Refused(StoreError::TooLarge { size_bytes, limit_bytes });
    }
    // Checked even when it is there: a put of other bytes under a known id is an error.
    if let Err(mismatch) = object.verify() {
        return Checked::Refused(mismatch.into());
    }
    if shared.lock_index().holds(&object.id()) {
        let durability = Durability::Synced;
        return Checked::Present(Stored { bytes: size_bytes, durability, already_present: true });
    }
    Checked::ToWrite
}

#[async_trait]
impl Store for SegmentStore {
    async fn put(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>> {
        self.shared.count_puts(objects.len() as u64);
        let mut answers = Vec::with_capacity(objects.len());
        let mut to_write = Vec::new();
        let mut hashed = 0;
        for object in objects {
            hashed += object.data().len();
            if hashed >= HASHED_BYTES_BEFORE_YIELD {
                hashed = 0;
                tokio::task::yield_now().await;
            }
            answers.push(match check(&self.shared, &object) {
                Checked::Refused(error) => Some(Err(error)),
                Checked::Present(stored) => Some(Ok(stored)),
                Checked::ToWrite => {
                    to_write.push(object);
                    None
                }
            });
        }
        let mut written = match to_write.is_empty() {
            true => Vec::new(),
            false => self.commit(to_write).await,
        }
        .into_iter();
        let all = answers.into_iter();
        all.map(|answer| {
            answer.unwrap_or_else(|| written.next().expect("one answer for each object written"))
        })
        .collect()
    }

    async fn get(&self, id: ObjectId) -> Result<Found, StoreError> {
        self.shared.gets.fetch_add(1, Ordering::Relaxed);
        let Some(location) = self.shared.locate(id)? else { return Ok(Found::Absent) };
        if location.size_bytes > limits::OBJECT_BYTES_WHOLE_MAX as u64 {
            return Ok(Found::Large(location.head(id)));
        }
        let size = usize::try_from(location.size_bytes).expect("bounded just above");
        let path = segment::path(location.segment);
        let file = self.shared.file(location.segment).await?;
        let len = RECORD_HEADER_BYTES + size + RECORD_TRAILER_BYTES;
        let read = file.read_at(location.offset, len).await;
        let record = read.map_err(|error| read_failed(&path, &error))?;
        let whole = record.len() == len;
        if !whole || parse_record_header(&record) != Some(location.head(id)) {
            return Err(self.shared.damaged(id, format!("its record header in {path}")));
        }
        let data = record.slice(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + size);
        if record[RECORD_HEADER_BYTES + size..] != crc32c::crc32c(&data).to_le_bytes() {
            return Err(self.shared.damaged(id, format!("the checksum of its data in {path}")));
        }
        Ok(Found::Object(Object::claimed(id, location.kind, data)))
    }

    async fn has(&self, ids: &[ObjectId]) -> Vec<bool> {
        let index = self.shared.lock_index();
        ids.iter().map(|id| index.holds(id)).collect()
    }

    async fn put_large(&self, head: ObjectHead) -> Result<Box<dyn LargeWriter>, StoreError> {
        if self.queue.lock().expect("nothing panics while it holds the queue").is_none() {
            return Err(StoreError::Closed);
        }
        self.shared.count_puts(1);
        Ok(Box::new(ObjectWriter::begin(self.shared.clone(), head).await?))
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, StoreError> {
        self.shared.gets.fetch_add(1, Ordering::Relaxed);
        let Some(location) = self.shared.locate(id)? else { return Ok(None) };
        Ok(Some(Box::new(ObjectReader::open(self.shared.clone(), id, location).await?)))
    }

    fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let (objects, payload_bytes) = {
            let index = shared.lock_index();
            (index.len() as u64, index.payload_bytes())
        };
        StoreStats {
            objects,
            payload_bytes,
            segments: shared.segments.load(Ordering::Relaxed),
            disk_bytes: shared.disk_bytes.load(Ordering::Relaxed),
            syncs: shared.syncs.load(Ordering::Relaxed),
            bytes_written: shared.bytes_written.load(Ordering::Relaxed),
            puts: shared.puts.load(Ordering::Relaxed),
            gets: shared.gets.load(Ordering::Relaxed),
            failed: shared.failed.lock().expect("nothing panics while it fails").clone(),
        }
    }

    async fn close(&self) {
        drop(self.queue.lock().expect("nothing panics while it holds the queue").take());
        let running = self.running.lock().expect("nothing panics while it closes").take();
        let Some((committer, lock)) = running else { return };
        if let Err(error) = committer.await {
            tracing::error!(%error, "the committer did not end well");
        }
        self.shared.remove_abandoned().await;
        drop(lock);
    }
}
