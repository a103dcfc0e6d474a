//! What is known to be damaged, and stays known after a restart.
//!
//! A damaged record is never served and never copied, but its object is not absent: a get
//! says "damaged", so that whoever asks fetches it from another replica, until a put brings
//! it back or it is deleted. Where not even the id can be read, nothing that is missing is
//! called absent. The list is one small text file, replaced as a whole: a
//! version, then a line for each object, each line with its checksum.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{WHOLE_FILE_BYTES_MAX, is_exhausted};

use super::engine::SegmentStore;
use super::format::segment::SegmentId;
use super::scan::Contents;
use super::shared::{Shared, is_full, read_failed};
use super::view::{Bad, BadPlace, View};
use super::{OpenError, StoreError, io_error};
use crate::limits;
use crate::object::ObjectId;

/// The list's file.
pub(super) const FILE: &str = "quarantine";
const FIRST_LINE: &str = "gitstratum quarantine 1\n";
/// Begins the line of a segment with records that nobody knows.
const UNIDENTIFIED: &str = "unidentified ";
const REASON_BYTES_MAX: usize = 150;
/// Checksum, id, place, size and reason, each with what ends it.
const LINE_BYTES_MAX: usize = 9 + 65 + 38 + 21 + REASON_BYTES_MAX + 1;
// An eighth is left for the lines of segments.
const _: () = assert!(
    limits::QUARANTINED_MAX * LINE_BYTES_MAX <= WHOLE_FILE_BYTES_MAX as usize / 8 * 7,
    "opening would not read the list"
);

impl Shared {
    /// Notes something as damaged and returns what to say of it.
    pub(super) fn note_bad(self: &Arc<Self>, id: ObjectId, bad: Bad) -> StoreError {
        let error = bad.error(id);
        let new = {
            let mut view = self.view();
            let known = view.bad.get(&id).is_some_and(|known| known.at == bad.at);
            !known && view.note(id, bad)
        };
        if new {
            tracing::error!(%error, "damaged");
            self.outdate_list();
            let shared = self.clone();
            // Not waited for: whoever reads wants an answer, and until the note is durable
            // the damage is found again after a restart as it was found now.
            tokio::spawn(async move { shared.keep_noted().await });
        }
        error
    }

    /// Notes what the disk would not read as damaged, of whatever reason: its bytes are not to
    /// be had from here. Returns what to say of it.
    pub(super) fn note_unread(
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
        self.note_bad(id, Bad::unread(at, size, error))
    }

    /// Notes what a scan found damaged. To be kept ([`Shared::keep_noted`]) before the segment
    /// gets an index, because no scan finds it then.
    pub(super) fn note_scanned(self: &Arc<Self>, segment: SegmentId, contents: &Contents) {
        if contents.skipped > 0 {
            let bytes = contents.skipped;
            let mut view = self.view();
            view.unidentified.insert(segment);
            view.unidentified_scans += 1;
            drop(view);
            tracing::error!(%segment, bytes, "damaged beyond knowing what it was");
            self.outdate_list();
        }
        for (id, offset, size) in &contents.damaged {
            let at = BadPlace::Record { segment, offset: *offset };
            self.note_bad(*id, Bad::wrong(at, (*size).into(), "the checksum of its record"));
        }
    }

    /// Looks which of the objects on the list are still damaged: the list is not written
    /// with every put that brings one back.
    pub(super) async fn review_bad(self: &Arc<Self>) {
        {
            let mut view = self.view();
            let known: Vec<_> = view.unidentified.iter().copied().collect();
            for segment in known {
                if !view.has_segment(segment) {
                    view.unidentified.remove(&segment);
                }
            }
        }
        let listed: Vec<_> = self.view().bad.iter().map(|(id, bad)| (*id, bad.at)).collect();
        for (id, at) in listed {
            let gone = match at {
                BadPlace::Record { segment, .. } => !self.view().has_segment(segment),
                BadPlace::Large => !self.view().large.contains_key(&id),
                BadPlace::Dropped => false,
            };
            let healed = self.locate(&id).await.is_ok();
            let mut view = self.view();
            if gone {
                view.bad.remove(&id);
            } else if let Some(bad) = view.bad.get_mut(&id) {
                bad.healed = healed;
            }
        }
    }

    /// Notes that the list does not have all that was noted.
    fn outdate_list(&self) {
        self.bad_unsaved.store(true, Ordering::Release);
    }

