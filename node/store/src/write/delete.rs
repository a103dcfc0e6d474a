//! Bulk deletion: a tombstone for each record, a file less for each large object.
//!
//! The bytes stay until compaction rewrites their segment. What garbage collection deletes
//! must be its own proof that nobody refers to it: a store knows nothing of references.

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::{Deleted, StoreError};

use crate::codec::encode::EncodedRecord;
use crate::files::names::{LARGE_DIR, large_path};
use crate::format::account::Tally;
use crate::format::large::large_size_of;
use crate::format::record::{
    Content, RECORD_HEADER_BYTES_MAX, RECORD_TRAILER_BYTES, RecordHead, header_len,
};
use crate::read::lookup::{Latest, ObjectLocation, latest};
use crate::state::shared::Shared;
use crate::state::view::{Bad, BadPlace, RecordLocation};

/// Deletes what is there of these objects, durably.
pub(crate) async fn delete(shared: &Arc<Shared>, ids: &[ObjectId]) -> Result<Deleted, StoreError> {
    let mut deleted = Deleted::default();
    for ids in ids.chunks(limits::BATCH_OBJECTS_MAX) {
        let seen = shared.view().seen();
        let (mut tombstones, mut payloads) = (Vec::new(), Vec::new());
        let mut forgotten = Vec::new();
        for id in ids {
            match latest(shared, id).await? {
                Latest::Held(ObjectLocation::Record(location)) => {
                    let dead = dead(*id, &location).await;
                    payloads.push(dead.payload);
                    tombstones.push(EncodedRecord::tombstone(*id, location.segment.last, dead));
                }
                Latest::Held(ObjectLocation::Large) => {
                    deleted.payload_bytes += remove_large(shared, *id).await?;
                    deleted.objects += 1;
                    forgotten.extend(forget(shared, id));
                }
                Latest::Deleted => {}
                Latest::Unknown => forgotten.extend(forget(shared, id)),
            }
        }
        if !tombstones.is_empty() {
            let written = shared.queue.write(tombstones, seen).await;
            // One that was named twice, or that another deleted meanwhile, counts once.
            for (written, payload) in written.into_iter().zip(payloads) {
                if !written?.already_present {
                    deleted.objects += 1;
                    deleted.payload_bytes += payload;
                }
            }
        }
        if !forgotten.is_empty()
            && let Err(error) = shared.damage.save().await
        {
            // They are still on the list, and for whoever tries again.
            shared.view().bad.extend(forgotten);
            return Err(error);
        }
    }
    Ok(deleted)
}

/// What the record at `location` takes. One that cannot be read counts as raw.
async fn dead(id: ObjectId, location: &RecordLocation) -> Tally {
    let at = u64::from(location.offset);
    let overhead = header_len(id.algorithm()) + RECORD_TRAILER_BYTES;
    let bytes = overhead as u64 + u64::from(location.stored);
    let read = location.file.read_at(at, RECORD_HEADER_BYTES_MAX).await;
    let head = read.ok().and_then(|header| RecordHead::parse(&header, location.segment, at));
    match head.map(|head| head.content) {
        Some(Content::Object { size, .. }) => Tally::one(bytes, size.into()),
        _ => Tally::one(bytes, location.stored.into()),
    }
}

/// No longer counts an object as damaged that nothing is left of; what was counted.
fn forget(shared: &Shared, id: &ObjectId) -> Option<(ObjectId, Bad)> {
    let mut view = shared.view();
    let gone = view.bad(id).is_some_and(|bad| !matches!(bad.at, BadPlace::Record { .. }));
    if gone { view.bad.remove_entry(id) } else { None }
}

/// Removes a large object's file and returns the object's size.
async fn remove_large(shared: &Shared, id: ObjectId) -> Result<u64, StoreError> {
    shared.health.check_writable()?;
    let _naming = shared.naming.acquire().await?;
    // Opened before anything is removed: it can then not be wanting.
    let directory = shared.disk.open_dir(LARGE_DIR).await;
    let directory = directory.map_err(|error| shared.health.write_failed(LARGE_DIR, &error))?;
    let Some(len) = shared.view().large.get(&id).copied() else { return Ok(0) };
    shared.large_names.note(id, None).await?;
    shared.view().large.remove(&id);
    let path = large_path(id);
    let removed = async {
        shared.disk.remove(&path).await?;
        directory.sync().await
    };
    removed.await.map_err(|error| shared.health.fail(format!("remove {path}: {error}")))?;
    Ok(large_size_of(len))
}
