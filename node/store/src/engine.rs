//! The store over segment files: what callers see, put together from its parts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::replica::{Deleted, Found, LargeReader, LargeWriter, StoreError, Stored};
use gitstratum_host::{Disk, dedicated};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::codec::draft::Draft;
use crate::files::identity;
use crate::files::names::{DIR, LARGE_DIR};
use crate::large::object::{ObjectReader, ObjectWriter, SmallReader, SmallWriter};
use crate::open::load::load_directories;
use crate::open::recover::{opened_elsewhere, recover};
use crate::read::lookup::Held;
use crate::state::order::Order;
use crate::state::scrub::orders::Scrubs;
use crate::state::shared::Shared;
use crate::write::commit;
use crate::write::seal::write_missing_indexes;
use crate::{OpenError, Snapshot, Store, StoreOptions, StoreStats, io_error};

/// The store of one node, in append-only segment files.
pub struct SegmentStore {
    pub(crate) shared: Arc<Shared>,
    /// Taken by whoever closes the store.
    running: Mutex<Option<JoinHandle<()>>>,
}

impl SegmentStore {
    /// Opens the store in the disk's root, making it if the disk is empty. An opening whose
    /// future is dropped is still finished, and closed.
    ///
    /// The short steps of looking at what a store left that was closed are done on the calling
    /// thread; what takes longer is not.
    ///
    /// # Errors
    /// [`OpenError`]; a disk that is not this node's, or in use, is left as it was.
    pub async fn open(disk: Disk, options: StoreOptions) -> Result<Arc<Self>, OpenError> {
        let mut opening = Box::pin(Self::open_here(disk, options));
        // To wait until another thread begins would take as long as all of a short opening.
        match (&mut opening).now_or_never() {
            Some(opened) => opened,
            None => opened_elsewhere("open the store", dedicated(opening).await)?,
        }
    }

    /// Opens it on the thread that polls, and begins to work.
    async fn open_here(disk: Disk, options: StoreOptions) -> Result<Arc<Self>, OpenError> {
        let here = disk.clone().in_place();
        let lock = identity::claim(&here, &options.node_id).await?;
        // The last that is made: where it is, and a directory is not, that is missing.
        if !here.exists(LARGE_DIR).await.map_err(io_error("look for", LARGE_DIR))? {
            for dir in [DIR, LARGE_DIR] {
                here.create_dir_all(dir).await.map_err(io_error("make", dir))?;
            }
        }
        let recovered = recover(&here).await?;
        let (queue, orders) = mpsc::unbounded_channel();
        let (view, next) = (recovered.view, recovered.next_segment);
        let scrubs = Scrubs::open(&here).await;
        let ledgers = recovered.ledgers;
        let shared = Arc::new(Shared::new(disk, options, view, next, queue, scrubs, ledgers));
        match here.room().await {
            Ok(room) => {
                shared.note_room(room);
                if room.read_only {
                    shared.fail("the file system is read-only".to_owned());
                }
            }
            Err(error) => tracing::warn!(%error, "cannot tell how much room the disk has"),
        }
        for (segment, contents) in &recovered.damaged {
            shared.note_scanned(*segment, contents);
        }
        shared.note_missing(recovered.missing);
        // Of these a failure is logged. What has no index on the disk then has one in memory.
        let _ = shared.keep_noted().await;
        let _ = write_missing_indexes(&shared).await;
        shared.review_bad().await;
        if let Err(error) = shared.keep_ledgers(recovered.had_manifest).await {
            tracing::warn!(%error, "what the store should hold could not be written down");
        }
        let stats = shared.stats();
        tracing::info!(
            objects = stats.objects,
            segments = stats.segments,
            bytes = stats.disk_bytes,
            damaged = stats.damaged_objects,
            "store opened"
        );
        let committing = shared.clone();
        // Now, and not when the runtime comes to it: gets that find all in the page cache give
        // it no turn, and until filters are read they ask every index.
        let committer = dedicated(async move {
            dedicated(load_directories(committing.clone()));
            tokio::spawn(committing.leftovers.clone().run());
            commit::run(committing, orders, lock).await;
        });
        Ok(Arc::new(SegmentStore { shared, running: Mutex::new(Some(committer)) }))
    }

