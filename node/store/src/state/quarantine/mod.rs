//! List of damage: what is known to be damaged, and stays known after a restart.
//!
//! A damaged record is never served and never copied, but its object is not absent: a get
//! says "damaged", so that whoever asks fetches it from another replica, until a put brings
//! it back or it is deleted. Where not even the id can be read, or a file is not what the
//! manifest says, nothing that is missing is called absent, until all was compared with every
//! peer. The list is one small text file, replaced as a whole ([`list`]).

mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::StoreError;
use gitstratum_host::Disk;
use gitstratum_host::disk::{is_exhausted, is_full};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::read_failed;
use crate::files::names::LARGE_DIR;
use crate::format::segment::SegmentId;
use crate::manifest::UnidentifiedRecords;
use crate::segment::scan::Contents;
use crate::state::health::Health;
use crate::state::naming::Naming;
use crate::state::view::{Bad, BadPlace, CurrentView, View};
use list::encode;
pub(crate) use list::{FILE, load};

/// The list of a store that is open: what is known is in the view, and here is whether the file
/// says as much.
pub(crate) struct DamageList {
    disk: Disk,
    view: Arc<CurrentView>,
    naming: Arc<Naming>,
    health: Arc<Health>,
    /// How often it was written.
    sequence: AtomicU64,
    /// Whether more is known than the file says.
    unsaved: AtomicBool,
    /// Held while it is written.
    writing: Mutex<()>,
}

impl DamageList {
    /// Goes on with the list that was found, which was written so often.
    pub(crate) fn new(
        disk: Disk,
        view: Arc<CurrentView>,
        naming: Arc<Naming>,
        health: Arc<Health>,
        sequence: u64,
    ) -> Self {
        let (sequence, unsaved) = (AtomicU64::new(sequence), AtomicBool::default());
        DamageList { disk, view, naming, health, sequence, unsaved, writing: Mutex::default() }
    }

