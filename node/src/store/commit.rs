//! Group commit: one task appends what all puts queued, syncs once, then answers.
//!
//! Invariant: an object enters the index, and its put is answered, only after the sync that
//! covers its record (or its write, where the configuration wants no syncs). After a failed write or sync nothing is written any more: a page that
//! failed to sync may silently pass for clean.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gitstratum_host::disk::DiskLock;
use tokio::sync::{mpsc, oneshot};

use super::index::Location;
use super::record::{
    Contents, RECORD_HEADER_BYTES, RECORD_TRAILER_BYTES, record_header, record_len,
};
use super::segment::{self, Segment};
use super::shared::Shared;
use super::{StoreError, Stored};
use crate::limits;
use crate::object::{Object, ObjectId};

/// Smaller data is copied beside its header, so that a group has few buffers.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// The objects of one put, to be stored together.
pub(super) struct Queued {
    pub(super) objects: Vec<Object>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Vec<Result<Stored, StoreError>>>,
}

/// Appends groups to the active segment until the queue closes. Holds the directory's lock
/// until the last of them is written, however the store was left.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut queue: mpsc::UnboundedReceiver<Queued>,
    mut active: Option<Segment>,
    lock: DiskLock,
) {
    while let Some(first) = queue.recv().await {
        let mut group = vec![first];
        let mut bytes = group[0].bytes;
        while bytes < limits::GROUP_BYTES_MAX {
            let Ok(next) = queue.try_recv() else { break };
            bytes += next.bytes;
            group.push(next);
        }
        let committed = commit(&shared, &mut active, &group).await;
        answer(&shared, group, &committed);
    }
    if let Some(segment) = active.filter(|_| !shared.fsync())
        && let Err(error) = segment.file.sync_data().await
    {
        tracing::warn!(%error, "the last sync before closing failed");
    }
    // A large object gets its name while the directory is locked, or not at all.
    let naming = shared.naming.acquire().await;
    shared.naming.close();
    drop(naming);
    shared.remove_abandoned().await;
    drop(lock);
}

fn answer(shared: &Shared, group: Vec<Queued>, committed: &Result<Fresh, StoreError>) {
    for (place, queued) in group.into_iter().enumerate() {
        let answers = queued.objects.iter().enumerate().map(|(at, object)| match committed {
            Ok(fresh) => Ok(Stored {
                bytes: object.size_bytes(),
                durability: shared.durability(),
                already_present: fresh.get(&object.id()) != Some(&(place, at)),
            }),
            Err(error) => Err(error.clone()),
        });
        // A caller that went away needs no answer.
        let _ = queued.answer.send(answers.collect());
        shared.release_queue(queued.bytes);
    }
}

/// The objects a group brought, each with the first place that brought it.
type Fresh = BTreeMap<ObjectId, (usize, usize)>;

/// Writes what is new in a group and enters it into the index.
async fn commit(
    shared: &Shared,
    active: &mut Option<Segment>,
    group: &[Queued],
) -> Result<Fresh, StoreError> {
    shared.check_writable()?;
    let mut fresh = Fresh::new();
    let mut records = Vec::new();
    {
        let index = shared.lock_index();
        for (place, queued) in group.iter().enumerate() {
            for (at, object) in queued.objects.iter().enumerate() {
                if !index.holds(&object.id()) && !fresh.contains_key(&object.id()) {
                    fresh.insert(object.id(), (place, at));
                    records.push(object);
                }
            }
        }
    }
    if records.is_empty() {
        return Ok(fresh);
    }
    let bytes = records.iter().map(|object| bytes_of(object)).sum();
    let segment = room_for(shared, active, bytes).await?;
    let start = segment.len;
    let buffers = encode(&records, segment.number, start);
    let written = match shared.fsync() {
        true => segment.file.write_at_and_sync(start, buffers).await,
        false => segment.file.write_at(start, buffers).await,
    };
    if let Err(error) = written {
        return Err(undo(shared, segment, error).await);
    }
    segment.len += bytes;
    publish(shared, segment.number, start, &records);
    shared.count_write(bytes, bytes, u64::from(shared.fsync()));
    Ok(fresh)
}

fn publish(shared: &Shared, segment: u64, mut offset: u64, records: &[&Object]) {
    let mut index = shared.lock_index();
    for object in records {
        let size_bytes = object.size_bytes();
        let location =
            Location { segment, offset, size_bytes, kind: object.kind(), damaged: false };
        index.insert(object.id(), location);
        offset += bytes_of(object);
    }
}

fn bytes_of(object: &Object) -> u64 {
    record_len(object.size_bytes()).expect("a whole object is small")
}

/// The records for their place in a segment, as few buffers: small data beside its header, large data shared, not copied.
fn encode(records: &[&Object], segment: u64, mut offset: u64) -> Vec<Bytes> {
    let mut buffers = Vec::new();
    let small: usize = records
        .iter()
        .map(|object| Some(object.data().len()).filter(|len| *len <= COPIED_BYTES_MAX).unwrap_or(0))
        .sum();
    let overhead = RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;
    let mut arena = BytesMut::with_capacity(small + records.len() * overhead);
    for object in records {
        let data = object.data();
        arena.put_slice(&record_header(&object.head(), segment, offset));
        if data.len() <= COPIED_BYTES_MAX {
            arena.put_slice(data);
        } else {
            buffers.push(arena.split().freeze());
            buffers.push(data.clone());
        }
        arena.put_u32_le(crc32c::crc32c(data));
        offset += bytes_of(object);
    }
    buffers.push(arena.freeze());
    buffers
}

/// The active segment, a new one if there is none or the old one is full.
async fn room_for<'a>(
    shared: &Shared,
    active: &'a mut Option<Segment>,
    bytes: u64,
) -> Result<&'a mut Segment, StoreError> {
    let limit = shared.segment_bytes_max();
    let fits = active.as_ref().is_some_and(|segment| segment.len + bytes <= limit);
    if !fits {
        if let Some(sealed) = active.as_ref().filter(|_| !shared.fsync()) {
            // Recovery syncs the last segment only, and relies on those before it.
            let synced = sealed.file.sync_data().await;
            synced.map_err(|error| shared.write_failed(&segment::path(sealed.number), &error))?;
            shared.count_write(0, 0, 1);
        }
        let number = shared.next_number();
        let path = segment::path(number);
        let created = segment::create(shared.disk(), &path, number, Contents::Many).await;
        match created {
            Ok(segment) => {
                shared.count_segment(segment.len);
                shared.remember_file(number, segment.file.clone());
                *active = Some(segment);
            }
            Err(error) => {
                // It holds nothing; what is left of it is removed when the store is opened.
                let _ = shared.disk().remove(&path).await;
                return Err(shared.write_failed(&path, &error));
            }
        }
    }
    Ok(active.as_mut().expect("made just now if there was none"))
}

/// After a failed write: a full disk leaves the store as it was before the group, anything
/// else ends all writing.
async fn undo(shared: &Shared, segment: &Segment, error: std::io::Error) -> StoreError {
    let path = segment::path(segment.number);
    let failed = shared.write_failed(&path, &error);
    if matches!(failed, StoreError::DiskFull)
        && let Err(error) = segment.file.set_len(segment.len).await
    {
        return shared.fail(format!("cut {path} after the disk was full: {error}"));
    }
    failed
}
