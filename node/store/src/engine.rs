//! The store over segment files: what callers see, put together from its parts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gitstratum_core::job::JobOrder;
use gitstratum_core::limits;
use gitstratum_core::metrics::{self, Registry};
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::replica::{
    Deleted, Found, LargeReader, LargeWriter, Standing, StoreError, Stored,
};
use gitstratum_host::{Disk, dedicated, unix_time_ms};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{OpenError, io_error};
use crate::files::identity;
use crate::files::names::{DIR, LARGE_DIR};
use crate::large::object::{ObjectReader, ObjectWriter, SmallReader, SmallWriter};
use crate::open::ledgers::{keep_ledgers, review_damage};
use crate::open::load::load_directories;
use crate::open::recover::{Recovered, opened_elsewhere, recover};
use crate::options::StoreOptions;
use crate::read::inventory::{Inventory, inventory, standing};
use crate::read::lookup::{ObjectLocation, locate, read_record, which_held};
use crate::state::quarantine::Unidentified;
use crate::state::scrub::memory::Memory;
use crate::state::scrub::numbers::ScrubNumbers;
use crate::state::shared::{self, Shared};
use crate::upkeep::compact::{CompactOptions, Compacted, compact};
use crate::upkeep::maintain::Maintenance;
use crate::upkeep::scrub::{Scrubbed, scrub, scrub_numbers};
use crate::upkeep::snapshot::{Snapshot, snapshot};
use crate::write::commit;
use crate::write::delete::delete;
use crate::write::put::put;
use crate::write::seal::write_missing_indexes;
use crate::{Condition, Store, StoreStats, upkeep};

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
    /// # Errors
    /// [`OpenError`]; a disk that is not this node's, or in use, is left as it was.
    pub async fn open(disk: Disk, options: StoreOptions) -> Result<Arc<Self>, OpenError> {
        opened_elsewhere("open the store", dedicated(Self::open_here(disk, options)).await)?
    }

    /// Opens it on a thread of its own, and begins to work.
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
        let (queue, requests) = mpsc::unbounded_channel();
        let scrubs = Memory::load(&here, unix_time_ms()).await;
        let Recovered { view, next_segment, damaged, missing, ledgers, had_manifest } = recovered;
        let initial = shared::InitialState { view, next_segment, ledgers, scrubs };
        let shared = Arc::new(Shared::new(disk, options, initial, queue));
        match here.room().await {
            Ok(room) => {
                shared.health.note_room(room);
                if room.read_only {
                    shared.health.fail("the file system is read-only".to_owned());
                }
            }
            Err(error) => tracing::warn!(%error, "cannot tell how much room the disk has"),
        }
        for (segment, contents) in &damaged {
            shared.damage.note_scanned(*segment, contents);
        }
        shared.damage.note_missing(missing);
        // Of these a failure is logged. What has no index on the disk then has one in memory.
        let _ = shared.damage.keep().await;
        let _ = write_missing_indexes(&shared).await;
        review_damage(&shared).await;
        if let Err(error) = keep_ledgers(&shared, had_manifest).await {
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
            tokio::spawn(committing.large_puts.clone().run());
            commit::run(committing, requests, lock).await;
        });
        Ok(Arc::new(SegmentStore { shared, running: Mutex::new(Some(committer)) }))
    }

    /// Ends the segment that puts are appended to, and waits until its index is written.
    ///
    /// # Errors
    /// As a put.
    pub async fn seal(&self) -> Result<(), StoreError> {
        self.shared.queue.seal().await
    }

    /// Writes segments again of which too much is garbage. One compaction, scrub or
    /// snapshot runs at a time. Dropping the future between two segments, or within one,
    /// leaves the store as it was.
    ///
    /// # Errors
    /// As a put; what was done until then stays done. What the disk does not read, or has no
    /// room for, keeps it from no other segment, and is the error at the end.
    pub async fn compact(&self, options: CompactOptions) -> Result<Compacted, StoreError> {
        compact(&self.shared, options).await
    }

    /// Reads everything once, from where an interrupted scrub stopped, at most so many bytes
    /// in a second. Dropping the future stops it; the next one goes on there.
    ///
    /// # Errors
    /// When the disk fails in another way than by damaged data, or the store is closed.
    pub async fn scrub(&self, bytes_per_second: Option<u64>) -> Result<Scrubbed, StoreError> {
        scrub(&self.shared, bytes_per_second).await
    }

    /// Has scrub start, pause, or give up what it is at, as far as this store is maintained
    /// (see [`maintain()`]). A pause keeps the place, and a scrub that is cancelled forgets it:
    /// the next begins an interval later.
    pub fn order_scrub(&self, order: JobOrder) {
        self.shared.scrubs.give(order);
    }

    /// How far scrub is, and when the next is due.
    pub fn scrub_numbers(&self) -> ScrubNumbers {
        scrub_numbers(&self.shared)
    }

    /// The ids at positions `first` to `last`. Copies what is in memory of them, a quarter of
    /// a million ids at most for each segment that is not sealed.
    pub async fn inventory(&self, first: u64, last: u64) -> Inventory {
        inventory(&self.shared, first, last).await
    }

    /// How this store stands to each of these objects, in order.
    ///
    /// # Errors
    /// [`StoreError::Io`] when an index can neither be read nor be made again.
    pub async fn standing(&self, ids: &[ObjectId]) -> Result<Vec<Standing>, StoreError> {
        standing(&self.shared, ids).await
    }

    /// The records that nobody knows any more. While there are any, the store calls what it does
    /// not find damaged, not absent.
    pub fn unidentified(&self) -> Unidentified {
        self.shared.damage.unidentified()
    }

    /// Calls absent what is not found, in spite of these: whatever they held is here again, or
    /// nowhere. Does nothing when more of them were met since.
    ///
    /// # Errors
    /// When the list of damage cannot be written; they are still on it then.
    pub async fn make_up_for(&self, known: &Unidentified) -> Result<(), StoreError> {
        self.shared.damage.make_up_for(known).await
    }

    /// What it holds.
    pub fn stats(&self) -> StoreStats {
        self.shared.stats()
    }

    /// What is wrong with it.
    pub fn condition(&self) -> Condition {
        self.shared.condition()
    }

    /// Registers what it counts, and what it holds.
    pub fn register(&self, registry: &mut Registry) {
        let shared = self.shared.clone();
        metrics::register(registry, StoreStats::readings(), move || shared.stats());
        let shared = self.shared.clone();
        ScrubNumbers::register(registry, move || scrub_numbers(&shared));
        self.shared.health.register(registry);
        self.shared.counters.register(registry);
    }

    /// Looks how much room there is before [`SegmentStore::condition`] is asked, or gives it up
    /// soon.
    pub async fn look_at_room(&self) {
        // What is not known now is known from the last time.
        let _ = tokio::time::timeout(limits::ROOM_LOOK_TIMEOUT, self.shared.health.look_at_room())
            .await;
    }
}

