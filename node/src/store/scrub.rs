//! Scrub: everything is read at a set rate, and its checksums and hashes are verified.
//!
//! It goes from the large objects to the oldest segment and on to the newest, and keeps
//! how far it has come in a small file, so that it goes on there after a restart. What it
//! finds damaged is noted, as a get would; an index that does not hold is made again.
//!
//! A record whose head is damaged hides itself from whoever goes from record to record. So
//! each object that the index has in a segment, and that was not met there, is read as a get
//! would read it.

use std::sync::Arc;

use bytes::Bytes;
use gitstratum_host::disk::File;

use super::LargeReader;
use super::StoreError;
use super::compact::Throttle;
use super::engine::SegmentStore;
use super::files::segment_path;
use super::format::index::{Entry, Place};
use super::format::record::{Content, RecordHead};
use super::format::segment::SegmentId;
use super::large::ObjectReader;
use super::lookup::{Held, Latest, object_of};
use super::scan::{Reader, Scanned, read_accounts};
use super::sealed::Sealed;
use super::shared::{Shared, read_failed};
use super::unsealed::Unsealed;
use super::view::{Bad, BadPlace};
use crate::object::ObjectId;

/// How far scrub has come.
pub(super) const FILE: &str = "scrub";
const FIRST_LINE: &str = "gitstratum scrub 1\n";

/// Parts into which ids are divided, so that an index is not held whole.
const INDEX_PARTS: u64 = 16;

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Records and large objects that were read.
    pub records: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is damaged, and how.
    pub damaged: Vec<(ObjectId, String)>,
}

/// Everything up to here, and this, has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Large(ObjectId),
    /// A segment by its highest number.
    Segment(u32),
}

impl SegmentStore {
    /// Reads everything once, from where an interrupted scrub stopped, at most so many bytes
    /// in a second. Dropping the future stops it; the next one goes on there.
    ///
    /// # Errors
    /// When the disk fails in another way than by damaged data.
    pub async fn scrub(&self, bytes_per_second: Option<u64>) -> Result<Scrubbed, StoreError> {
        let _alone = self.shared.maintenance.lock().await;
        let mut scrub = Scrub {
            shared: &self.shared,
            throttle: Throttle::new(bytes_per_second),
            found: Scrubbed::default(),
        };
        let mark = load(&self.shared).await;
        if !matches!(mark, Some(Mark::Segment(_))) {
            scrub.large_objects(mark).await?;
        }
        let number = match mark {
            Some(Mark::Segment(number)) => Some(number),
            _ => None,
        };
        scrub.segments(number).await?;
        save(&self.shared, None).await;
        Ok(scrub.found)
    }
}

struct Scrub<'a> {
    shared: &'a Arc<Shared>,
    throttle: Throttle,
    found: Scrubbed,
}

