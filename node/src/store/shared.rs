//! What the parts of one store share: the index, open files, counters, and whether writing
//! goes on.
//!
//! Invariant: no lock here is held across an await.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};
use tokio::sync::Semaphore;

use super::index::{Index, Location};
use super::segment;
use super::{Durability, StoreError, StoreStats};
use crate::limits;
use crate::object::ObjectId;

/// Files kept open for reading.
const OPEN_FILES_MAX: usize = 256;

/// What the parts of a store share.
pub(super) struct Shared {
    disk: Disk,
    fsync: bool,
    segment_bytes_max: u64,
    index: Mutex<Index>,
    /// Why nothing is written any more.
    failed: Mutex<Option<String>>,
    queued_bytes: AtomicUsize,
    next_number: AtomicU64,
    files: Mutex<BTreeMap<u64, File>>,
    pub(super) large_writers: Arc<Semaphore>,
    /// Held while a large object gets its name; closed with the store.
    pub(super) naming: Semaphore,
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
    pub(super) fn new(disk: Disk, fsync: bool, segment_bytes_max: u64, index: Index) -> Self {
        Shared {
            disk,
            fsync,
            segment_bytes_max,
            index: Mutex::new(index),
            failed: Mutex::default(),
            queued_bytes: AtomicUsize::default(),
            next_number: AtomicU64::default(),
            files: Mutex::default(),
            large_writers: Arc::new(Semaphore::new(limits::STORE_LARGE_WRITERS_MAX)),
            naming: Semaphore::new(1),
            abandoned: Mutex::default(),
            segments: AtomicU64::default(),
            disk_bytes: AtomicU64::default(),
            syncs: AtomicU64::default(),
            bytes_written: AtomicU64::default(),
            puts: AtomicU64::default(),
            gets: AtomicU64::default(),
        }
    }

    /// Begins with what opening found on the disk.
    pub(super) fn recovered(self, next_number: u64, segments: u64, disk_bytes: u64) -> Self {
        let (next_number, segments) = (AtomicU64::new(next_number), AtomicU64::new(segments));
        Shared { next_number, segments, disk_bytes: AtomicU64::new(disk_bytes), ..self }
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn fsync(&self) -> bool {
        self.fsync
    }

    pub(super) fn segment_bytes_max(&self) -> u64 {
        self.segment_bytes_max
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

    /// Takes room in the queue for a put of so many bytes. One put may pass the bound alone,
    /// or a large batch could never be stored.
    pub(super) fn claim_queue(&self, bytes: usize) -> Result<(), StoreError> {
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > limits::STORE_QUEUE_BYTES_MAX {
            self.release_queue(bytes);
            return Err(StoreError::Overloaded { waiting_bytes: before as u64 });
        }
        Ok(())
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

    pub(super) fn count_get(&self) {
        self.gets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> StoreStats {
        let (objects, payload_bytes) = {
            let index = self.lock_index();
            (index.len() as u64, index.payload_bytes())
        };
        StoreStats {
            objects,
            payload_bytes,
            segments: self.segments.load(Ordering::Relaxed),
            disk_bytes: self.disk_bytes.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            puts: self.puts.load(Ordering::Relaxed),
            gets: self.gets.load(Ordering::Relaxed),
            failed: self.failed.lock().expect("nothing panics while it fails").clone(),
        }
    }

    /// What an acknowledgement says in this configuration.
    pub(super) fn durability(&self) -> Durability {
        match self.fsync {
            true => Durability::Synced,
            false => Durability::Buffered,
        }
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
    pub(super) fn damaged(&self, id: ObjectId, at: &Location, reason: String) -> StoreError {
        tracing::error!(%id, reason, "damaged object");
        self.lock_index().mark_damaged(&id, at);
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