    /// Ends the segment that puts are appended to, and waits until its index is written.
    ///
    /// # Errors
    /// As a put.
    pub async fn seal(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.shared.order(Order::Seal(answer))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// An object of a put that can be stored: small enough, and what its id stands for.
fn admit(object: Object) -> Result<Object, StoreError> {
    let (size_bytes, limit_bytes) = (object.size_bytes(), limits::OBJECT_BYTES_WHOLE_MAX as u64);
    if size_bytes > limit_bytes {
        return Err(StoreError::TooLarge { size_bytes, limit_bytes });
    }
    Ok(object.verified()?)
}

#[async_trait]
impl Store for SegmentStore {
    async fn put(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>> {
        self.shared.count_puts(objects.len() as u64);
        let ids: Vec<_> = objects.iter().map(Object::id).collect();
        let seen = self.shared.view().seen();
        let held = self.shared.which_held(&ids).await;
        let bytes: usize = objects.iter().map(|object| object.data().len()).sum();
        let turn = self.shared.turn_to_prepare(bytes).await;
        let mut answers = Vec::with_capacity(objects.len());
        let mut to_write = Vec::with_capacity(objects.len());
        let mut packer = self.shared.packer();
        let mut worked = 0;
        for (object, held) in objects.into_iter().zip(held) {
            worked += object.data().len();
            if worked >= limits::PREPARED_BYTES_BEFORE_YIELD {
                worked = 0;
                tokio::task::yield_now().await;
            }
            // Even when it is there: a put of other bytes under a known id is an error.
            let admitted = admit(object).and_then(|object| Ok((object, held?)));
            answers.push(match admitted {
                Err(error) => Some(Err(error)),
                Ok((object, true)) => {
                    let (bytes, durability) = (object.size_bytes(), self.shared.durability());
                    Some(Ok(Stored { bytes, durability, already_present: true }))
                }
                Ok((object, false)) => {
                    to_write.push(Draft::of_object(object, packer.as_deref_mut()));
                    None
                }
            });
        }
        drop(packer);
        drop(turn);
        let mut written = match to_write.is_empty() {
            true => Vec::new(),
            false => self.shared.write(to_write, seen).await,
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
        match self.shared.locate(&id).await? {
            None => Ok(Found::Absent),
            Some(Held::Record(location)) => {
                Ok(Found::Object(self.shared.read_record(id, &location).await?))
            }
            Some(Held::Large) => {
                Ok(Found::Large(ObjectReader::open(self.shared.clone(), id).await?.head()))
            }
        }
    }

    async fn has(&self, ids: &[ObjectId]) -> Result<Vec<bool>, StoreError> {
        self.shared.which_held(ids).await.into_iter().collect()
    }

    async fn put_large(&self, head: ObjectHead) -> Result<Box<dyn LargeWriter>, StoreError> {
        if self.shared.naming.is_closed() {
            return Err(StoreError::Closed);
        }
        self.shared.count_puts(1);
        if head.size_bytes <= limits::OBJECT_BYTES_WHOLE_MAX as u64 {
            return Ok(Box::new(SmallWriter::begin(self.shared.clone(), head)?));
        }
        Ok(Box::new(ObjectWriter::begin(self.shared.clone(), head).await?))
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, StoreError> {
        self.shared.count_get();
        Ok(match self.shared.locate(&id).await? {
            None => None,
            Some(Held::Record(location)) => {
                let object = self.shared.read_record(id, &location).await?;
                Some(Box::new(SmallReader::new(object)))
            }
            Some(Held::Large) => Some(Box::new(ObjectReader::open(self.shared.clone(), id).await?)),
        })
    }

    async fn delete(&self, ids: &[ObjectId]) -> Result<Deleted, StoreError> {
        crate::write::delete::delete(&self.shared, ids).await
    }

    async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError> {
        self.make_snapshot(name).await
    }

    fn stats(&self) -> StoreStats {
        self.shared.stats()
    }

    async fn close(&self) {
        drop(self.shared.queue.lock().expect("nothing panics while it holds the queue").take());
        let running = self.running.lock().expect("nothing panics while it closes").take();
        let Some(committer) = running else { return };
        if let Err(error) = committer.await {
            tracing::error!(%error, "the committer did not end well");
        }
    }
}

impl Drop for SegmentStore {
    fn drop(&mut self) {
        // Tasks may still hold what is shared; the committer ends all the same.
        if let Ok(mut queue) = self.shared.queue.lock() {
            queue.take();
        }
    }
}