    /// How often the list was written.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Keeps the list from being written until this is dropped.
    pub(crate) async fn hold(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// Notes something as damaged and returns what to say of it.
    pub(crate) fn note(self: &Arc<Self>, id: ObjectId, bad: Bad) -> StoreError {
        let error = bad.error(id);
        let new = {
            let mut view = self.view.lock();
            let known = view.bad.get(&id).is_some_and(|known| known.at == bad.at);
            !known && view.note(id, bad)
        };
        if new {
            tracing::error!(%error, "damaged");
            self.outdate();
            let list = self.clone();
            // Not waited for: whoever reads wants an answer, and until the note is durable
            // the damage is found again after a restart as it was found now.
            tokio::spawn(async move { list.keep().await });
        }
        error
    }

    /// Notes what the disk would not read as damaged, of whatever reason: its bytes are not to
    /// be had from here. Returns what to say of it.
    pub(crate) fn note_unread(
        self: &Arc<Self>,
        id: ObjectId,
        at: BadPlace,
        size: u64,
        error: &std::io::Error,
    ) -> StoreError {
        // The process ends, and the disk was not even asked.
        if error.kind() == std::io::ErrorKind::Interrupted {
            return read_failed(&id.to_string(), error);
        }
        self.note(id, Bad::unread(at, size, error))
    }

    /// Notes what a scan found damaged. To be kept ([`DamageList::keep`]) before the segment
    /// gets an index, because no scan finds it then.
    pub(crate) fn note_scanned(self: &Arc<Self>, segment: SegmentId, contents: &Contents) {
        if contents.skipped > 0 {
            let bytes = contents.skipped;
            let mut view = self.view.lock();
            view.unidentified.insert(segment);
            view.unidentified_scans += 1;
            drop(view);
            tracing::error!(%segment, bytes, "damaged beyond knowing what it was");
            self.outdate();
        }
        for (id, offset, size) in &contents.damaged {
            let at = BadPlace::Record { segment, offset: *offset };
            self.note(*id, Bad::wrong(at, (*size).into(), "the checksum of its record"));
        }
    }

    /// Notes what an opening did not find. To be kept before the manifest and the names of
    /// large objects are, which forget it.
    pub(crate) fn note_missing(&self, missing: Missing) {
        let Missing { mut lost, large, list_unsaved } = missing;
        let mut unlisted = 0;
        for (id, bad) in large {
            tracing::error!(error = %bad.error(id), "damaged");
            unlisted += u64::from(!self.view.lock().note(id, bad));
            self.outdate();
        }
        if unlisted > 0 {
            let reason = "more large objects are missing than the list takes".to_owned();
            let records = Some(unlisted);
            lost.push((LARGE_DIR.to_owned(), UnidentifiedRecords { records, ids: None, reason }));
        }
        for (path, lost) in lost {
            tracing::error!(path, %lost, "damaged");
            let mut view = self.view.lock();
            view.lost.insert(path, lost);
            view.unidentified_scans += 1;
            drop(view);
            self.outdate();
        }
        if list_unsaved {
            self.outdate();
        }
    }

    /// Notes that the list does not have all that was noted.
    pub(crate) fn outdate(&self) {
        self.unsaved.store(true, Ordering::Release);
    }

    /// Sees to it that all damage that was noted is on the list, durably: what it was seen by
    /// may go then.
    ///
    /// # Errors
    /// Why the list could not be written; that is logged.
    pub(crate) async fn keep(&self) -> Result<(), StoreError> {
        // Whoever is writing it may have what was noted, and not be done.
        let _one = self.writing.lock().await;
        if !self.unsaved.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.naming.is_closed() {
            // The directory may be another process's by now.
            return Err(StoreError::Closed);
        }
        self.unsaved.store(false, Ordering::Release);
        let sequence = self.sequence.load(Ordering::Acquire).saturating_add(1);
        let text = encode(&self.view.lock(), sequence);
        let written = self.disk.replace(FILE, text).await;
        if written.is_ok() {
            self.sequence.store(sequence, Ordering::Release);
        }
        written.map_err(|error| {
            self.outdate();
            tracing::error!(%error, "the list of damaged objects could not be written");
            match is_full(&error) {
                true => StoreError::DiskFull,
                false if is_exhausted(&error) => self.health.overloaded(error.to_string()),
                false => {
                    let (doing, kind) = (format!("write {FILE}"), error.kind());
                    StoreError::Io { doing, reason: error.to_string(), kind }
                }
            }
        })
    }

    /// Writes the list as it is now, of which something was added or taken away.
    ///
    /// # Errors
    /// As [`DamageList::keep`].
    pub(crate) async fn save(&self) -> Result<(), StoreError> {
        self.outdate();
        self.keep().await
    }

    /// The records that nobody knows any more.
    pub(crate) fn unidentified(&self) -> Unidentified {
        let view = self.view.lock();
        let (segments, lost) = (view.unidentified.clone(), view.lost.clone());
        Unidentified { segments, lost, scans: view.unidentified_scans }
    }

    /// Calls absent what is not found, in spite of these: whatever they held is here again, or
    /// nowhere. Does nothing when more of them were met since.
    ///
    /// # Errors
    /// When the list of damage cannot be written; they are still on it then.
    pub(crate) async fn make_up_for(&self, known: &Unidentified) -> Result<(), StoreError> {
        let before = {
            let mut view = self.view.lock();
            if view.unidentified_scans != known.scans {
                return Ok(());
            }
            let left = view.unidentified.difference(&known.segments).copied().collect();
            let lost_before = view.lost.clone();
            view.lost.retain(|path, lost| known.lost.get(path) != Some(lost));
            (std::mem::replace(&mut view.unidentified, left), lost_before)
        };
        if let Err(error) = self.save().await {
            let mut view = self.view.lock();
            view.unidentified.extend(before.0);
            view.lost.extend(before.1);
            return Err(error);
        }
        Ok(())
    }
}

impl View {
    /// Notes something as damaged; `false` where there is no room for it on the list.
    #[must_use]
    pub(crate) fn note(&mut self, id: ObjectId, bad: Bad) -> bool {
        let room = self.bad.len() < limits::QUARANTINED_MAX || self.bad.contains_key(&id);
        if room {
            self.bad.insert(id, bad);
        }
        room
    }
}

/// What should be there and is not.
#[derive(Default)]
pub(crate) struct Missing {
    /// Files, and what they lost.
    pub(crate) lost: Vec<(String, UnidentifiedRecords)>,
    /// Large objects whose files are gone or have another length.
    pub(crate) large: Vec<(ObjectId, Bad)>,
    /// The list of damage is not what it was.
    pub(crate) list_unsaved: bool,
}

/// Records that cannot be read so far that anybody knows whose they are, or that are gone with
/// the file they were in, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Unidentified {
    segments: BTreeSet<SegmentId>,
    /// Files that lost records.
    lost: BTreeMap<String, UnidentifiedRecords>,
    /// Scans that had met such records by then.
    scans: u64,
}

impl Unidentified {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.lost.is_empty()
    }
}
