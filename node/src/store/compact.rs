//! Compaction: segments that are mostly garbage are written again without it.
//!
//! A run of neighbours becomes one segment that takes their place in the order, so that a
//! later tombstone still counts against what was copied. A record is copied if it is the
//! latest of its id when its turn comes; one deleted after that is garbage in the new
//! segment. A tombstone is kept while an older segment has a record of its id. Puts and
//! gets go on: they wait for nothing but the exchange of the segments in the view.
//!
//! A record that is damaged is not copied, and its object stays known as damaged; where not
//! even its head holds, the index tells whose it was. A segment that the disk does not read
//! stays as it is: another time it may.
//!
//! A crash leaves either the old segments, or the new one with its name, which makes the
//! old ones leftovers; what has been copied until then is copied again.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gitstratum_host::disk::{File, OpenMode};
use tokio::time::Instant;

use super::StoreError;
use super::draft::{Draft, Follows, encode};
use super::engine::SegmentStore;
use super::files::{DIR, index_path, segment_path, temporary};
use super::format::account::{Accounts, Tally};
use super::format::index::{Entry, Place};
use super::format::record::{Content, RecordHead};
use super::format::segment::{SEGMENT_HEADER_BYTES, SegmentId, segment_header};
use super::lookup::data_of;
use super::scan::{Reader, read_accounts};
use super::sealed::{Sealed, parts, write_index};
use super::shared::{Shared, read_failed};
use super::unsealed::Places;
use super::view::{Bad, BadPlace, Location};
use crate::object::ObjectId;

/// Copied records are gathered into writes of about this size.
const WRITE_BYTES: usize = 1 << 20;

/// What is worth compacting, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct CompactOptions {
    /// Least share of a segment's bytes that must be garbage.
    pub garbage_share_min: f64,
    /// Bytes read and written in a second; `None` as fast as the disk allows.
    pub bytes_per_second: Option<u64>,
}

impl Default for CompactOptions {
    fn default() -> Self {
        CompactOptions { garbage_share_min: 0.5, bytes_per_second: None }
    }
}

/// What compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments that were replaced.
    pub segments: u64,
    /// Bytes they had.
    pub bytes_before: u64,
    /// Bytes of what replaced them.
    pub bytes_after: u64,
}

/// Keeps work at a rate.
pub(super) struct Throttle {
    bytes_per_second: Option<u64>,
    begun: Instant,
    done_bytes: u64,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Throttle { bytes_per_second, begun: Instant::now(), done_bytes: 0 }
    }

    /// Waits until so many bytes more are within the rate.
    pub(super) async fn pass(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        if let Some(rate) = self.bytes_per_second {
            let due = Duration::from_secs_f64(self.done_bytes as f64 / rate.max(1) as f64);
            tokio::time::sleep_until(self.begun + due).await;
        }
    }
}

impl SegmentStore {
    /// Writes segments again of which too much is garbage. One compaction, scrub or
    /// snapshot runs at a time. Dropping the future between two segments, or within one,
    /// leaves the store as it was.
    ///
    /// # Errors
    /// As a put; what was done until then stays done. What the disk does not read keeps it
    /// from no other segment, and is the error at the end.
    pub async fn compact(&self, options: CompactOptions) -> Result<Compacted, StoreError> {
        let _alone = self.shared.maintenance.lock().await;
        let mut compacted = Compacted::default();
        let mut throttle = Throttle::new(options.bytes_per_second);
        let mut unread = None;
        for run in runs(&self.shared, options) {
            self.shared.check_writable()?;
            let before: u64 = run.iter().map(|sealed| sealed.disk_bytes()).sum();
            let after = match rewrite(&self.shared, &run, &mut throttle).await {
                Err(error @ StoreError::Io { .. }) => {
                    tracing::warn!(%error, "a segment is not compacted");
                    unread.get_or_insert(error);
                    continue;
                }
                rewritten => rewritten?,
            };
            compacted.segments += run.len() as u64;
            compacted.bytes_before += before;
            compacted.bytes_after += after;
        }
        match unread {
            Some(error) => Err(error),
            None => Ok(compacted),
        }
    }
}

