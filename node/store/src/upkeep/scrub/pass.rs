//! The reading: from the large objects to the oldest segment and on to the newest. What is
//! found damaged is noted, as a get would; an index that does not hold is made again.
//!
//! A record whose head is damaged hides itself from whoever goes from record to record, and
//! one that the disk does not read hides all behind it. So each object that the index has in
//! a segment, and that was not met there, is read as a get would read it.
//!
//! Invariant: an order stops it between two reads, never while a file is written.

use std::sync::Arc;

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::{LargeReader, StoreError};
use gitstratum_host::disk::File;

use crate::error::read_failed;
use crate::files::names::segment_path;
use crate::format::index::{Entry, Place};
use crate::format::record::{Content, RecordHead};
use crate::format::segment::SegmentId;
use crate::large::object::ObjectReader;
use crate::read::lookup::{Latest, ObjectLocation, is_latest, latest, read_record, rebuild_index};
use crate::segment::scan::{OTHER_BYTES, Reader, Scanned, read_accounts, verify};
use crate::segment::sealed::{Sealed, parts};
use crate::segment::unsealed::Unsealed;
use crate::state::scrub::memory::{Mark, ScrubCounts};
use crate::state::shared::Shared;
use crate::state::view::{Bad, BadPlace, RecordLocation};
use crate::upkeep::pace::Pace;

/// Why a pass ended before its end.
pub(super) enum Stop {
    /// An order.
    Told,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failed(error)
    }
}

/// One reading of everything, or of what an interrupted one left.
pub(super) struct Pass<'a> {
    shared: &'a Arc<Shared>,
    pace: Pace,
    counts: ScrubCounts,
}

