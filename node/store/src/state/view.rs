//! Consistent view: where every object is at one moment.
//!
//! Invariant: a lookup sees each record in the order of its segment, whatever is being
//! sealed or compacted meanwhile, because every such change is one step under one lock,
//! and that lock is never held across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::File;

use crate::files::names::{large_path, segment_path};
use crate::format::account::Tally;
use crate::format::index::Place;
use crate::format::record::{RECORD_TRAILER_BYTES, header_len};
use crate::format::segment::SegmentId;
use crate::manifest::UnidentifiedRecords;
use crate::segment::sealed::Sealed;
use crate::segment::unsealed::Unsealed;

/// A record that holds an object.
#[derive(Clone, Debug)]
pub(crate) struct RecordLocation {
    pub(crate) segment: SegmentId,
    pub(crate) file: File,
    /// Where the record begins.
    pub(crate) offset: u32,
    /// Bytes of data in the file.
    pub(crate) stored: u32,
}

impl RecordLocation {
    /// Whether it is this place.
    pub(crate) fn is_at(&self, segment: SegmentId, offset: u32) -> bool {
        (self.segment, self.offset) == (segment, offset)
    }

    /// Bytes of the record, which is one of this id.
    pub(crate) fn record_len(&self, id: &ObjectId) -> usize {
        header_len(id.algorithm()) + self.stored as usize + RECORD_TRAILER_BYTES
    }
}

/// Where something damaged is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPlace {
    /// A record of a segment.
    Record {
        /// The segment.
        segment: SegmentId,
        /// Where in it.
        offset: u32,
    },
    /// A file of a large object.
    Large,
    /// It is no more, and nothing took its place.
    Dropped,
}

/// What is known to be damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) at: BadPlace,
    /// Length of the object, if that is known.
    pub(crate) size: u64,
    pub(crate) reason: String,
    /// A later put brought the object back.
    pub(crate) healed: bool,
    /// The disk would not read it: another opening tries again.
    pub(crate) unread: bool,
}

impl Bad {
    /// Something whose bytes are wrong.
    pub(crate) fn wrong(at: BadPlace, size: u64, reason: impl Into<String>) -> Self {
        Bad { at, size, reason: reason.into(), healed: false, unread: false }
    }

    /// Something that could not be read.
    pub(crate) fn unread(at: BadPlace, size: u64, error: &std::io::Error) -> Self {
        Bad { unread: true, ..Bad::wrong(at, size, error.to_string()) }
    }
}

impl Bad {
    /// The error that a get of it returns.
    pub(crate) fn error(&self, id: ObjectId) -> StoreError {
        let place = match self.at {
            BadPlace::Record { segment, .. } => format!(" in {}", segment_path(segment)),
            BadPlace::Large => format!(" in {}", large_path(id)),
            BadPlace::Dropped => String::new(),
        };
        StoreError::Damaged { id, reason: format!("{}{place}", self.reason) }
    }
}

/// What the segments in memory, and the names of large objects, say of an id.
pub(crate) enum Near {
    /// A record holds it.
    At(RecordLocation),
    /// A file of its own holds it.
    Large,
    /// It was deleted.
    Deleted,
    /// Ask the sealed segments, the first that knows it decides.
    Ask(Arc<[Arc<Sealed>]>),
}

/// What segments say of an id that were written to lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recent {
    /// The object is there and sound.
    Held,
    /// It is there and damaged.
    Damaged,
    /// It was deleted.
    Deleted,
    /// Nothing.
    Unknown,
}

/// How far a lookup has seen: the number of the newest segment that was sealed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(Option<u32>);