/// Neighbours that are worth it, that the disk reads as far as is known, and that fit one
/// segment together, oldest first.
fn runs(shared: &Shared, options: CompactOptions) -> Vec<Vec<Arc<Sealed>>> {
    let (bytes_max, records_max) =
        (shared.options.segment_bytes_max, shared.options.segment_records_max as u64);
    let mut runs: Vec<Vec<Arc<Sealed>>> = Vec::new();
    // Of the run that may still grow: bytes and records that stay.
    let mut open: Option<(u64, u64)> = None;
    let (garbage, unread) = {
        let view = shared.view();
        (view.garbage(), view.unread())
    };
    for (sealed, dead) in garbage {
        let worth =
            dead.bytes > 0 && dead.bytes as f64 >= options.garbage_share_min * sealed.len as f64;
        if !worth || unread.contains(&sealed.id()) {
            open = None;
            continue;
        }
        let (bytes, records) = (sealed.len.saturating_sub(dead.bytes), sealed.entries());
        match open {
            Some((others, known))
                if others + bytes <= bytes_max && known + records <= records_max =>
            {
                open = Some((others + bytes, known + records));
                runs.last_mut().expect("a run is open").push(sealed);
            }
            _ => {
                open = Some((bytes, records));
                runs.push(vec![sealed]);
            }
        }
    }
    runs
}

/// The segment that is being written.
struct Output {
    id: SegmentId,
    path: String,
    file: File,
    len: u64,
    accounts: Accounts,
    places: Places,
    pending: Vec<Draft>,
    pending_bytes: usize,
    arena: BytesMut,
}

impl Output {
    async fn flush(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let drafts = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let buffers = {
            let drafts: Vec<_> = drafts.iter().collect();
            encode(&drafts, self.id, self.len, Follows::Same, &mut self.arena)
        };
        let bytes = buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        let written = self.file.write_at(self.len, buffers).await;
        written.map_err(|error| shared.write_failed(&self.path, &error))?;
        self.len += bytes;
        shared.count_write(bytes, 0);
        Ok(())
    }

    async fn push(&mut self, shared: &Shared, draft: Draft) -> Result<(), StoreError> {
        let offset = self.len + self.pending_bytes as u64;
        let offset = u32::try_from(offset).expect("a run fits a segment");
        let place = match draft.head.content {
            Content::Object { size, stored, .. } => {
                self.accounts.held += Tally::one(draft.len(), size.into());
                Place::Object { offset, stored }
            }
            Content::Tombstone { victim } => Place::Tombstone { offset, victim },
            Content::Void { .. } => unreachable!("not copied"),
        };
        self.places.insert(draft.head.id, place);
        self.pending_bytes += draft.len() as usize;
        self.pending.push(draft);
        if self.pending_bytes >= WRITE_BYTES {
            self.flush(shared).await?;
        }
        Ok(())
    }
}

/// Writes the live records of a run to one new segment, which takes their place; returns
/// its bytes.
async fn rewrite(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    throttle: &mut Throttle,
) -> Result<u64, StoreError> {
    let (first, last) = (run[0].id(), run[run.len() - 1].id());
    let generation = run.iter().map(|sealed| sealed.id().generation).max().unwrap_or(0) + 1;
    let id = SegmentId { last: last.last, first: first.first, generation };
    let path = temporary(&segment_path(id));
    let written = copy(shared, run, id, &path, throttle).await;
    let done = match written {
        Ok(output) => publish(shared, run, output).await,
        Err(error) => Err(error),
    };
    if done.is_err() {
        // What is left of it takes room, and is removed by opening at the latest.
        let _ = shared.disk.remove(&path).await;
    }
    done
}

async fn copy(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    id: SegmentId,
    path: &str,
    throttle: &mut Throttle,
) -> Result<Output, StoreError> {
    match shared.disk.remove(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(shared.write_failed(path, &error));
        }
        _ => {}
    }
    let made = shared.disk.open(path, OpenMode::CreateNew).await;
    let file = made.map_err(|error| shared.write_failed(path, &error))?;
    let mut accounts = Accounts::default();
    for sealed in run {
        accounts.absorb(sealed.accounts());
    }
    accounts.held = Tally::default();
    let begin = SEGMENT_HEADER_BYTES as u64 + accounts.to_block().len() as u64;
    let mut output = Output {
        id,
        path: path.to_owned(),
        file,
        len: begin,
        accounts,
        places: Places::default(),
        pending: Vec::new(),
        pending_bytes: 0,
        arena: BytesMut::new(),
    };
    for sealed in run {
        copy_segment(shared, run, sealed, &mut output, throttle).await?;
    }
    output.flush(shared).await?;
    let head = [&segment_header(id)[..], &output.accounts.to_block()[..]].concat();
    assert_eq!(head.len() as u64, begin, "the accounts are as long as when room was left for them");
    let written = output.file.write_at_and_sync(0, vec![Bytes::from(head)]).await;
    written.map_err(|error| shared.write_failed(path, &error))?;
    Ok(output)
}

