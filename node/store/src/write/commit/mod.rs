//! Group commit: one task appends what all puts queued, syncs once, then answers.
//!
//! Invariant: an object enters the view, and its put is answered, only after the sync that
//! covers its record (or its write, where the configuration wants no syncs before the
//! answer). After a failed write or sync nothing is written any more: a page that failed
//! to sync may silently pass for clean. The task has a thread to itself, and writes and
//! flushes on it.
//!
//! A small group is bound by the flush: it is written and flushed on the spot, and what
//! comes meanwhile is the next group. A large one is bound by bandwidth: its flush goes on
//! elsewhere (a [`Flight`]) while what comes is written behind it and waits, staged, for a
//! flush of its own. So the processor fills the page cache while the device empties it.

mod group;
mod segment;

use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use gitstratum_core::limits;
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::DiskLock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Span;

use crate::codec::encode::{Follows, encode};
use crate::files::names::segment_path;
use crate::options::Fsync;
use crate::segment::append::{append, cut};
use crate::state::health::Flushed;
use crate::state::queue::{Queued, Request};
use crate::state::shared::Shared;
use crate::write::room::RoomBudget;
use group::Group;

/// Appends groups until the queue closes. Holds the directory's lock until the last of
/// them is written, however the store was left.
pub(crate) async fn run(
    shared: Arc<Shared>,
    queue: mpsc::UnboundedReceiver<Request>,
    lock: DiskLock,
) {
    let mut committer = Committer {
        shared: shared.clone(),
        queue,
        put_back: None,
        flight: None,
        staged: Vec::new(),
        sealing: None,
        in_manifest: false,
        unsynced_since: None,
        unsynced: Flushed::default(),
        room: RoomBudget::default(),
        arena: BytesMut::new(),
    };
    while let Some(request) = committer.next().await {
        match request {
            Request::Seal(answer) => {
                committer.settle().await;
                // Whoever went away needs no answer.
                let _ = answer.send(committer.seal_and_wait().await);
            }
            Request::Write(first) => {
                let group = committer.gather(first);
                committer.store(group).await;
            }
        }
    }
    committer.close().await;
    // Its failure is logged, and there is nobody left to tell.
    let _ = shared.damage.keep().await;
    // A file gets or loses its name while the directory is locked, or not at all.
    shared.naming.close().await;
    // An index that is being made again is finished, and no other begun.
    drop(shared.rebuilding.lock().await);
    shared.large_puts.close().await;
    let damage = shared.damage.hold().await;
    drop(lock);
    drop(damage);
}

struct Committer {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedReceiver<Request>,
    /// Taken from the queue, and not for the group that was being gathered.
    put_back: Option<Request>,
    /// What is being flushed, if that goes on elsewhere.
    flight: Option<Flight>,
    /// Written behind the flight, and flushed when it has landed. Empty without one.
    staged: Vec<Group>,
    /// Writes the index of the segment before the active one.
    sealing: Option<JoinHandle<Result<(), StoreError>>>,
    /// Whether the manifest is known to ask for the active segment: a record is written to it
    /// only then.
    in_manifest: bool,
    /// Since when acknowledged records wait for their sync.
    unsynced_since: Option<Instant>,
    /// What these are.
    unsynced: Flushed,
    room: RoomBudget,
    /// What groups are encoded in.
    arena: BytesMut,
}

/// Groups on their way to the medium.
struct Flight {
    groups: Vec<Group>,
    began: Instant,
    syncing: Pin<Box<dyn Future<Output = std::io::Result<()>> + Send + Sync>>,
    spans: Vec<Span>,
}

/// How far a group has come.
enum Written {
    /// As far as the configuration wants it: it can be answered.
    Acknowledged,
    /// Into the file, and no further.
    Ahead,
}

/// What one flush makes durable that is for all of these.
fn flushed(groups: &[Group]) -> Flushed {
    let mut all = Flushed::default();
    groups.iter().for_each(|group| all += group.flushed());
    all
}

