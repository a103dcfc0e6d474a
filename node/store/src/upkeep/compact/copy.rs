//! What of a segment goes into the one that takes its place.

use std::sync::Arc;

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::StoreError;

use super::output::Output;
use crate::codec::decode::data_of;
use crate::codec::encode::EncodedRecord;
use crate::error::read_failed;
use crate::files::names::{index_path, segment_path};
use crate::format::account::Tally;
use crate::format::index::{Entry, Place};
use crate::format::record::{Content, RecordHead};
use crate::format::segment::SegmentId;
use crate::read::lookup::{is_latest, rebuild_index};
use crate::segment::scan::{Reader, read_accounts};
use crate::segment::sealed::{Sealed, parts};
use crate::state::shared::Shared;
use crate::state::view::{Bad, BadPlace, RecordLocation};
use crate::upkeep::pace::Pace;

/// Copies what lives of a segment of a run.
///
/// # Errors
/// [`StoreError::Io`] where the disk would not read it.
pub(super) async fn copy_segment(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    sealed: &Arc<Sealed>,
    output: &mut Output,
    pace: &mut Pace,
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
        pace.pass(record.head.record_len()).await;
        match content {
            Content::Object { size, .. } => {
                let latest = is_latest(shared, &id, sealed.id(), record.offset).await?;
                let known_bad = || {
                    shared.view().bad(&id).is_some_and(|bad| {
                        let (segment, offset) = (sealed.id(), record.offset);
                        bad.at == BadPlace::Record { segment, offset }
                    })
                };
                match record.data {
                    Some(data) if latest && !known_bad() => {
                        // Copied as it is: neither unpacked nor hashed.
                        pace.pass(record.head.record_len()).await;
                        output.push(shared, EncodedRecord::new(record.head, data)).await?;
                    }
                    _ if latest => {
                        let at = BadPlace::Record { segment: sealed.id(), offset: record.offset };
                        let bad = Bad::wrong(at, size.into(), "the checksum of its record");
                        drop_bad(shared, output, id, bad)?;
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
                    pace.pass(record.head.record_len()).await;
                    let encoded = match record.data {
                        Some(data) => EncodedRecord::new(record.head, data),
                        None => again(id, victim),
                    };
                    output.push(shared, encoded).await?;
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
fn again(id: ObjectId, victim: u32) -> EncodedRecord {
    EncodedRecord::tombstone(id, victim, Tally::default())
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
    rebuild_index(shared, &sealed).await?;
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
    let location = RecordLocation { segment, file, offset, stored };
    let len = location.record_len(&id);
    if !is_latest(shared, &id, segment, offset).await? {
        // What it held is not known any more: it counts as raw, as when it was killed.
        output.accounts.settled += Tally::one(len as u64, stored.into());
        return Ok(());
    }
    let read = location.file.read_at(offset.into(), len).await;
    let record = read.map_err(|error| read_failed(&segment_path(segment), &error))?;
    let head = RecordHead::parse(&record, segment, offset.into()).filter(|head| head.id == id);
    let kept = |head| Some(EncodedRecord::new(head, data_of(&head, &record)?));
    match head.and_then(kept) {
        Some(encoded) => output.push(shared, encoded).await,
        None => {
            let at = BadPlace::Record { segment, offset };
            drop_bad(shared, output, id, Bad::wrong(at, stored.into(), "its record's header"))
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
/// says, or else as `bad`. It is to be on the list before the record goes.
///
/// # Errors
/// When there is no room on the list: then the record has to stay.
fn drop_bad(
    shared: &Shared,
    output: &mut Output,
    id: ObjectId,
    bad: Bad,
) -> Result<(), StoreError> {
    let mut view = shared.view();
    let reason = match view.bad.get(&id) {
        Some(noted) if noted.at == bad.at => noted.reason.clone(),
        _ => bad.reason,
    };
    if !view.note(id, Bad::wrong(BadPlace::Dropped, bad.size, reason)) {
        let (doing, reason) = (format!("note {id} as damaged"), "the list is full".to_owned());
        return Err(StoreError::Io { doing, reason, kind: std::io::ErrorKind::QuotaExceeded });
    }
    output.noted = true;
    Ok(())
}
