//! What the parts of one store share: the view, counters, and whether writing goes on.
//!
//! Invariant: no lock here is held across an await.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use gitstratum_core::limits;
use gitstratum_core::replica::{Durability, StoreError, Stored};
use gitstratum_core::seldom::Seldom;
use gitstratum_host::disk::{Room, is_exhausted};
use gitstratum_host::{Disk, processors};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use crate::StoreStats;
use crate::codec::draft::Draft;
use crate::codec::pack::{Packer, Packers, Unpacker};
use crate::codec::spare::Lent;
use crate::error::is_full;
use crate::format::large::large_size_of;
use crate::manifest::Reach;
use crate::options::{Fsync, StoreOptions};
use crate::state::intake::{Intake, Lack, no_room};
use crate::state::large_names::LargeNames;
use crate::state::leftovers::Leftovers;
use crate::state::manifest::Kept;
use crate::state::order::{Order, Queued};
use crate::state::scrub::orders::Scrubs;
use crate::state::view::{Seen, View};

/// What is known of what a store should hold, apart from the view.
pub(crate) struct Ledgers {
    pub(crate) manifest: Kept,
    pub(crate) large_names: LargeNames,
    /// How often the list of damage was written.
    pub(crate) list_sequence: u64,
}

/// What the parts of a store share.
pub(crate) struct Shared {
    pub(crate) disk: Disk,
    pub(crate) options: StoreOptions,
    view: Mutex<View>,
    /// Why nothing is written any more.
    failed: Mutex<Option<String>>,
    /// Whether there is room for puts.
    intake: Intake,
    /// To the committer, until the store is closed. Bounded in bytes by `claim_queue`.
    pub(crate) queue: Mutex<Option<mpsc::UnboundedSender<Order>>>,
    queued_bytes: AtomicUsize,
    pub(crate) next_segment: AtomicU32,
    /// Tells files of one object apart that are written at once.
    next_large: AtomicU64,
    pub(crate) large_writers: Arc<Semaphore>,
    /// Held while a file gets or loses its name; closed with the store.
    pub(crate) naming: Semaphore,
    /// One index is made again at a time.
    pub(crate) rebuilding: tokio::sync::Mutex<()>,
    /// One compaction, snapshot or scrub at a time.
    pub(crate) maintenance: tokio::sync::Mutex<()>,
    /// The manifest that was written last; held while another is written.
    pub(crate) manifest: tokio::sync::Mutex<Kept>,
    /// The journal of the names of large objects; held while it is written.
    pub(crate) large_names: tokio::sync::Mutex<LargeNames>,
    /// How far that reaches.
    pub(crate) large_reach: Mutex<Reach>,
    /// How often the list of what is damaged was written.
    pub(crate) list_sequence: AtomicU64,
    /// Whether the list of what is damaged says more than its file.
    pub(crate) bad_unsaved: AtomicBool,
    /// Held while the list of what is damaged is written.
    pub(crate) noting: tokio::sync::Mutex<()>,
    /// How far scrub is, and what it was told.
    pub(crate) scrubs: Scrubs,
    /// A large put has one while it prepares its records: there are as many as processors, but
    /// for the one that the committer needs.
    pub(crate) preparing: LazyLock<Semaphore>,
    /// What puts pack objects with.
    packers: Packers,
    /// What gets and scrubs unpack them with.
    pub(crate) unpacker: Unpacker,
    /// Files of large puts that are not complete.
    pub(crate) leftovers: Arc<Leftovers>,
    /// Refusals that are logged once in a while.
    refusals: Seldom,
    syncs: AtomicU64,
    bytes_written: AtomicU64,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        disk: Disk,
        options: StoreOptions,
        view: View,
        next_segment: u32,
        queue: mpsc::UnboundedSender<Order>,
        scrubs: Scrubs,
        ledgers: Ledgers,
    ) -> Self {
        let Ledgers { manifest, large_names, list_sequence } = ledgers;
        let packers = Packers::new(options.compression);
        Shared {
            leftovers: Leftovers::new(disk.clone()),
            refusals: Seldom::default(),
            disk,
            options,
            view: Mutex::new(view),
            failed: Mutex::default(),
            intake: Intake::default(),
            queue: Mutex::new(Some(queue)),
            queued_bytes: AtomicUsize::default(),
            next_segment: AtomicU32::new(next_segment),
            next_large: AtomicU64::default(),
            large_writers: Arc::new(Semaphore::new(limits::STORE_LARGE_WRITERS_MAX)),
            naming: Semaphore::new(1),
            rebuilding: tokio::sync::Mutex::default(),
            maintenance: tokio::sync::Mutex::default(),
            manifest: tokio::sync::Mutex::new(manifest),
            large_reach: Mutex::new(large_names.reach()),
            large_names: tokio::sync::Mutex::new(large_names),
            list_sequence: AtomicU64::new(list_sequence),
            bad_unsaved: AtomicBool::default(),
            noting: tokio::sync::Mutex::default(),
            scrubs,
            // Not before it is needed: to learn of the processors takes a fifth of the time
            // that it takes to open a store.
            preparing: LazyLock::new(|| Semaphore::new(processors().saturating_sub(1).max(1))),
            packers,
            unpacker: Unpacker::default(),
            syncs: AtomicU64::default(),
            bytes_written: AtomicU64::default(),
            puts: AtomicU64::default(),
            gets: AtomicU64::default(),
        }
    }

    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("nothing panics while it holds the view")
    }

    /// What objects are packed with, if new ones are to be.
    pub(crate) fn packer(&self) -> Option<Lent<'_, Packer>> {
        self.packers.lend()
    }

    /// Waits for the turn of a put of so many bytes to prepare its records, if that takes long.
    ///
    /// Large puts that share the processors are all ready at the same late moment, and the disk
    /// waits for them and then they for the disk. One after another they keep both busy.
    pub(crate) async fn turn_to_prepare(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        match bytes > limits::PREPARED_BYTES_BEFORE_YIELD {
            true => Some(self.preparing.acquire().await.expect("nobody closes it")),
            false => None,
        }
    }

    pub(crate) fn next_segment(&self) -> u32 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_large(&self) -> u64 {
        self.next_large.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        match &*self.failed.lock().expect("nothing panics while it fails") {
            Some(reason) => Err(StoreError::Failed { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Ends all writing. The first reason stays.
    pub(crate) fn fail(&self, reason: String) -> StoreError {
        let mut failed = self.failed.lock().expect("nothing panics while it fails");
        let reason = failed.get_or_insert_with(|| {
            tracing::error!(reason, "the store takes no more writes until it is restarted");
            reason
        });
        StoreError::Failed { reason: reason.clone() }
    }

    /// What a failed write means: a full disk is waited out, and so are descriptors that were
    /// wanting, because then nothing was written; anything else ends all writing.
    pub(crate) fn write_failed(&self, path: &str, error: &std::io::Error) -> StoreError {
        if is_exhausted(error) {
            return self.overloaded(error.to_string());
        }
        match is_full(error) {
            true => {
                let quota = error.kind() == std::io::ErrorKind::QuotaExceeded;
                let lack = if quota { Lack::Quota } else { Lack::Room };
                self.intake.refused(Instant::now(), lack, format!("write {path}: {error}"), 0);
                StoreError::DiskFull
            }
            false => self.fail(format!("write {path}: {error}")),
        }
    }

    /// A refusal for want of something that will be there again; it is logged once in a while.
    pub(crate) fn overloaded(&self, reason: String) -> StoreError {
        if let Some(count) = self.refusals.count() {
            tracing::warn!(count, reason, "the store is overloaded and refuses puts for now");
        }
        StoreError::Overloaded { reason }
    }

    /// Asks how much room there is, and notes what that means for puts.
    pub(crate) async fn look_at_room(&self) -> std::io::Result<Room> {
        let room = self.disk.room().await?;
        self.note_room(room);
        Ok(room)
    }

    /// Notes what this room means for puts.
    pub(crate) fn note_room(&self, room: Room) {
        self.intake.looked(Instant::now(), room, self.options.reserve_bytes);
    }

    /// How many bytes there are above the reserve, for a put that needs so many now and so many
    /// in all; as much as can be where nothing is reserved, or nobody can tell.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] when there are not as many.
    pub(crate) async fn room_for(&self, bytes: u64, needed_bytes: u64) -> Result<u64, StoreError> {
        let reserve = self.options.reserve_bytes;
        if reserve == 0 {
            return Ok(u64::MAX);
        }
        let room = match self.look_at_room().await {
            Ok(room) => room.bytes,
            Err(error) => {
                tracing::warn!(%error, "cannot tell how much room the disk has");
                return Ok(u64::MAX);
            }
        };
        let above = room.saturating_sub(reserve);
        if above < bytes {
            let reason = no_room(room, reserve);
            self.intake.refused(Instant::now(), Lack::Room, reason, needed_bytes);
            return Err(StoreError::DiskFull);
        }
        Ok(above)
    }

    /// Takes room in the queue for a put of so many bytes. One put may pass the bound alone,
    /// or a large batch could never be stored.
    pub(crate) fn claim_queue(&self, bytes: usize) -> Result<(), StoreError> {
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > limits::STORE_QUEUE_BYTES_MAX {
            self.release_queue(bytes);
            return Err(self.overloaded(format!("{before} bytes wait to be written")));
        }
        Ok(())
    }

    pub(crate) fn release_queue(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives the committer an order; `Closed` when the store is.
    pub(crate) fn order(&self, order: Order) -> Result<(), StoreError> {
        let queue = self.queue.lock().expect("nothing panics while it holds the queue");
        let Some(queue) = &*queue else { return Err(StoreError::Closed) };
        queue.send(order).map_err(|_| self.fail("the committer ended".into()))
    }

    /// Has the committer store these, of which nothing new was known when so much had been
    /// seen; one answer each, in order.
    pub(crate) async fn write(
        &self,
        drafts: Vec<Draft>,
        seen: Seen,
    ) -> Vec<Result<Stored, StoreError>> {
        let count = drafts.len();
        let all = |error| vec![Err(error); count];
        if let Err(error) = self.check_writable() {
            return all(error);
        }
        let bytes = drafts.iter().map(|draft| draft.len() as usize).sum();
        if let Err(error) = self.claim_queue(bytes) {
            return all(error);
        }
        let (answer, answered) = oneshot::channel();
        if let Err(error) = self.order(Order::Write(Queued { drafts, bytes, seen, answer })) {
            self.release_queue(bytes);
            return all(error);
        }
        answered.await.unwrap_or_else(|_| all(StoreError::Closed))
    }

    pub(crate) fn count_write(&self, bytes: u64, syncs: u64) {
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        self.syncs.fetch_add(syncs, Ordering::Relaxed);
        if bytes > 0 {
            self.intake.wrote(Instant::now());
        }
    }

    pub(crate) fn count_puts(&self, objects: u64) {
        self.puts.fetch_add(objects, Ordering::Relaxed);
    }

    pub(crate) fn count_get(&self) {
        self.gets.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> StoreStats {
        let view = self.view();
        let live = view.live();
        let damaged = view.bad.values().filter(|bad| !bad.healed).count();
        let damaged = (damaged + view.doubtful_files()) as u64;
        let lost = view.lost.iter().take(limits::LOST_FILES_NAMED_MAX);
        let lost = lost.map(|(path, lost)| format!("{path}: {lost}")).collect();
        let (large, large_bytes) = (view.large.len() as u64, view.large.values().sum::<u64>());
        let large_payload: u64 = view.large.values().map(|len| large_size_of(*len)).sum();
        // What damaged accounts say is anything, and ends no process.
        let garbage =
            view.garbage().iter().map(|(_, dead)| dead.bytes).fold(0, u64::saturating_add);
        let unsealed = view.active.iter().chain(view.frozen.iter().map(|frozen| &**frozen));
        let (mut segments, mut disk_bytes, mut index_memory_bytes) = (0, 0, 0);
        unsealed.for_each(|segment| {
            segments += 1;
            disk_bytes += segment.file_len;
        });
        for sealed in view.sealed.iter() {
            segments += 1;
            disk_bytes += sealed.disk_bytes();
            index_memory_bytes += sealed.memory_bytes() as u64;
        }
        drop(view);
        StoreStats {
            objects: live.records.saturating_add(large),
            payload_bytes: live.payload.saturating_add(large_payload),
            segments,
            large_objects: large,
            damaged_objects: damaged,
            lost,
            garbage_bytes: garbage,
            disk_bytes: disk_bytes + large_bytes,
            index_memory_bytes,
            syncs: self.syncs.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            puts: self.puts.load(Ordering::Relaxed),
            gets: self.gets.load(Ordering::Relaxed),
            failed: self.failed.lock().expect("nothing panics while it fails").clone(),
            puts_refused: self.intake.state(Instant::now()),
        }
    }

    /// What an acknowledgement says in this configuration.
    pub(crate) fn durability(&self) -> Durability {
        match self.options.fsync {
            Fsync::Always => Durability::Synced,
            Fsync::Every(_) => Durability::Periodic,
            Fsync::Never => Durability::Buffered,
        }
    }

    /// Keeps how far scrub has come, unless the directory may be another process's by now.
    pub(crate) async fn save_scrubs(&self) {
        if !self.naming.is_closed() {
            self.scrubs.save(&self.disk).await;
        }
    }

    /// Has the committer end the segment that puts are appended to, and waits until its index is
    /// written.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn seal(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Seal(answer))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}
