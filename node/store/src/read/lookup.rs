//! Lookup: finding an object's record, and reading it.
//!
//! A get costs one read of an index and one of the record; an id that is absent costs none. A
//! filter that lets an id pass which its segment does not have, one in 8,192, costs a read more.
//! For a moment after the opening, until the indexes' directories are in memory
//! (`open/load.rs`), each segment that is asked costs two.

use std::sync::Arc;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectId};
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::is_full;

use crate::codec::decode::{data_of, object_of};
use crate::codec::pack::Unpacker;
use crate::error::read_failed;
use crate::files::names::{index_path, segment_path};
use crate::format::index::Place;
use crate::format::record::RecordHead;
use crate::format::segment::SegmentId;
use crate::segment::scan::{Tail, scan};
use crate::segment::sealed::{IndexError, Sealed, write_index};
use crate::state::shared::Shared;
use crate::state::view::{Bad, BadPlace, Near, Recent, RecordLocation};

/// Lookups that begin again because an index was made again or a segment rewritten.
const LOOKUPS_MAX: usize = 4;

/// Where an object is.
pub(crate) enum ObjectLocation {
    /// In a record.
    Record(RecordLocation),
    /// In a file of its own.
    Large,
}

/// The latest that the store knows of an id.
pub(crate) enum Latest {
    Held(ObjectLocation),
    Deleted,
    Unknown,
}

/// Where a sound object is; `None` when there is none.
///
/// # Errors
/// [`StoreError::Damaged`], or when an index could not be read.
pub(crate) async fn locate(
    shared: &Arc<Shared>,
    id: &ObjectId,
) -> Result<Option<ObjectLocation>, StoreError> {
    let latest = latest(shared, id).await?;
    let view = shared.view();
    let Some(bad) = view.bad(id) else {
        return match latest {
            Latest::Held(held) => Ok(Some(held)),
            Latest::Deleted => Ok(None),
            Latest::Unknown => match view.doubt(id) {
                Some(reason) => Err(StoreError::Damaged { id: *id, reason }),
                None => Ok(None),
            },
        };
    };
    match latest {
        // A later put brought it back.
        Latest::Held(ObjectLocation::Record(location)) if !bad.is_at(&location) => {
            Ok(Some(ObjectLocation::Record(location)))
        }
        Latest::Held(ObjectLocation::Large) if bad.at != BadPlace::Large => {
            Ok(Some(ObjectLocation::Large))
        }
        Latest::Deleted => Ok(None),
        Latest::Held(_) | Latest::Unknown => Err(bad.error(*id)),
    }
}