/// The segments, large objects and damages of a store.
#[derive(Debug)]
pub(crate) struct View {
    /// The segment that puts are appended to.
    pub(crate) active: Option<Unsealed>,
    /// Full segments whose indexes are being written; newest first.
    pub(crate) frozen: Vec<Arc<Unsealed>>,
    /// Newest first.
    pub(crate) sealed: Arc<[Arc<Sealed>]>,
    /// Large objects and the lengths of their files.
    pub(crate) large: BTreeMap<ObjectId, u64>,
    /// What gets found, or scrub.
    pub(crate) bad: BTreeMap<ObjectId, Bad>,
    /// Segments with records that cannot be read so far that nobody knows whose they are.
    /// While there are any, what is not found is not said to be absent.
    pub(crate) unidentified: BTreeSet<SegmentId>,
    /// Scans that met such records since the store was opened.
    pub(crate) unidentified_scans: u64,
    /// Files that lost records, by their paths, and what is known of those: while there are any,
    /// the ids that may be among them are not said to be absent either.
    pub(crate) lost: BTreeMap<String, UnidentifiedRecords>,
}

/// The view as it is now. Its lock is never held across an await.
#[derive(Debug)]
pub(crate) struct CurrentView(Mutex<View>);

impl CurrentView {
    /// Begins with what opening found.
    pub(crate) fn new(view: View) -> Self {
        CurrentView(Mutex::new(view))
    }

    /// The view, for a step.
    pub(crate) fn lock(&self) -> MutexGuard<'_, View> {
        self.0.lock().expect("nothing panics while it holds the view")
    }
}

impl View {
    /// Notes how far the active segment's file reaches.
    pub(crate) fn reaches(&mut self, file_len: u64) {
        if let Some(active) = &mut self.active {
            active.file_len = file_len;
        }
    }

    /// What is known of an id without reading.
    pub(crate) fn near(&self, id: &ObjectId) -> Near {
        if let Some((segment, place)) = self.unsealed(id) {
            return match place {
                Place::Object { offset, stored } => {
                    let (segment, file) = (segment.id, segment.file.clone());
                    Near::At(RecordLocation { segment, file, offset, stored })
                }
                Place::Tombstone { .. } => Near::Deleted,
            };
        }
        if self.is_large(id) {
            return Near::Large;
        }
        Near::Ask(self.sealed.clone())
    }

    /// The latest place of an id that is indexed in memory.
    fn unsealed(&self, id: &ObjectId) -> Option<(&Unsealed, Place)> {
        let mut unsealed = self.active.iter().chain(self.frozen.iter().map(|frozen| &**frozen));
        unsealed.find_map(|segment| Some((segment, segment.places.get(id)?)))
    }

    /// Whether a file of its own has the id.
    pub(crate) fn is_large(&self, id: &ObjectId) -> bool {
        !self.large.is_empty() && self.large.contains_key(id)
    }

    /// What is damaged under an id, if anything is.
    pub(crate) fn bad(&self, id: &ObjectId) -> Option<&Bad> {
        // Nearly always there is none at all.
        if self.bad.is_empty() { None } else { self.bad.get(id) }
    }

    /// Why an id of which nothing is known may be one that was lost; `None` when it is absent.
    pub(crate) fn doubt(&self, id: &ObjectId) -> Option<String> {
        let mut lost = self.lost.iter().filter(|(_, lost)| lost.may_have(id));
        if let Some((path, lost)) = lost.next() {
            return Some(format!("it may be what {path} lost: {}", lost.reason));
        }
        let segment = self.unidentified.first()?;
        Some(format!("it may be what cannot be read in {}", segment_path(*segment)))
    }

    /// Files with records that cannot be named: those that cannot be read, and those that
    /// are lost.
    pub(crate) fn doubtful_files(&self) -> usize {
        let unread = self.unidentified.iter().map(|segment| segment_path(*segment));
        let only_unread = unread.filter(|path| !self.lost.contains_key(path)).count();
        self.lost.len() + only_unread
    }

    /// What the segments that are indexed in memory say of an id.
    pub(crate) fn recent(&self, id: &ObjectId) -> Recent {
        match self.unsealed(id) {
            None => Recent::Unknown,
            Some((_, Place::Tombstone { .. })) => Recent::Deleted,
            Some((segment, Place::Object { offset, .. })) => self.recent_at(id, segment.id, offset),
        }
    }

    /// The same for an id whose latest record is this.
    pub(crate) fn recent_at(&self, id: &ObjectId, segment: SegmentId, offset: u32) -> Recent {
        match self.bad(id) {
            Some(bad) if bad.is_record(segment, offset) => Recent::Damaged,
            _ => Recent::Held,
        }
    }

