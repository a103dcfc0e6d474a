//! Group commit: one task appends what all puts queued, syncs once, then answers.
//!
//! Invariant: an object enters the view, and its put is answered, only after the sync that
//! covers its record (or its write, where the configuration wants no syncs before the
//! answer). After a failed write or sync nothing is written any more: a page that failed
//! to sync may silently pass for clean. The task has a thread to itself, and writes and
//! flushes on it.

use std::sync::Arc;

use bytes::BytesMut;
use gitstratum_host::disk::{DiskLock, File};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::append::{append, cut};
use super::draft::{Draft, Group, encode};
use super::files::{create_segment, segment_path};
use super::format::account::Tally;
use super::format::index::Place;
use super::format::record::Content;
use super::format::segment::SegmentId;
use super::order::{Fresh, Order, Queued, answer};
use super::room::Room;
use super::seal::{seal, write_missing_indexes};
use super::shared::Shared;
use super::unsealed::Unsealed;
use super::{Fsync, StoreError};
use crate::limits;

/// Appends groups until the queue closes. Holds the directory's lock until the last of
/// them is written, however the store was left.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut queue: mpsc::UnboundedReceiver<Order>,
    lock: DiskLock,
) {
    let mut committer = Committer {
        shared: shared.clone(),
        sealing: None,
        unsynced_since: None,
        room: Room::default(),
        arena: BytesMut::new(),
    };
    let mut next = None;
    loop {
        let order = match next.take() {
            Some(order) => Some(order),
            None => committer.receive(&mut queue).await,
        };
        match order {
            None => break,
            Some(Order::Seal(answer)) => {
                // Whoever went away needs no answer.
                let _ = answer.send(committer.seal_and_wait().await);
            }
            Some(Order::Write(first)) => {
                let mut bytes = first.bytes;
                let mut group = vec![first];
                while bytes < limits::GROUP_BYTES_MAX {
                    match queue.try_recv() {
                        Ok(Order::Write(queued)) => {
                            bytes += queued.bytes;
                            group.push(queued);
                        }
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let committed = committer.commit(&group).await;
                let shared = shared.clone();
                // Waking many from one place takes as long as a flush: the next group need
                // not wait for it.
                tokio::spawn(async move { answer(&shared, group, &committed) });
            }
        }
    }
    committer.close().await;
    shared.save_noted().await;
    // A file gets or loses its name while the directory is locked, or not at all.
    let naming = shared.naming.acquire().await;
    shared.naming.close();
    drop(naming);
    shared.remove_abandoned().await;
    let noting = shared.noting.lock().await;
    drop(lock);
    drop(noting);
}

struct Committer {
    shared: Arc<Shared>,
    /// Writes the index of the segment before the active one.
    sealing: Option<JoinHandle<Result<(), StoreError>>>,
    /// Since when acknowledged records wait for their sync.
    unsynced_since: Option<Instant>,
    room: Room,
    /// What groups are encoded in.
    arena: BytesMut,
}

impl Committer {
    /// The next order; syncs what waits for it when its time comes first.
    async fn receive(&mut self, queue: &mut mpsc::UnboundedReceiver<Order>) -> Option<Order> {
        while let (Fsync::Every(interval), Some(since)) =
            (self.shared.options.fsync, self.unsynced_since)
        {
            let left = (since + interval).saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, queue.recv()).await {
                Ok(order) => return order,
                Err(_) => {
                    // The failure is the store's from now on, and the next put's answer.
                    let _ = self.sync_active().await;
                }
            }
        }
        queue.recv().await
    }

    async fn sync_active(&mut self) -> Result<(), StoreError> {
        self.unsynced_since = None;
        let active =
            self.shared.view().active.as_ref().map(|active| (active.id, active.file.clone()));
        let Some((id, file)) = active else { return Ok(()) };
        let synced = file.sync_data().await;
        // Even when the disk is full: what a failed sync lost, a second one does not find.
        synced.map_err(|error| self.shared.fail(format!("sync {}: {error}", segment_path(id))))?;
        self.shared.count_write(0, 1);
        Ok(())
    }

    /// Writes what is new in a group and enters it into the view.
    async fn commit(&mut self, group: &[Queued]) -> Result<Fresh, StoreError> {
        self.shared.check_writable()?;
        let mut fresh = Fresh::new();
        let mut drafts = Vec::new();
        {
            let view = self.shared.view();
            for (place, queued) in group.iter().enumerate() {
                for (at, draft) in queued.drafts.iter().enumerate() {
                    let id = draft.head.id;
                    let news = match draft.head.content {
                        Content::Object { .. } => !view.holds_unsealed(&id),
                        Content::Tombstone { .. } => !view.deleted_unsealed(&id),
                        Content::Void { .. } => false,
                    };
                    if news && !fresh.contains_key(&id) {
                        fresh.insert(id, (place, at));
                        drafts.push(draft);
                    }
                }
            }
        }
        if drafts.is_empty() {
            return Ok(fresh);
        }
        let bytes = drafts.iter().map(|draft| draft.len()).sum();
        self.room.take(&self.shared, bytes).await?;
        let (id, file, start, before) = self.segment_for(bytes, drafts.len()).await?;
        let buffers = encode(&drafts, id, start, Group::New, &mut self.arena);
        let file_len = match append(
            &self.shared.options,
            &file,
            [start, start + bytes, before],
            buffers,
        )
        .await
        {
            Ok(file_len) => file_len,
            Err(error) => return Err(self.undo(id, &file, start, error).await),
        };
        let always = self.shared.options.fsync == Fsync::Always;
        if !always {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        let zeros = file_len.saturating_sub(before.max(start + bytes));
        self.publish(start, file_len, &drafts);
        self.shared.count_write(bytes + zeros, u64::from(always));
        Ok(fresh)
    }

    fn publish(&self, mut offset: u64, file_len: u64, drafts: &[&Draft]) {
        let mut view = self.shared.view();
        let active = view.active.as_mut().expect("records were just written to it");
        for draft in drafts {
            let at = u32::try_from(offset).expect("a segment is below 4 GiB");
            let place = match draft.head.content {
                Content::Object { size, stored, .. } => {
                    active.accounts.held += Tally::one(draft.len(), size.into());
                    Place::Object { offset: at, stored }
                }
                Content::Tombstone { victim } => {
                    let (bytes, payload) = super::format::record::parse_tombstone_data(&draft.data);
                    let killed = active.accounts.kills.entry(victim).or_default();
                    *killed += Tally::one(bytes.into(), payload.into());
                    Place::Tombstone { offset: at, victim }
                }
                Content::Void { .. } => unreachable!("only recovery writes them"),
            };
            active.places.insert(draft.head.id, place);
            offset += draft.len();
        }
        active.len = offset;
        active.file_len = file_len;
        if !view.bad.is_empty() {
            for draft in drafts {
                if let Some(bad) = view.bad.get_mut(&draft.head.id) {
                    bad.healed = true;
                }
            }
        }
    }

    /// The active segment, a new one if there is none or the old one is full: its id, its
    /// file, where to write, and how far the file reaches.
    async fn segment_for(
        &mut self,
        bytes: u64,
        records: usize,
    ) -> Result<(SegmentId, File, u64, u64), StoreError> {
        let options = &self.shared.options;
        let (bytes_max, records_max) = (options.segment_bytes_max, options.segment_records_max);
        let full = {
            let view = self.shared.view();
            view.active.as_ref().map(|active| {
                let entries = active.places.len();
                // A group that is too large for any segment gets one of its own.
                entries > 0 && (active.len + bytes > bytes_max || entries + records > records_max)
            })
        };
        match full {
            Some(false) => {}
            Some(true) => {
                self.freeze().await?;
                self.begin().await?;
            }
            None => self.begin().await?,
        }
        let view = self.shared.view();
        let active = view.active.as_ref().expect("begun just now if there was none");
        Ok((active.id, active.file.clone().in_place(), active.len, active.file_len))
    }

    /// Makes a new active segment.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let id = SegmentId::fresh(self.shared.next_segment());
        match create_segment(&self.shared.disk, id).await {
            Ok(file) => {
                let segment = Unsealed::new(id, file);
                self.shared.count_write(segment.len, 2);
                self.shared.view().active = Some(segment);
                Ok(())
            }
            Err(error) => {
                // It holds nothing; what is left of it is removed when the store is opened.
                let path = segment_path(id);
                let _ = self.shared.disk.remove(&path).await;
                Err(self.shared.write_failed(&path, &error))
            }
        }
    }

    /// Ends the active segment and begins to write its index. One at a time, so that memory
    /// stays bounded; the room a full disk lacks for the last index stops puts here.
    async fn freeze(&mut self) -> Result<(), StoreError> {
        self.sealed().await?;
        if self.shared.options.fsync != Fsync::Always {
            // Recovery syncs the last segment only, and relies on those before it.
            self.sync_active().await?;
        }
        self.cut_active().await?;
        let frozen = {
            let mut view = self.shared.view();
            let Some(active) = view.active.take() else { return Ok(()) };
            let frozen = Arc::new(active);
            view.frozen.insert(0, frozen.clone());
            frozen
        };
        self.sealing = Some(tokio::spawn(seal(self.shared.clone(), frozen)));
        Ok(())
    }

    /// Takes the zeros behind the last record away, durably: only in the last segment may
    /// anything but records be at the end.
    async fn cut_active(&self) -> Result<(), StoreError> {
        let ahead = |active: &Unsealed| {
            let ahead = active.file_len > active.len;
            ahead.then(|| (active.id, active.file.clone(), active.len))
        };
        let Some((id, file, len)) = self.shared.view().active.as_ref().and_then(ahead) else {
            return Ok(());
        };
        let cut = cut(&file, len).await;
        cut.map_err(|error| self.shared.write_failed(&segment_path(id), &error))?;
        self.shared.view().reaches(len);
        Ok(())
    }

    /// Waits for the index that is being written; tries once more when it failed.
    async fn sealed(&mut self) -> Result<(), StoreError> {
        if let Some(sealing) = self.sealing.take() {
            // What went wrong is tried again below, or reported there.
            let _ = sealing.await;
        }
        let left: Vec<_> = self.shared.view().frozen.clone();
        for frozen in left.into_iter().rev() {
            seal(self.shared.clone(), frozen).await?;
        }
        write_missing_indexes(&self.shared).await
    }

    async fn seal_and_wait(&mut self) -> Result<(), StoreError> {
        self.shared.check_writable()?;
        let empty =
            self.shared.view().active.as_ref().is_none_or(|active| active.places.len() == 0);
        if !empty {
            self.freeze().await?;
        }
        self.sealed().await
    }

    /// After a failed write: a full disk leaves the store as it was before the group,
    /// anything else ends all writing.
    async fn undo(
        &self,
        id: SegmentId,
        file: &File,
        start: u64,
        error: std::io::Error,
    ) -> StoreError {
        let path = segment_path(id);
        let failed = self.shared.write_failed(&path, &error);
        if matches!(failed, StoreError::DiskFull) {
            // Durably, or what was refused might be there after a power loss: a tombstone too.
            if let Err(error) = cut(file, start).await {
                return self.shared.fail(format!("cut {path} after the disk was full: {error}"));
            }
            self.shared.view().reaches(start);
        }
        failed
    }

    /// The last sync, and the last index: a segment that would take long to scan is ended,
    /// so that the next opening is as quick as any.
    async fn close(mut self) {
        if self.unsynced_since.is_some() && self.shared.check_writable().is_ok() {
            // Its failure is logged; there is nobody left to tell.
            let _ = self.sync_active().await;
        }
        let worth_an_index = {
            let view = self.shared.view();
            view.active.as_ref().is_some_and(|active| {
                active.len >= limits::SEALED_AT_CLOSE_BYTES_MIN
                    || active.places.len() >= limits::SEALED_AT_CLOSE_RECORDS_MIN
            })
        };
        if worth_an_index && self.shared.check_writable().is_ok() {
            // A failure is logged, and costs the next opening a scan.
            let _ = self.seal_and_wait().await;
        }
        if let Some(sealing) = self.sealing.take() {
            let _ = sealing.await;
        }
        if self.shared.check_writable().is_ok() && self.shared.options.fsync != Fsync::Never {
            // A failure is logged, and costs the next opening the cut.
            let cut = self.cut_active().await;
            let active = self.shared.view().active.as_ref().map(|active| (active.id, active.len));
            if let (Ok(()), Some((id, len))) = (cut, active) {
                super::clean::leave(&self.shared.disk, id, len).await;
            }
        }
    }
}
