//! Write health: whether the store takes writes, what a failed one means, and what was written.
//!
//! Invariant: after a failed sync, or a write that failed for another reason than want of room,
//! memory or descriptors, nothing is written until the store is opened again. The first reason
//! stays.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

use gitstratum_core::metrics::{self, Counter, Histogram, Labels, Reading, Registry, Unit};
use gitstratum_core::replica::StoreError;
use gitstratum_core::seldom::Seldom;
use gitstratum_host::Disk;
use gitstratum_host::disk::{Room, is_exhausted, is_full};
use tokio::time::Instant;

use super::intake::{Intake, Lack, PutsRefused, no_room};

/// What a flush of the log makes durable at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flushed {
    /// Puts that wait for it.
    pub(crate) puts: usize,
    /// Bytes of their records.
    pub(crate) bytes: u64,
}

impl AddAssign for Flushed {
    fn add_assign(&mut self, more: Flushed) {
        self.puts += more.puts;
        self.bytes += more.bytes;
    }
}

/// The state of all that is written.
pub(crate) struct Health {
    disk: Disk,
    /// Room that puts leave.
    reserve_bytes: u64,
    /// Why nothing is written any more.
    failed: Mutex<Option<String>>,
    /// Whether there is room for puts.
    intake: Intake,
    /// Refusals that are logged once in a while.
    refusals: Seldom,
    syncs: Counter,
    written: Counter,
    flushes: Histogram,
    /// Of each flush of the log, how much it made durable at once.
    flushed_puts: Histogram,
    flushed_bytes: Histogram,
    /// Of the last look at the disk's room.
    free_bytes: Mutex<Option<u64>>,
}

impl Health {
    /// Of a store that was just opened.
    pub(crate) fn new(disk: Disk, reserve_bytes: u64) -> Self {
        Health {
            disk,
            reserve_bytes,
            failed: Mutex::default(),
            intake: Intake::default(),
            refusals: Seldom::default(),
            syncs: Counter::default(),
            written: Counter::default(),
            flushes: metrics::durations(),
            flushed_puts: metrics::sizes(),
            flushed_bytes: metrics::sizes(),
            free_bytes: Mutex::default(),
        }
    }

    /// Whether writes go on.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        match self.failure() {
            Some(reason) => Err(StoreError::Failed { reason }),
            None => Ok(()),
        }
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failed.lock().expect("nothing panics while it fails").clone()
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
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn look_at_room(&self) -> std::io::Result<Room> {
        let room = self.disk.room().await?;
        self.note_room(room);
        Ok(room)
    }

    /// Notes what this room means for puts.
    pub(crate) fn note_room(&self, room: Room) {
        *self.free_bytes.lock().expect("nothing panics while it notes a number") = Some(room.bytes);
        self.intake.looked(Instant::now(), room, self.reserve_bytes);
    }

    /// How many bytes there are above the reserve, for a put that needs so many now and so many
    /// in all; as much as can be where nothing is reserved, or nobody can tell.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] when there are not as many.
    pub(crate) async fn room_for(&self, bytes: u64, needed_bytes: u64) -> Result<u64, StoreError> {
        let reserve = self.reserve_bytes;
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

    /// Counts what was written.
    pub(crate) fn count_write(&self, bytes: u64, syncs: u64) {
        self.written.inc_by(bytes);
        self.syncs.inc_by(syncs);
        if bytes > 0 {
            self.intake.wrote(Instant::now());
        }
    }

    /// Counts a flush of the log that began then and is over.
    pub(crate) fn count_flush(&self, began: Instant, flushed: Flushed) {
        self.flushes.observe(began.elapsed().as_secs_f64());
        // One before a segment is sealed may have nothing that anybody waits for.
        if flushed.puts > 0 {
            self.flushed_puts.observe(flushed.puts as f64);
            self.flushed_bytes.observe(flushed.bytes as f64);
        }
    }

    /// Registers the counts of what was written, and what room there is.
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        let help = "Calls of fdatasync since the store was opened";
        registry.register("store_syncs", help, self.syncs.clone());
        let help = "Bytes given to the disk since the store was opened";
        let written = self.written.clone();
        registry.register_with_unit("store_written", help, Unit::Bytes, written);
        let help = "How long records took to be durable once they were given to the disk";
        registry.register_with_unit("store_flush", help, Unit::Seconds, self.flushes.clone());
        let help = "Puts that one flush of the log made durable together";
        registry.register("store_flush_puts", help, self.flushed_puts.clone());
        let help = "What one flush of the log made durable";
        let bytes = self.flushed_bytes.clone();
        registry.register_with_unit("store_flush_size", help, Unit::Bytes, bytes);
        let help =
            "What the file system had free at the last look, of which puts leave the reserve";
        let free = [Reading::gauge("store_free", help, |bytes: &u64| *bytes).unit(Unit::Bytes)];
        let help = "What puts leave free on the file system";
        let reserve = [Reading::gauge("store_reserve", help, |bytes| *bytes).unit(Unit::Bytes)];
        let health = self.clone();
        metrics::register_encoded(registry, move |encoder| {
            // Nothing is said before it was looked.
            let free_bytes = *health.free_bytes.lock().expect("nothing panics meanwhile");
            let free_bytes: Vec<_> =
                free_bytes.map(|bytes| (Labels::new(), bytes)).into_iter().collect();
            metrics::encode(encoder, &free, &free_bytes)?;
            metrics::encode(encoder, &reserve, &[(Labels::new(), health.reserve_bytes)])
        });
    }

    /// Why puts are refused for want of room, if they are.
    pub(crate) fn puts_refused(&self) -> Option<PutsRefused> {
        self.intake.state(Instant::now())
    }
}