/// Whether a sound object is held.
///
/// # Errors
/// When an index could not be read.
pub(crate) async fn holds(shared: &Arc<Shared>, id: &ObjectId) -> Result<bool, StoreError> {
    match locate(shared, id).await {
        Ok(held) => Ok(held.is_some()),
        Err(StoreError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which of these objects are held soundly, in order.
///
/// # Errors
/// Each when an index could not be read.
pub(crate) async fn which_held(
    shared: &Arc<Shared>,
    ids: &[ObjectId],
) -> Vec<Result<bool, StoreError>> {
    let mut held = Vec::with_capacity(ids.len());
    for ids in ids.chunks(limits::LOOKED_UP_AT_ONCE) {
        let (recent, sealed) = {
            let view = shared.view();
            let recent = ids.iter().map(|id| (view.recent(id), view.is_large(id)));
            (recent.collect::<Vec<_>>(), view.sealed.clone())
        };
        for (id, (recent, large)) in ids.iter().zip(recent) {
            held.push(match recent {
                Recent::Held => Ok(true),
                Recent::Damaged | Recent::Deleted => Ok(false),
                // Most new objects end here.
                Recent::Unknown if !large && !sealed.iter().any(|sealed| sealed.may_have(id)) => {
                    Ok(false)
                }
                Recent::Unknown => holds(shared, id).await,
            });
        }
    }
    held
}

/// What these segments say of an id, the first that knows it. One that cannot be read
/// knows nothing: the worst is a second record of an object that is there.
pub(crate) async fn recent_in(shared: &Shared, sealed: &[Arc<Sealed>], id: &ObjectId) -> Recent {
    match ask(sealed, id).await {
        Ok(Latest::Held(ObjectLocation::Record(location))) => {
            shared.view().recent_at(id, location.segment, location.offset)
        }
        Ok(Latest::Deleted) => Recent::Deleted,
        Ok(Latest::Held(ObjectLocation::Large) | Latest::Unknown) | Err(_) => Recent::Unknown,
    }
}

/// The latest record of an id, sound or not.
///
/// # Errors
/// When an index could not be read.
pub(crate) async fn latest(shared: &Arc<Shared>, id: &ObjectId) -> Result<Latest, StoreError> {
    let mut last = None;
    for _ in 0..LOOKUPS_MAX {
        let near = shared.view().near(id);
        let sealed = match near {
            Near::At(location) => return Ok(Latest::Held(ObjectLocation::Record(location))),
            Near::Large => return Ok(Latest::Held(ObjectLocation::Large)),
            Near::Deleted => return Ok(Latest::Deleted),
            Near::Ask(sealed) => sealed,
        };
        match ask(&sealed, id).await {
            Ok(latest) => return Ok(latest),
            Err((segment, error)) => {
                let path = index_path(segment.id());
                last = Some(match error {
                    IndexError::Io(error) => read_failed(&path, &error),
                    _ => StoreError::Damaged { id: *id, reason: format!("its entry in {path}") },
                });
                // In a box, for it is rare and would make the future of every get large.
                Box::pin(rebuild_index(shared, &segment)).await?;
            }
        }
    }
    Err(last.expect("only an error begins a lookup again"))
}

/// Whether the latest record of an id is the one that begins there.
///
/// # Errors
/// When an index could not be read.
pub(crate) async fn is_latest(
    shared: &Arc<Shared>,
    id: &ObjectId,
    segment: SegmentId,
    offset: u32,
) -> Result<bool, StoreError> {
    let latest = latest(shared, id).await?;
    Ok(matches!(latest, Latest::Held(ObjectLocation::Record(at)) if at.is_at(segment, offset)))
}

/// Makes a segment's index again from its records.
///
/// # Errors
/// When the segment cannot be read, or the index, or what is damaged, not written;
/// [`StoreError::Closed`].
pub(crate) async fn rebuild_index(
    shared: &Arc<Shared>,
    damaged: &Arc<Sealed>,
) -> Result<(), StoreError> {
    let _one = shared.rebuilding.lock().await;
    if shared.naming.is_closed() {
        // Its files may be another process's by now.
        return Err(StoreError::Closed);
    }
    let id = damaged.id();
    if !shared.view().sealed.iter().any(|sealed| Arc::ptr_eq(sealed, damaged)) {
        // It was made again, or compacted, while this one waited.
        return Ok(());
    }
    let path = segment_path(id);
    tracing::warn!(path, "its index is damaged and is made again");
    let scanned = scan(&damaged.file, id, damaged.len, Tail::Sealed).await;
    let scanned = scanned.map_err(|error| read_failed(&path, &error))?;
    shared.damage.note_scanned(id, &scanned);
    shared.damage.keep().await?;
    let (file, entries) = (damaged.file.clone(), scanned.places.entries());
    let (ids, unread) = (scanned.places.ids(), scanned.skipped);
    let accounts = scanned.accounts;
    let made = write_index(&shared.disk, id, file, damaged.len, accounts, entries).await;
    let sealed = made.map_err(|error| match is_full(&error) {
        true => StoreError::DiskFull,
        false => read_failed(&index_path(id), &error),
    })?;
    shared.view().replace_sealed(&[id], Some(Arc::new(sealed.with(ids, unread))));
    // What it lacks now is on the list of damage. Until the manifest says so too, another
    // opening finds it once more.
    if let Err(error) = shared.manifest.keep().await {
        tracing::warn!(path, %error, "the manifest has what the segment held before");
    }
    Ok(())
}

/// Reads the object that a record holds and verifies the record's checksums.
///
/// # Errors
/// [`StoreError::Damaged`]; then the record is noted as damaged.
pub(crate) async fn read_record(
    shared: &Arc<Shared>,
    id: ObjectId,
    location: &RecordLocation,
) -> Result<Object, StoreError> {
    let (segment, offset, size) = (location.segment, location.offset, location.stored.into());
    let at = BadPlace::Record { segment, offset };
    let read = location.file.read_at(offset.into(), location.record_len(&id)).await;
    let record = read.map_err(|error| shared.damage.note_unread(id, at, size, &error))?;
    let decoded = decode(id, location, &record, &shared.codecs.unpacker);
    decoded.map_err(|reason| shared.damage.note(id, Bad::wrong(at, size, reason)))
}

/// Asks the segments from the newest on; the error names the one whose index failed.
async fn ask(sealed: &[Arc<Sealed>], id: &ObjectId) -> Result<Latest, (Arc<Sealed>, IndexError)> {
    for segment in sealed.iter().filter(|segment| segment.may_have(id)) {
        match segment.find(id).await {
            Ok(None) => {}
            Ok(Some(Place::Object { offset, stored })) => {
                let file = segment.file.clone();
                let location = RecordLocation { segment: segment.id(), file, offset, stored };
                return Ok(Latest::Held(ObjectLocation::Record(location)));
            }
            Ok(Some(Place::Tombstone { .. })) => return Ok(Latest::Deleted),
            Err(error) => return Err((segment.clone(), error)),
        }
    }
    Ok(Latest::Unknown)
}

/// The object in a whole record, or what is wrong with it.
fn decode(
    id: ObjectId,
    location: &RecordLocation,
    record: &Bytes,
    unpacker: &Unpacker,
) -> Result<Object, &'static str> {
    let head = RecordHead::parse(record, location.segment, location.offset.into());
    let Some(head) = head.filter(|head| head.id == id) else { return Err("its record's header") };
    let data = data_of(&head, record).ok_or("the checksum of its record")?;
    object_of(&head, data, unpacker)
}