async fn copy_segment(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    sealed: &Arc<Sealed>,
    output: &mut Output,
    throttle: &mut Throttle,
) -> Result<(), StoreError> {
    let path = segment_path(sealed.id());
    let read = |error| read_failed(&path, &error);
    let (_, begin) = read_accounts(&sealed.file, sealed.id()).await.map_err(read)?;
    let mut reader = Reader::new(sealed.file.clone(), sealed.id(), sealed.len, begin);
    // Ascending, because records are met in their order.
    let mut met = Vec::new();
    while let Some(record) = reader.next().await.map_err(read)? {
        met.push(record.offset);
        let RecordHead { id, content, .. } = record.head;
        throttle.pass(record.head.record_len()).await;
        match content {
            Content::Object { size, .. } => {
                let latest = shared.is_latest(&id, sealed.id(), record.offset).await?;
                let known_bad = || {
                    shared.view().bad(&id).is_some_and(|bad| {
                        let (segment, offset) = (sealed.id(), record.offset);
                        bad.at == BadPlace::Record { segment, offset }
                    })
                };
                match record.data {
                    Some(data) if latest && !known_bad() => {
                        // Copied as it is: neither unpacked nor hashed.
                        throttle.pass(record.head.record_len()).await;
                        output.push(shared, Draft::new(record.head, data)).await?;
                    }
                    _ if latest => {
                        let at = BadPlace::Record { segment: sealed.id(), offset: record.offset };
                        let bad = Bad::wrong(at, size.into(), "the checksum of its record");
                        drop_bad(shared, id, bad).await?;
                    }
                    // Replaced by a later put, and never counted as live since.
                    _ if known_bad() => {}
                    _ => {
                        output.accounts.settled +=
                            Tally::one(record.head.record_len(), size.into());
                    }
                }
            }
            Content::Void { .. } => {}
            Content::Tombstone { victim } => {
                if still_needed(shared, run, &id).await? {
                    throttle.pass(record.head.record_len()).await;
                    let draft = match record.data {
                        Some(data) => Draft::new(record.head, data),
                        None => again(id, victim),
                    };
                    output.push(shared, draft).await?;
                }
            }
        }
    }
    for part in parts() {
        for (id, place) in entries(shared, sealed.id(), part).await? {
            let (Place::Object { offset, .. } | Place::Tombstone { offset, .. }) = place;
            if met.binary_search(&offset).is_err() {
                copy_hidden(shared, run, sealed, (id, place), output).await?;
            }
        }
    }
    Ok(())
}

/// A tombstone whose data is not known any more. That its object is gone matters; what it
/// killed is counted where the segment begins.
fn again(id: ObjectId, victim: u32) -> Draft {
    Draft::tombstone(id, victim, Tally::default())
}

/// What the index of a segment that is being compacted has of a part of the ids. One that
/// does not hold is made again.
async fn entries(
    shared: &Arc<Shared>,
    segment: SegmentId,
    (first, last): (u64, u64),
) -> Result<Vec<Entry>, StoreError> {
    let current = || {
        let view = shared.view();
        let found = view.sealed.iter().find(|sealed| sealed.id() == segment).cloned();
        found.expect("nobody else compacts it")
    };
    let sealed = current();
    if let Ok(entries) = sealed.entries_between(first, last).await {
        return Ok(entries);
    }
    shared.rebuild_index(&sealed).await?;
    current().entries_between(first, last).await.map_err(|error| {
        let (doing, reason) = (format!("read {}", index_path(segment)), format!("{error:?}"));
        StoreError::Io { doing, reason, kind: std::io::ErrorKind::InvalidData }
    })
}