    /// The newest sealed segment: what a put has seen that finds nothing in any.
    pub(crate) fn seen(&self) -> Seen {
        Seen(self.sealed.first().map(|sealed| sealed.id().last))
    }

    /// Segments that were sealed since, newest first.
    pub(crate) fn sealed_since(&self, seen: Seen) -> Vec<Arc<Sealed>> {
        let since = |sealed: &&Arc<Sealed>| Some(sealed.id().last) > seen.0;
        self.sealed.iter().take_while(since).cloned().collect()
    }

    /// Segments with a record that the disk would not read.
    pub(crate) fn unread(&self) -> BTreeSet<SegmentId> {
        let unread = self.bad.values().filter(|bad| bad.unread);
        let segment = |bad: &Bad| match bad.at {
            BadPlace::Record { segment, .. } => Some(segment),
            BadPlace::Large | BadPlace::Dropped => None,
        };
        unread.filter_map(segment).collect()
    }

    /// Whether a segment is part of the store.
    pub(crate) fn has_segment(&self, id: SegmentId) -> bool {
        self.active.as_ref().is_some_and(|active| active.id == id)
            || self.frozen.iter().any(|frozen| frozen.id == id)
            || self.sealed.iter().any(|sealed| sealed.id() == id)
    }

    /// The sealed segments that a lookup asks after this one.
    pub(crate) fn older_than(&self, id: SegmentId) -> Vec<Arc<Sealed>> {
        self.sealed.iter().filter(|sealed| sealed.id().last < id.first).cloned().collect()
    }

    /// Replaces `old` by `new` among the sealed segments.
    pub(crate) fn replace_sealed(&mut self, old: &[SegmentId], new: Option<Arc<Sealed>>) {
        let kept = self.sealed.iter().filter(|sealed| !old.contains(&sealed.id())).cloned();
        let mut sealed: Vec<_> = kept.chain(new).collect();
        sealed.sort_by_key(|sealed| std::cmp::Reverse(sealed.id()));
        self.sealed = sealed.into();
    }

    /// Live objects in segments: held, less killed, plus settled, less damaged.
    pub(crate) fn live(&self) -> Tally {
        let mut live = Tally::default();
        let mut dead = Tally::default();
        let unsealed = self.active.iter().chain(self.frozen.iter().map(|frozen| &**frozen));
        let accounts = unsealed.map(|segment| &segment.accounts);
        for accounts in accounts.chain(self.sealed.iter().map(|sealed| sealed.accounts())) {
            live += accounts.held;
            live += accounts.settled;
            accounts.kills.values().for_each(|killed| dead += *killed);
        }
        for bad in self.bad.values().filter(|bad| matches!(bad.at, BadPlace::Record { .. })) {
            dead += Tally::one(0, bad.size);
        }
        live -= dead;
        live
    }

    /// Dead records of each sealed segment, in the order of the segments.
    pub(crate) fn garbage(&self) -> Vec<(Arc<Sealed>, Tally)> {
        let mut killed: BTreeMap<u32, Tally> = BTreeMap::new();
        let unsealed = self.active.iter().chain(self.frozen.iter().map(|frozen| &**frozen));
        let accounts = unsealed.map(|segment| &segment.accounts);
        for accounts in accounts.chain(self.sealed.iter().map(|sealed| sealed.accounts())) {
            for (victim, tally) in &accounts.kills {
                *killed.entry(*victim).or_default() += *tally;
            }
        }
        let dead = |sealed: &Arc<Sealed>| {
            let id = sealed.id();
            let mut dead = Tally::default();
            killed.range(id.first..=id.last).for_each(|(_, tally)| dead += *tally);
            dead -= sealed.accounts().settled;
            (sealed.clone(), dead)
        };
        self.sealed.iter().rev().map(dead).collect()
    }
}

impl Bad {
    /// Whether it is this record that is damaged.
    pub(crate) fn is_at(&self, location: &RecordLocation) -> bool {
        self.is_record(location.segment, location.offset)
    }

    fn is_record(&self, segment: SegmentId, offset: u32) -> bool {
        self.at == BadPlace::Record { segment, offset }
    }
}