impl Scrub<'_> {
    async fn large_objects(&mut self, mark: Option<Mark>) -> Result<(), StoreError> {
        let after = |id: &ObjectId| !matches!(mark, Some(Mark::Large(done)) if *id <= done);
        let ids: Vec<_> = self.shared.view().large.keys().filter(|id| after(id)).copied().collect();
        for id in ids {
            self.found.records += 1;
            match self.large(id).await {
                Ok(()) => self.absolve(id, BadPlace::Large).await,
                Err(StoreError::Damaged { id, reason }) => self.found.damaged.push((id, reason)),
                // Deleted meanwhile.
                Err(_) if !self.shared.view().large.contains_key(&id) => {}
                Err(error) => return Err(error),
            }
            save(self.shared, Some(Mark::Large(id))).await;
        }
        Ok(())
    }

    async fn large(&mut self, id: ObjectId) -> Result<(), StoreError> {
        let mut reader = ObjectReader::open(self.shared.clone(), id).await?;
        while let Some(part) = reader.next().await? {
            self.found.bytes += part.len() as u64;
            self.throttle.pass(part.len() as u64).await;
        }
        Ok(())
    }

    async fn segments(&mut self, after: Option<u32>) -> Result<(), StoreError> {
        let mut after = after;
        // One after another by number, because compaction of the next one may come between
        // two scrubs, and sealing between two segments.
        loop {
            let next = {
                let view = self.shared.view();
                let later = |last: u32| after.is_none_or(|after| last > after);
                let sealed =
                    view.sealed.iter().rev().find(|sealed| later(sealed.id().last)).cloned();
                let frozen = view.frozen.iter().rev().map(|frozen| &**frozen);
                let unsealed =
                    frozen.chain(view.active.iter()).find(|segment| later(segment.id.last));
                match (sealed, unsealed) {
                    (Some(sealed), _) => {
                        Some((sealed.id(), sealed.file.clone(), sealed.len, Some(sealed)))
                    }
                    (None, Some(open)) => Some((open.id, open.file.clone(), open.len, None)),
                    (None, None) => None,
                }
            };
            let Some((id, file, len, sealed)) = next else { return Ok(()) };
            if let Some(sealed) = &sealed {
                self.index(sealed).await?;
            }
            self.segment(id, file, len).await?;
            after = Some(id.last);
            save(self.shared, Some(Mark::Segment(id.last))).await;
        }
    }

    /// Reads an index; one that does not hold is made again.
    async fn index(&mut self, sealed: &Arc<Sealed>) -> Result<(), StoreError> {
        for bucket in sealed.buckets() {
            if sealed.entries_of(bucket).await.is_err() {
                return self.shared.rebuild_index(sealed).await;
            }
            self.throttle.pass(bucket.len as u64).await;
        }
        Ok(())
    }

    async fn segment(&mut self, id: SegmentId, file: File, len: u64) -> Result<(), StoreError> {
        let path = segment_path(id);
        let read = |error| read_failed(&path, &error);
        let (_, begin) = read_accounts(&file, id).await.map_err(read)?;
        let mut reader = Reader::new(file, id, len, begin);
        // Ascending, because records are met in their order.
        let mut met = Vec::new();
        while let Some(record) = reader.next().await.map_err(read)? {
            met.push(record.offset);
            let bytes = record.head.record_len();
            self.found.records += 1;
            self.found.bytes += bytes;
            match verify(&record) {
                Ok(()) => {
                    let (segment, offset) = (id, record.offset);
                    self.absolve(record.head.id, BadPlace::Record { segment, offset }).await;
                }
                Err(reason) => self.report(id, &record, reason).await?,
            }
            self.throttle.pass(bytes).await;
            tokio::task::yield_now().await;
        }
        for part in 0..INDEX_PARTS {
            self.hidden(id, len, part, &met).await?;
        }
        Ok(())
    }

    /// Reads what the index has in a segment, of one part of the ids, where no record was met.
    async fn hidden(
        &mut self,
        segment: SegmentId,
        len: u64,
        part: u64,
        met: &[u32],
    ) -> Result<(), StoreError> {
        let first = part * (u64::MAX / INDEX_PARTS + 1);
        let last = first + u64::MAX / INDEX_PARTS;
        let (open, sealed) = {
            let view = self.shared.view();
            let unsealed = view.frozen.iter().map(|frozen| &**frozen).chain(view.active.iter());
            let within = |(id, _): &Entry| (first..=last).contains(&id.prefix_u64());
            let entries = |open: &Unsealed| open.places.entries().into_iter().filter(within);
            let open = unsealed.into_iter().find(|open| open.id == segment);
            let sealed = view.sealed.iter().find(|sealed| sealed.id() == segment).cloned();
            (open.map(|open| entries(open).collect::<Vec<_>>()), sealed)
        };
        let entries = match (open, sealed) {
            (Some(entries), _) => entries,
            (None, Some(sealed)) => match sealed.entries_between(first, last).await {
                Ok(entries) => entries,
                // The next scrub makes it again, and gets do until then.
                Err(error) => {
                    tracing::warn!(?error, "an index that scrub could not read");
                    return Ok(());
                }
            },
            // Compaction has read and verified it meanwhile.
            (None, None) => return Ok(()),
        };
        for (id, place) in entries {
            let Place::Object { offset, .. } = place else { continue };
            if u64::from(offset) >= len || met.binary_search(&offset).is_ok() {
                continue;
            }
            let Latest::Held(Held::Record(location)) = self.shared.latest(&id).await? else {
                continue;
            };
            if (location.segment, location.offset) != (segment, offset) {
                continue;
            }
            self.found.records += 1;
            if let Err(StoreError::Damaged { id, reason }) =
                self.shared.read_record(id, &location).await
            {
                self.found.damaged.push((id, reason));
            }
        }
        Ok(())
    }

    /// What was noted as damaged and reads well again was not: a cable, not the platter.
    async fn absolve(&self, id: ObjectId, at: BadPlace) {
        let absolved = {
            let mut view = self.shared.view();
            let noted = view.bad(&id).is_some_and(|bad| bad.at == at);
            if noted {
                view.bad.remove(&id);
            }
            noted
        };
        if absolved {
            tracing::warn!(%id, "noted as damaged, and reads well again");
            self.shared.save_bad().await;
        }
    }

    async fn report(
        &mut self,
        segment: SegmentId,
        record: &Scanned,
        reason: &str,
    ) -> Result<(), StoreError> {
        let Scanned { offset, head: RecordHead { id, content, .. }, .. } = *record;
        let here = match self.shared.latest(&id).await? {
            Latest::Held(Held::Record(location)) => {
                (location.segment, location.offset) == (segment, offset)
            }
            _ => false,
        };
        // What was deleted, or put again, is no loss.
        if let (true, Content::Object { size, .. }) = (here, content) {
            let at = BadPlace::Record { segment, offset };
            let bad = Bad::wrong(at, size.into(), reason);
            if let StoreError::Damaged { id, reason } = self.shared.note_bad(id, bad) {
                self.found.damaged.push((id, reason));
            }
        }
        Ok(())
    }
}

/// Whether a record holds what it should.
pub(super) fn verify(record: &Scanned) -> Result<(), &'static str> {
    if matches!(record.head.content, Content::Void { .. }) {
        return Ok(());
    }
    let data = record.data.clone().ok_or("the checksum of its record")?;
    if matches!(record.head.content, Content::Tombstone { .. }) {
        return Ok(());
    }
    let object = object_of(&record.head, data)?;
    object.verify().map_err(|_| "its data does not hash to its id")
}

async fn load(shared: &Shared) -> Option<Mark> {
    let bytes = shared.disk.read_whole(FILE).await.ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (what, place) = text.strip_prefix(FIRST_LINE)?.trim_end().split_once(' ')?;
    match what {
        "large" => Some(Mark::Large(place.parse().ok()?)),
        "segment" => Some(Mark::Segment(place.parse().ok()?)),
        _ => None,
    }
}

/// Keeps how far scrub has come. Without it the next one begins anew, so that a failure is
/// only told.
async fn save(shared: &Shared, mark: Option<Mark>) {
    if shared.naming.is_closed() {
        return;
    }
    let text = match mark {
        Some(Mark::Large(id)) => format!("{FIRST_LINE}large {id}\n"),
        Some(Mark::Segment(number)) => format!("{FIRST_LINE}segment {number}\n"),
        None => FIRST_LINE.to_owned(),
    };
    if let Err(error) = shared.disk.replace(FILE, Bytes::from(text)).await {
        tracing::warn!(%error, "how far scrub has come could not be kept");
    }
}
