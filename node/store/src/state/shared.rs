//! Shared state: the values that the parts of one store share, each with its own lock or none.
//!
//! Invariant: no lock of a value that is not asynchronous is held across an await.

use std::sync::{Arc, MutexGuard};

use gitstratum_core::limits;
use gitstratum_host::Disk;
use tokio::sync::{Mutex, mpsc};

use super::counters::Counters;
use super::health::Health;
use super::large_names::{Journal, LargeNames};
use super::large_puts::LargePuts;
use super::manifest::{Kept, ManifestKeeper};
use super::naming::Naming;
use super::quarantine::DamageList;
use super::queue::{Request, WriteQueue};
use super::scrub::memory::Memory;
use super::scrub::orders::Scrubs;
use super::view::{CurrentView, View};
use crate::codec::Codecs;
use crate::format::large::large_size_of;
use crate::options::{Fsync, StoreOptions};
use crate::{Condition, StoreStats};

/// What is known of what a store should hold, apart from the view.
pub(crate) struct Ledgers {
    pub(crate) manifest: Kept,
    pub(crate) large_names: Journal,
    /// How often the list of damage was written.
    pub(crate) list_sequence: u64,
}

/// What opening found, for a store to go on with.
pub(crate) struct InitialState {
    pub(crate) view: View,
    pub(crate) next_segment: u32,
    pub(crate) ledgers: Ledgers,
    /// What is remembered of scrubs.
    pub(crate) scrubs: Memory,
}

/// What the parts of a store share.
pub(crate) struct Shared {
    pub(crate) disk: Disk,
    pub(crate) options: StoreOptions,
    current: Arc<CurrentView>,
    pub(crate) health: Arc<Health>,
    pub(crate) counters: Counters,
    /// What encodes objects and decodes them.
    pub(crate) codecs: Codecs,
    /// To the committer.
    pub(crate) queue: WriteQueue,
    pub(crate) naming: Arc<Naming>,
    pub(crate) damage: Arc<DamageList>,
    pub(crate) large_names: Arc<LargeNames>,
    pub(crate) manifest: ManifestKeeper,
    pub(crate) large_puts: Arc<LargePuts>,
    pub(crate) scrubs: Scrubs,
    /// One index is made again at a time.
    pub(crate) rebuilding: Mutex<()>,
    /// One compaction, snapshot or scrub at a time.
    pub(crate) maintenance: Mutex<()>,
}

impl Shared {
    /// Goes on with what opening found; the committer has the other end of the queue.
    pub(crate) fn new(
        disk: Disk,
        options: StoreOptions,
        initial: InitialState,
        requests: mpsc::UnboundedSender<Request>,
    ) -> Self {
        let InitialState { view, next_segment, ledgers, scrubs } = initial;
        let current = Arc::new(CurrentView::new(view));
        let naming = Arc::new(Naming::default());
        let health = Arc::new(Health::new(disk.clone(), options.reserve_bytes));
        let damage = Arc::new(DamageList::new(
            disk.clone(),
            current.clone(),
            naming.clone(),
            health.clone(),
            ledgers.list_sequence,
        ));
        let large_names = Arc::new(LargeNames::new(
            disk.clone(),
            current.clone(),
            health.clone(),
            ledgers.large_names,
        ));
        let manifest = ManifestKeeper::new(
            disk.clone(),
            current.clone(),
            naming.clone(),
            health.clone(),
            damage.clone(),
            large_names.clone(),
            options.fsync == Fsync::Always,
            next_segment,
            ledgers.manifest,
        );
        Shared {
            counters: Counters::default(),
            codecs: Codecs::new(options.compression),
            queue: WriteQueue::new(requests, health.clone()),
            large_puts: Arc::new(LargePuts::new(disk.clone())),
            scrubs: Scrubs::new(disk.clone(), naming.clone(), scrubs),
            rebuilding: Mutex::default(),
            maintenance: Mutex::default(),
            disk,
            options,
            current,
            health,
            naming,
            damage,
            large_names,
            manifest,
        }
    }

    /// Where every object is now; a lock that is not held across an await.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.current.lock()
    }

    /// What it holds.
    pub(crate) fn stats(&self) -> StoreStats {
        let view = self.view();
        let live = view.live();
        let damaged = view.bad.values().filter(|bad| !bad.healed).count();
        let damaged = (damaged + view.doubtful_files()) as u64;
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
            garbage_bytes: garbage,
            disk_bytes: disk_bytes + large_bytes,
            index_memory_bytes,
        }
    }

    /// What is wrong with it.
    pub(crate) fn condition(&self) -> Condition {
        let lost = |(path, lost): (&String, &_)| format!("{path}: {lost}");
        let lost = self.view().lost.iter().take(limits::LOST_FILES_NAMED_MAX).map(lost).collect();
        let (failed, puts_refused) = (self.health.failure(), self.health.puts_refused());
        Condition { failed, puts_refused, lost }
    }
}