    /// Sees to it that all damage that was noted is on the list, durably: what it was seen by
    /// may go then.
    ///
    /// # Errors
    /// Why the list could not be written; that is logged.
    pub(super) async fn keep_noted(&self) -> Result<(), StoreError> {
        // Whoever is writing it may have what was noted, and not be done.
        let _one = self.noting.lock().await;
        if !self.bad_unsaved.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.naming.is_closed() {
            // The directory may be another process's by now.
            return Err(StoreError::Closed);
        }
        self.bad_unsaved.store(false, Ordering::Release);
        let text = encode(&self.view());
        self.disk.replace(FILE, text).await.map_err(|error| {
            self.outdate_list();
            tracing::error!(%error, "the list of damaged objects could not be written");
            match is_full(&error) {
                true => StoreError::DiskFull,
                false if is_exhausted(&error) => self.overloaded(error.to_string()),
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
    /// As [`Shared::keep_noted`].
    pub(super) async fn save_bad(&self) -> Result<(), StoreError> {
        self.outdate_list();
        self.keep_noted().await
    }
}

impl View {
    /// Notes something as damaged; `false` where there is no room for it on the list.
    #[must_use]
    pub(super) fn note(&mut self, id: ObjectId, bad: Bad) -> bool {
        let room = self.bad.len() < limits::QUARANTINED_MAX || self.bad.contains_key(&id);
        if room {
            self.bad.insert(id, bad);
        }
        room
    }
}

/// Records that cannot be read so far that anybody knows whose they are, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Unidentified {
    segments: BTreeSet<SegmentId>,
    /// Scans that had met such records by then.
    scans: u64,
}

impl Unidentified {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

impl SegmentStore {
    /// The records that nobody knows any more. While there are any, the store calls what it does
    /// not find damaged, not absent.
    pub fn unidentified(&self) -> Unidentified {
        let view = self.shared.view();
        Unidentified { segments: view.unidentified.clone(), scans: view.unidentified_scans }
    }

    /// Calls absent what is not found, in spite of these: whatever they held is here again, or
    /// nowhere. Does nothing when more of them were met since.
    ///
    /// # Errors
    /// When the list of damage cannot be written; they are still on it then.
    pub async fn make_up_for(&self, known: &Unidentified) -> Result<(), StoreError> {
        let before = {
            let mut view = self.shared.view();
            if view.unidentified_scans != known.scans {
                return Ok(());
            }
            let left = view.unidentified.difference(&known.segments).copied().collect();
            std::mem::replace(&mut view.unidentified, left)
        };
        if let Err(error) = self.shared.save_bad().await {
            self.shared.view().unidentified.extend(before);
            return Err(error);
        }
        Ok(())
    }
}

/// What the list says.
#[derive(Default)]
pub(super) struct Quarantined {
    pub(super) bad: BTreeMap<ObjectId, Bad>,
    pub(super) unidentified: BTreeSet<SegmentId>,
}

/// Reads the list. A line that does not hold is passed over: its damage is found again.
///
/// # Errors
/// [`OpenError`] when the disk fails, or a newer program wrote the list.
pub(super) async fn load(disk: &Disk) -> Result<Quarantined, OpenError> {
    let bytes = match disk.read_whole(FILE).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Quarantined::default());
        }
        read => read.map_err(io_error("read", FILE))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let Some(lines) = text.strip_prefix(FIRST_LINE) else {
        let version = text.strip_prefix("gitstratum quarantine ");
        let version = version.and_then(|rest| rest.lines().next()?.parse().ok());
        if let Some(version) = version.filter(|version| *version != 1) {
            return Err(OpenError::Version { path: FILE.into(), version });
        }
        tracing::error!("the list of damaged objects is itself damaged and begun anew");
        return Ok(Quarantined::default());
    };
    let lines = lines.lines().filter_map(checked);
    let mut quarantined = Quarantined::default();
    for line in lines {
        match line.strip_prefix(UNIDENTIFIED) {
            Some(stem) => quarantined.unidentified.extend(SegmentId::from_stem(stem)),
            None => quarantined.bad.extend(parse_line(line)),
        }
    }
    Ok(quarantined)
}

fn encode(view: &View) -> Bytes {
    let mut text = FIRST_LINE.to_owned();
    let mut put = |line: String| {
        text.push_str(&format!("{:08x} {line}\n", crc32c::crc32c(line.as_bytes())));
    };
    view.unidentified.iter().for_each(|segment| put(format!("{UNIDENTIFIED}{segment}")));
    for (id, Bad { at, size, reason, .. }) in view.bad.iter().filter(|(_, bad)| !bad.unread) {
        let place = match at {
            BadPlace::Record { segment, offset } => format!("{segment}+{offset}"),
            BadPlace::Large => "large".to_owned(),
            BadPlace::Dropped => "dropped".to_owned(),
        };
        let mut reason = reason.replace(['\n', '\r'], " ");
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        put(format!("{id} {place} {size} {reason}"));
    }
    text.into()
}

/// A line without its checksum, if that holds.
fn checked(line: &str) -> Option<&str> {
    let (crc, line) = line.split_once(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(line.as_bytes())).then_some(line)
}

fn parse_line(line: &str) -> Option<(ObjectId, Bad)> {
    let mut words = line.splitn(4, ' ');
    let (id, place, size) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let at = match place {
        "large" => BadPlace::Large,
        "dropped" => BadPlace::Dropped,
        record => {
            let (segment, offset) = record.split_once('+')?;
            let segment = SegmentId::from_stem(segment)?;
            BadPlace::Record { segment, offset: offset.parse().ok()? }
        }
    };
    let reason = words.next().unwrap_or_default().to_owned();
    Some((id, Bad::wrong(at, size.parse().ok()?, reason)))
}