/// Copies what the index has where no record was met: its head is damaged, or more.
async fn copy_hidden(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    sealed: &Arc<Sealed>,
    (id, place): Entry,
    output: &mut Output,
) -> Result<(), StoreError> {
    let (offset, stored) = match place {
        Place::Object { offset, stored } => (offset, stored),
        Place::Tombstone { victim, .. } => {
            if still_needed(shared, run, &id).await? {
                output.push(shared, again(id, victim)).await?;
            }
            return Ok(());
        }
    };
    let (segment, file) = (sealed.id(), sealed.file.clone());
    let location = Location { segment, file, offset, stored };
    let len = location.record_len(&id);
    if !shared.is_latest(&id, segment, offset).await? {
        // What it held is not known any more: it counts as raw, as when it was killed.
        output.accounts.settled += Tally::one(len as u64, stored.into());
        return Ok(());
    }
    let read = location.file.read_at(offset.into(), len).await;
    let record = read.map_err(|error| read_failed(&segment_path(segment), &error))?;
    let head = RecordHead::parse(&record, segment, offset.into()).filter(|head| head.id == id);
    match head.and_then(|head| Some(Draft::new(head, data_of(&head, &record)?))) {
        Some(draft) => output.push(shared, draft).await,
        None => {
            let at = BadPlace::Record { segment, offset };
            drop_bad(shared, id, Bad::wrong(at, stored.into(), "its record's header")).await
        }
    }
}

/// Whether a segment older than the run has a record of the object, so that without its
/// tombstone it would come back.
async fn still_needed(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    id: &ObjectId,
) -> Result<bool, StoreError> {
    let older = shared.view().older_than(run[0].id());
    for sealed in older.iter().filter(|sealed| sealed.may_have(id)) {
        match sealed.find(id).await {
            Ok(None) => {}
            // An index that cannot be read might know it.
            Ok(Some(_)) | Err(_) => return Ok(true),
        }
    }
    Ok(false)
}

/// Remembers that an object was damaged whose record is not copied: as what was noted of it
/// says, or else as `bad`.
///
/// # Errors
/// When that could not be written, or there is no room on the list: then the record has to stay.
async fn drop_bad(shared: &Arc<Shared>, id: ObjectId, bad: Bad) -> Result<(), StoreError> {
    {
        let mut view = shared.view();
        let reason = match view.bad.get(&id) {
            Some(noted) if noted.at == bad.at => noted.reason.clone(),
            _ => bad.reason,
        };
        if !view.note(id, Bad::wrong(BadPlace::Dropped, bad.size, reason)) {
            let (doing, reason) = (format!("note {id} as damaged"), "the list is full".to_owned());
            return Err(StoreError::Io { doing, reason, kind: std::io::ErrorKind::QuotaExceeded });
        }
    }
    // Before the record goes, or the object would be absent after a crash, not damaged.
    shared.save_bad().await
}

/// Gives the new segment its name and its place in the view, and removes the old ones.
async fn publish(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    output: Output,
) -> Result<u64, StoreError> {
    let Output { id, path, file, len, accounts, places, .. } = output;
    let entries = places.entries();
    // Whose the records were that nobody could read in the old ones is not known any better
    // now: on the list before they go. If they stay, the next opening takes it off.
    let unidentified = {
        let mut view = shared.view();
        let any = run.iter().any(|sealed| view.unidentified.contains(&sealed.id()));
        any && view.unidentified.insert(id)
    };
    if unidentified {
        shared.save_bad().await?;
    }
    // The index first: without its segment it is a leftover, and the segment's name decides.
    let older = shared.view().older_than(id);
    let index = write_index(&shared.disk, id, file, len, accounts, entries, older).await;
    let sealed = index.map_err(|error| shared.write_failed(&index_path(id), &error))?;
    // An index that is made again meanwhile would bring its segment back.
    let _rebuilding = shared.rebuilding.lock().await;
    let _naming = shared.naming.acquire().await.map_err(|_| StoreError::Closed)?;
    let to = segment_path(id);
    let named = async {
        shared.disk.rename(&path, &to).await?;
        shared.disk.sync_dir(DIR).await
    };
    named.await.map_err(|error| shared.fail(format!("name {to}: {error}")))?;
    let bytes = sealed.disk_bytes();
    let old: Vec<_> = run.iter().map(|sealed| sealed.id()).collect();
    let noted = {
        let mut view = shared.view();
        view.replace_sealed(&old, Some(Arc::new(sealed)));
        let before = view.bad.len();
        view.unidentified.retain(|segment| !old.contains(segment));
        view.bad.retain(|_, bad| match bad.at {
            BadPlace::Record { segment, .. } => !old.contains(&segment),
            _ => true,
        });
        view.bad.len() != before || unidentified
    };
    if noted {
        // Of what it has too much the next opening takes no notice.
        let _ = shared.save_bad().await;
    }
    for id in old {
        // One that stays is a leftover that opening removes.
        for path in [segment_path(id), index_path(id)] {
            if let Err(error) = shared.disk.remove(&path).await {
                tracing::warn!(path, %error, "a segment that was rewritten stays");
            }
        }
    }
    Ok(bytes)
}