impl Committer {
    /// The next request. Flights land meanwhile, and what waits for a sync at an interval is
    /// synced when its time comes.
    async fn next(&mut self) -> Option<Request> {
        if let Some(request) = self.put_back.take() {
            return Some(request);
        }
        while let Some(flight) = &mut self.flight {
            let staged: u64 = self.staged.iter().map(Group::bytes).sum();
            tokio::select! {
                biased;
                synced = &mut flight.syncing => self.land(synced).await,
                request = self.queue.recv(), if staged < limits::GROUP_BYTES_MAX as u64 => {
                    return request;
                }
            }
        }
        while let (Fsync::Every(interval), Some(since)) =
            (self.shared.options.fsync, self.unsynced_since)
        {
            let left = (since + interval).saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.queue.recv()).await {
                Ok(request) => return request,
                Err(_) => {
                    // The failure is the store's from now on, and the next put's answer.
                    let _ = self.sync_active().await;
                }
            }
        }
        self.queue.recv().await
    }

    /// `first`, and what else is queued, as far as it goes into one group.
    fn gather(&mut self, first: Queued) -> Group {
        let mut bytes = first.bytes;
        let mut queued = vec![first];
        while bytes < limits::GROUP_BYTES_MAX {
            match self.queue.try_recv() {
                Ok(Request::Write(next)) => {
                    bytes += next.bytes;
                    queued.push(next);
                }
                Ok(other) => {
                    self.put_back = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        Group::new(queued)
    }

    /// Writes what is new in a group, and sees to its flush and its answer.
    async fn store(&mut self, mut group: Group) {
        match self.write(&mut group).await {
            Ok(Written::Acknowledged) => group.answer(&self.shared, Ok(())),
            Ok(Written::Ahead) => {
                self.staged.push(group);
                if self.flight.is_none() {
                    self.depart();
                }
            }
            Err(error) => group.answer(&self.shared, Err(error)),
        }
    }

    async fn write(&mut self, group: &mut Group) -> Result<Written, StoreError> {
        self.shared.health.check_writable()?;
        if self.pending().any(|pending| pending.meets(group)) {
            // Whether it brings anything is known when that is durable, or refused.
            self.settle().await;
            self.shared.health.check_writable()?;
        }
        group.find_fresh(&self.shared).await;
        let (bytes, records) = (group.bytes(), group.records());
        if records == 0 {
            return Ok(Written::Acknowledged);
        }
        self.room.take(&self.shared, bytes).await?;
        self.make_room(bytes, records).await?;
        let (id, file, len, file_len) = self.active();
        let always = self.shared.options.fsync == Fsync::Always;
        let start = self.pending().last().map_or(len, |last| last.end);
        group.end = start + bytes;
        let follows = match (&self.flight, self.staged.is_empty()) {
            (None, _) => Follows::Durable,
            (Some(_), true) => Follows::Flight,
            (Some(_), false) => Follows::Same,
        };
        let fresh: Vec<_> = group.fresh().collect();
        let buffers = encode(&fresh, id, start, follows, &mut self.arena);
        let large = always && bytes >= self.shared.options.flight_bytes_min;
        if large || self.flight.is_some() {
            if let Err(error) = file.write_at(start, buffers).await {
                self.settle().await;
                self.shared.health.check_writable()?;
                return Err(self.undo(error).await);
            }
            self.shared.health.count_write(bytes, 0);
            return Ok(Written::Ahead);
        }
        let place = [start, group.end, file_len];
        let began = Instant::now();
        let spans = if always { group.flush_spans() } else { Vec::new() };
        let file_len = match append(&self.shared.options, &file, place, buffers).await {
            Ok(file_len) => file_len,
            Err(error) => return Err(self.undo(error).await),
        };
        drop(spans);
        if always {
            self.shared.health.count_flush(began, group.flushed());
        } else {
            self.unsynced_since.get_or_insert_with(Instant::now);
            self.unsynced += group.flushed();
        }
        let zeros = file_len.saturating_sub(place[2].max(group.end));
        group.publish(&self.shared, file_len);
        self.shared.health.count_write(bytes + zeros, u64::from(always));
        Ok(Written::Acknowledged)
    }

    /// Groups that are written and not durable, in the order of their records.
    fn pending(&self) -> impl Iterator<Item = &Group> {
        let flown = self.flight.iter().flat_map(|flight| &flight.groups);
        flown.chain(&self.staged)
    }

    /// Begins to flush what is staged elsewhere, if it is much.
    fn depart(&mut self) {
        let bytes: u64 = self.staged.iter().map(Group::bytes).sum();
        if self.staged.is_empty() || bytes < self.shared.options.flight_bytes_min {
            return;
        }
        let groups = std::mem::take(&mut self.staged);
        let (_, file, ..) = self.active();
        let (began, syncing) = (Instant::now(), Box::pin(file.begin_sync_data()));
        let spans = groups.iter().flat_map(Group::flush_spans).collect();
        self.flight = Some(Flight { groups, began, syncing, spans });
    }

    /// Answers the groups whose flush ended so, and sees to that of what came meanwhile.
    async fn land(&mut self, synced: std::io::Result<()>) {
        let flight = self.flight.take().expect("it has just landed");
        let Flight { groups, began, spans, .. } = flight;
        drop(spans);
        if let Err(error) = synced {
            return self.refuse(groups, error).await;
        }
        self.shared.health.count_flush(began, flushed(&groups));
        // A long flush is begun before anybody is answered.
        self.depart();
        self.landed(groups);
        if self.flight.is_none() && !self.staged.is_empty() {
            // A short one is waited for, or small groups would follow one another in flight
            // for as long as they come, and none would be written over zeros.
            let groups = std::mem::take(&mut self.staged);
            let (_, file, ..) = self.active();
            let began = Instant::now();
            let spans: Vec<Span> = groups.iter().flat_map(Group::flush_spans).collect();
            let synced = file.sync_data().await;
            drop(spans);
            match synced {
                Ok(()) => {
                    self.shared.health.count_flush(began, flushed(&groups));
                    self.landed(groups);
                }
                Err(error) => self.refuse(groups, error).await,
            }
        }
    }

    fn landed(&self, groups: Vec<Group>) {
        self.shared.health.count_write(0, 1);
        for group in groups {
            group.publish(&self.shared, 0);
            group.answer(&self.shared, Ok(()));
        }
    }

    /// Answers groups whose flush failed, and what was written behind them.
    async fn refuse(&mut self, groups: Vec<Group>, error: std::io::Error) {
        let error = self.undo(error).await;
        for group in groups.into_iter().chain(self.staged.drain(..)) {
            group.answer(&self.shared, Err(error.clone()));
        }
    }

    /// Waits until nothing is written that is not durable, or refused.
    async fn settle(&mut self) {
        while let Some(flight) = &mut self.flight {
            let synced = (&mut flight.syncing).await;
            self.land(synced).await;
        }
    }

    async fn sync_active(&mut self) -> Result<(), StoreError> {
        self.unsynced_since = None;
        let unsynced = std::mem::take(&mut self.unsynced);
        let active =
            self.shared.view().active.as_ref().map(|active| (active.id, active.file.clone()));
        let Some((id, file)) = active else { return Ok(()) };
        let began = Instant::now();
        let synced = file.sync_data().await;
        // Even when the disk is full: what a failed sync lost, a second one does not find.
        synced.map_err(|error| {
            self.shared.health.fail(format!("sync {}: {error}", segment_path(id)))
        })?;
        self.shared.health.count_flush(began, unsynced);
        self.shared.health.count_write(0, 1);
        Ok(())
    }

    /// After a failed write or flush: a full disk leaves the store as it was before all that
    /// was not published, anything else ends all writing.
    async fn undo(&self, error: std::io::Error) -> StoreError {
        let (id, file, len, _) = self.active();
        let path = segment_path(id);
        let failed = self.shared.health.write_failed(&path, &error);
        if matches!(failed, StoreError::DiskFull) {
            // Durably, or what was refused might be there after a power loss: a tombstone too.
            if let Err(error) = cut(&file, len).await {
                return self
                    .shared
                    .health
                    .fail(format!("cut {path} after the disk was full: {error}"));
            }
            self.shared.view().reaches(len);
        }
        failed
    }
}