/// Looks now and then how much room there is, so that what is said of puts is true while nobody
/// puts, until the store is closed.
pub async fn watch_room(store: Arc<SegmentStore>) {
    upkeep::maintain::watch_room(&store.shared).await;
}

/// Maintains a store until it is closed.
pub async fn maintain(store: Arc<SegmentStore>, how: Maintenance) {
    upkeep::maintain::maintain(&store.shared, how).await;
}

#[async_trait]
impl Store for SegmentStore {
    async fn put(&self, objects: Vec<Object>) -> Vec<Result<Stored, StoreError>> {
        put(&self.shared, objects).await
    }

    async fn get(&self, id: ObjectId) -> Result<Found, StoreError> {
        self.shared.counters.gets.inc();
        match locate(&self.shared, &id).await? {
            None => Ok(Found::Absent),
            Some(ObjectLocation::Record(location)) => {
                Ok(Found::Object(read_record(&self.shared, id, &location).await?))
            }
            Some(ObjectLocation::Large) => {
                Ok(Found::Large(ObjectReader::open(self.shared.clone(), id).await?.head()))
            }
        }
    }

    async fn has(&self, ids: &[ObjectId]) -> Result<Vec<bool>, StoreError> {
        which_held(&self.shared, ids).await.into_iter().collect()
    }

    async fn put_large(&self, head: ObjectHead) -> Result<Box<dyn LargeWriter>, StoreError> {
        if self.shared.naming.is_closed() {
            return Err(StoreError::Closed);
        }
        self.shared.counters.puts.inc();
        if head.size_bytes <= limits::OBJECT_BYTES_WHOLE_MAX as u64 {
            return Ok(Box::new(SmallWriter::begin(self.shared.clone(), head)?));
        }
        Ok(Box::new(ObjectWriter::begin(self.shared.clone(), head).await?))
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, StoreError> {
        self.shared.counters.gets.inc();
        Ok(match locate(&self.shared, &id).await? {
            None => None,
            Some(ObjectLocation::Record(location)) => {
                let object = read_record(&self.shared, id, &location).await?;
                Some(Box::new(SmallReader::new(object)))
            }
            Some(ObjectLocation::Large) => {
                Some(Box::new(ObjectReader::open(self.shared.clone(), id).await?))
            }
        })
    }

    async fn delete(&self, ids: &[ObjectId]) -> Result<Deleted, StoreError> {
        delete(&self.shared, ids).await
    }

    async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError> {
        snapshot(&self.shared, name).await
    }

    async fn close(&self) {
        self.shared.queue.close();
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
        self.shared.queue.close();
    }
}