impl<'a> Pass<'a> {
    /// At most so many bytes in a second; so much was met before it was interrupted.
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        bytes_per_second: Option<u64>,
        counts: ScrubCounts,
    ) -> Self {
        Pass { shared, pace: Pace::new(bytes_per_second), counts }
    }

    /// What was met so far.
    pub(super) fn counts(&self) -> ScrubCounts {
        self.counts
    }

    /// Reads everything behind a mark.
    ///
    /// # Errors
    /// [`Stop`]; up to the last mark that was reached it need not be read again.
    pub(super) async fn run(&mut self, mark: Option<Mark>) -> Result<(), Stop> {
        if !matches!(mark, Some(Mark::Segment(_))) {
            self.large_objects(mark).await?;
        }
        let number = match mark {
            Some(Mark::Segment(number)) => Some(number),
            _ => None,
        };
        self.segments(number).await
    }

    /// Counts what was read, and waits until it is within the rate.
    async fn pass(&mut self, bytes: u64) -> Result<(), Stop> {
        self.counts.bytes += bytes;
        self.shared.scrubs.met(self.counts);
        if self.shared.naming.is_closed() {
            return Err(StoreError::Closed.into());
        }
        tokio::select! {
            biased;
            () = self.shared.scrubs.stopped() => Err(Stop::Told),
            () = self.pace.pass(bytes) => Ok(()),
        }
    }

    fn damaged(&mut self, id: ObjectId, reason: String) {
        self.counts.damaged += 1;
        self.shared.scrubs.damaged(id, reason);
    }

    async fn reached(&self, mark: Mark) {
        self.shared.scrubs.reached(mark, self.counts);
        self.shared.scrubs.save().await;
    }

    async fn large_objects(&mut self, mark: Option<Mark>) -> Result<(), Stop> {
        let after = |id: &ObjectId| !matches!(mark, Some(Mark::Large(done)) if *id <= done);
        let ids: Vec<_> = self.shared.view().large.keys().filter(|id| after(id)).copied().collect();
        for id in ids {
            self.counts.records += 1;
            match self.large(id).await {
                Ok(()) => self.clear_damage(id, BadPlace::Large).await,
                Err(Stop::Failed(StoreError::Damaged { id, reason })) => self.damaged(id, reason),
                Err(Stop::Told) => return Err(Stop::Told),
                Err(Stop::Failed(StoreError::Closed)) => return Err(StoreError::Closed.into()),
                // Deleted meanwhile.
                Err(_) if !self.shared.view().large.contains_key(&id) => {}
                Err(failed) => return Err(failed),
            }
            self.reached(Mark::Large(id)).await;
        }
        Ok(())
    }

    async fn large(&mut self, id: ObjectId) -> Result<(), Stop> {
        let mut reader = ObjectReader::open(self.shared.clone(), id).await?;
        while let Some(part) = reader.next().await? {
            self.pass(part.len() as u64).await?;
        }
        Ok(())
    }

    async fn segments(&mut self, after: Option<u32>) -> Result<(), Stop> {
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
            self.reached(Mark::Segment(id.last)).await;
        }
    }

    /// Reads an index; one that does not hold is made again.
    async fn index(&mut self, sealed: &Arc<Sealed>) -> Result<(), Stop> {
        let Ok(buckets) = sealed.buckets().await else {
            return Ok(rebuild_index(self.shared, sealed).await?);
        };
        for bucket in buckets {
            if sealed.entries_of(bucket).await.is_err() {
                return Ok(rebuild_index(self.shared, sealed).await?);
            }
            self.pass(bucket.piece.len as u64).await?;
        }
        Ok(())
    }

    async fn segment(&mut self, id: SegmentId, file: File, len: u64) -> Result<(), Stop> {
        // Ascending, because records are met in their order.
        let mut met = Vec::new();
        if let Err(error) = self.walk(id, file, len, &mut met).await? {
            let path = segment_path(id);
            if error.kind() == std::io::ErrorKind::Interrupted {
                return Err(read_failed(&path, &error).into());
            }
            tracing::warn!(path, %error, "reading what is behind it object by object");
        }
        for (first, last) in parts() {
            self.hidden(id, len, (first, last), &met).await?;
        }
        Ok(())
    }

    /// Reads record after record and notes where each begins; the inner error is why the disk
    /// read no further.
    async fn walk(
        &mut self,
        id: SegmentId,
        file: File,
        len: u64,
        met: &mut Vec<u32>,
    ) -> Result<std::io::Result<()>, Stop> {
        let mut reader = match read_accounts(&file, id).await {
            Ok((_, begin)) => Reader::new(file, id, len, begin),
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let record = match reader.next().await {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            met.push(record.offset);
            let bytes = record.head.record_len();
            self.counts.records += 1;
            match verify(&record, &self.shared.codecs.unpacker) {
                Ok(()) => {
                    let (segment, offset) = (id, record.offset);
                    self.clear_damage(record.head.id, BadPlace::Record { segment, offset }).await;
                }
                Err(reason) => self.report(id, &record, reason).await?,
            }
            self.pass(bytes).await?;
            tokio::task::yield_now().await;
        }
    }

    /// Reads what the index has in a segment, of one part of the ids, where no record was met.
    async fn hidden(
        &mut self,
        segment: SegmentId,
        len: u64,
        (first, last): (u64, u64),
        met: &[u32],
    ) -> Result<(), Stop> {
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
            let Latest::Held(ObjectLocation::Record(location)) = latest(self.shared, &id).await?
            else {
                continue;
            };
            if !location.is_at(segment, offset) {
                continue;
            }
            self.hidden_record(id, &location).await?;
        }
        Ok(())
    }

    async fn hidden_record(&mut self, id: ObjectId, location: &RecordLocation) -> Result<(), Stop> {
        self.counts.records += 1;
        let (segment, offset) = (location.segment, location.offset);
        let at = BadPlace::Record { segment, offset };
        let found = match read_record(self.shared, id, location).await {
            Ok(object) if object.verify().is_ok() => Ok(()),
            Ok(object) => {
                let bad = Bad::wrong(at, object.size_bytes(), OTHER_BYTES);
                Err(self.shared.damage.note(id, bad))
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(()) => self.clear_damage(id, at).await,
            Err(StoreError::Damaged { id, reason }) => self.damaged(id, reason),
            Err(error) => return Err(error.into()),
        }
        self.pass(location.record_len(&id) as u64).await
    }

    /// What was noted as damaged and reads well again was not: a cable, not the platter.
    async fn clear_damage(&self, id: ObjectId, at: BadPlace) {
        let cleared = {
            let mut view = self.shared.view();
            let noted = view.bad(&id).is_some_and(|bad| bad.at == at);
            if noted {
                view.bad.remove(&id);
            }
            noted
        };
        if cleared {
            tracing::warn!(%id, "noted as damaged, and reads well again");
            // What stays on it is cleared again.
            let _ = self.shared.damage.save().await;
        }
    }

    async fn report(
        &mut self,
        segment: SegmentId,
        record: &Scanned,
        reason: &str,
    ) -> Result<(), Stop> {
        let Scanned { offset, head: RecordHead { id, content, .. }, .. } = *record;
        let here = is_latest(self.shared, &id, segment, offset).await?;
        // What was deleted, or put again, is no loss.
        if let (true, Content::Object { size, .. }) = (here, content) {
            let at = BadPlace::Record { segment, offset };
            let bad = Bad::wrong(at, size.into(), reason);
            if let StoreError::Damaged { id, reason } = self.shared.damage.note(id, bad) {
                self.damaged(id, reason);
            }
        }
        Ok(())
    }
}
