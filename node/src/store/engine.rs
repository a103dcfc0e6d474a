//! The store over segment files: what callers see, put together from its parts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gitstratum_host::Disk;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::commit::{self, Queued};
use super::identity;
use super::large::{ObjectReader, ObjectWriter};
use super::record::{RECORD_HEADER_BYTES, RECORD_TRAILER_BYTES, parse_record_header};
use super::recover::{Recovered, recover};
use super::segment;
use super::shared::{Shared, read_failed};
use super::{
    Found, LargeReader, LargeWriter, OpenError, Store, StoreError, StoreStats, Stored, io_error,
};
use crate::limits;
use crate::object::{Object, ObjectHead, ObjectId};
use crate::placement::NodeId;

/// Hashing yields to other tasks after this many bytes.
const HASHED_BYTES_BEFORE_YIELD: usize = 256 << 10;

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

/// The store of one node, in append-only segment files.
pub struct SegmentStore {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::UnboundedSender<Queued>>>,
    /// Taken by whoever closes the store.
    running: Mutex<Option<JoinHandle<()>>>,
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
        let Recovered { index, active, next_number, segments, disk_bytes } = recovered;
        let shared = Shared::new(disk, options.fsync, options.segment_bytes_max, index);
        let shared = Arc::new(shared.recovered(next_number, segments, disk_bytes));
        // Bounded in bytes by `enqueue`.
        let (queue, queued) = mpsc::unbounded_channel();
        let committer = tokio::spawn(commit::run(shared.clone(), queued, active, lock));
        Ok(Arc::new(SegmentStore {
            shared,
            queue: Mutex::new(Some(queue)),
            running: Mutex::new(Some(committer)),
        }))
    }

    fn enqueue(
        &self,
        objects: Vec<Object>,
    ) -> Result<oneshot::Receiver<Vec<Result<Stored, StoreError>>>, StoreError> {
        self.shared.check_writable()?;
        let overhead = RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;
        let bytes = objects.iter().map(|object| object.data().len() + overhead).sum();
        self.shared.claim_queue(bytes)?;
        let refused = |error| {
            self.shared.release_queue(bytes);
            Err(error)
        };
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
        let durability = shared.durability();
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
        self.shared.count_get();
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
        if !whole
            || parse_record_header(&record, location.segment, location.offset)
                != Some(location.head(id))
        {
            return Err(self.shared.damaged(id, &location, format!("its record header in {path}")));
        }
        let data = record.slice(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + size);
        if record[RECORD_HEADER_BYTES + size..] != crc32c::crc32c(&data).to_le_bytes() {
            return Err(self.shared.damaged(
                id,
                &location,
                format!("the checksum of its data in {path}"),
            ));
        }
        let object = Object::claimed(id, location.kind, data);
        // The checksum finds what a disk does; the hash also what this program did wrong.
        object.verify().map_err(|error| self.shared.damaged(id, &location, error.to_string()))?;
        Ok(Found::Object(object))
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
        self.shared.count_get();
        let Some(location) = self.shared.locate(id)? else { return Ok(None) };
        Ok(Some(Box::new(ObjectReader::open(self.shared.clone(), id, location).await?)))
    }

    fn stats(&self) -> StoreStats {
        self.shared.stats()
    }

    async fn close(&self) {
        drop(self.queue.lock().expect("nothing panics while it holds the queue").take());
        let running = self.running.lock().expect("nothing panics while it closes").take();
        let Some(committer) = running else { return };
        if let Err(error) = committer.await {
            tracing::error!(%error, "the committer did not end well");
        }
    }
}
