//! What the segments of a store lack of what its manifest says.

use std::collections::BTreeMap;

use super::{FILE, Manifest, Should, Summary, UnidentifiedRecords};
use crate::files::names::segment_path;
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId};

/// What a segment's file was found to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OnDisk {
    /// Its length, before anything was cut.
    pub(crate) len: u64,
    /// Ids of which it has a record.
    pub(crate) records: u64,
    /// Bytes of it that belong to no record. Where there are more than were known, and the
    /// file is as long as it was, that is damage which is noted for itself.
    pub(crate) unread: u64,
}

/// The files that lost something, and what; of segments that are in the store.
pub(crate) fn compare(
    manifest: &Manifest,
    held: &BTreeMap<SegmentId, OnDisk>,
) -> Vec<(String, UnidentifiedRecords)> {
    let mut lost = Vec::new();
    for (segment, should) in &manifest.segments {
        let found = match held.get(segment) {
            Some(held) => less(should, held),
            // What compaction made of it has what it had.
            None if held.keys().any(|other| other.supersedes(segment)) => None,
            None => missing(should),
        };
        lost.extend(found.map(|found| (segment_path(*segment), found)));
    }
    // A segment is in the manifest before it has a record.
    let newer = held.iter().find(|(segment, held)| {
        let begun = held.records > 0 || held.len > SEGMENT_HEADER_BYTES as u64;
        begun && segment.last >= manifest.next_segment
    });
    if let Some((segment, _)) = newer {
        let reason = format!("it is older than {}", segment_path(*segment));
        lost.push((FILE.to_owned(), UnidentifiedRecords::unknown(reason)));
    }
    lost
}

/// What a segment has less than it should.
fn less(should: &Should, held: &OnDisk) -> Option<UnidentifiedRecords> {
    let (len, records, ids, unread) = match should {
        Should::Sealed(Summary { len, records, ids, unread }) => (*len, *records, *ids, *unread),
        Should::Active { len, records, unread } => (*len, *records, None, *unread),
    };
    let (shorter, fewer, other) = match should {
        Should::Sealed(_) => (held.len < len, held.records < records, held.len > len),
        Should::Active { .. } => (held.len < len, held.records < records, false),
    };
    let reason = match should {
        _ if shorter => format!("it has {} of {len} bytes", held.len),
        _ if other => format!("it has {} bytes instead of {len}", held.len),
        _ if fewer && held.unread <= unread => {
            format!("it has records of {} of {records} objects", held.records)
        }
        _ => return None,
    };
    // The last record of an id may be gone, and an earlier one be there.
    let records = Some(records.saturating_sub(held.records).max(1));
    Some(UnidentifiedRecords { records, ids, reason })
}

/// What was lost with a file that is not there.
fn missing(should: &Should) -> Option<UnidentifiedRecords> {
    let reason = "it is missing".to_owned();
    match should {
        Should::Sealed(Summary { records: 0, .. }) => None,
        Should::Sealed(Summary { records, ids, .. }) => {
            Some(UnidentifiedRecords { records: Some(*records), ids: *ids, reason })
        }
        Should::Active { records, .. } => {
            Some(UnidentifiedRecords { records: Some(*records), ids: None, reason })
        }
    }
}
