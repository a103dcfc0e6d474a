//! Active segment, to which groups are appended: begun, and ended when it is full.

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::File;

use super::Committer;
use crate::files::names::{create_segment, segment_path};
use crate::format::segment::SegmentId;
use crate::options::Fsync;
use crate::segment::append::cut;
use crate::segment::unsealed::Unsealed;
use crate::write::seal::{seal, write_missing_indexes};

impl Committer {
    /// The active segment: its id, its file, where its last published record ends, and how
    /// far the file reaches.
    ///
    /// # Panics
    /// Without one.
    pub(super) fn active(&self) -> (SegmentId, File, u64, u64) {
        let view = self.shared.view();
        let active = view.active.as_ref().expect("a segment was begun before it was written to");
        (active.id, active.file.clone().in_place(), active.len, active.file_len)
    }

    /// Sees to it that the active segment has room for so many bytes and records more.
    pub(super) async fn make_room(&mut self, bytes: u64, records: usize) -> Result<(), StoreError> {
        let options = &self.shared.options;
        let (bytes_max, records_max) = (options.segment_bytes_max, options.segment_records_max);
        let pending = self.pending().fold((bytes, records), |(bytes, records), group| {
            (bytes + group.bytes(), records + group.records())
        });
        let full = self.shared.view().active.as_ref().map(|active| {
            let (len, entries) = (active.len + pending.0, active.places.len() + pending.1);
            // A group that is too large for any segment gets one of its own.
            entries > records && (len > bytes_max || entries > records_max)
        });
        match full {
            Some(false) if self.in_manifest => Ok(()),
            Some(false) => self.enter_in_manifest().await,
            Some(true) => {
                self.settle().await;
                self.freeze().await?;
                self.begin().await
            }
            None => self.begin().await,
        }
    }

    /// Has the manifest ask for the active segment, which has no record yet, and for all of the
    /// one before it.
    async fn enter_in_manifest(&mut self) -> Result<(), StoreError> {
        self.shared.manifest.enter_active().await?;
        self.in_manifest = true;
        Ok(())
    }

    /// Makes a new active segment.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let id = SegmentId::fresh(self.shared.manifest.next_segment());
        match create_segment(&self.shared.disk, id).await {
            Ok(file) => {
                let segment = Unsealed::new(id, file);
                self.shared.health.count_write(segment.len, 2);
                self.shared.view().active = Some(segment);
                self.in_manifest = false;
                self.enter_in_manifest().await
            }
            Err(error) => {
                // It holds nothing; what is left of it is removed when the store is opened.
                let path = segment_path(id);
                let _ = self.shared.disk.remove(&path).await;
                Err(self.shared.health.write_failed(&path, &error))
            }
        }
    }

    /// Ends the active segment and begins to write its index. One at a time, so that memory
    /// stays bounded; the room a full disk lacks for the last index stops puts here.
    async fn freeze(&mut self) -> Result<(), StoreError> {
        assert!(self.flight.is_none(), "what is being flushed is not published yet");
        self.sealed().await?;
        if self.shared.options.fsync != Fsync::Always {
            // Recovery syncs the last segment only, and relies on those before it.
            self.sync_active().await?;
        }
        self.cut_active().await?;
        let frozen = {
            let mut view = self.shared.view();
            let Some(active) = view.active.take() else { return Ok(()) };
            let frozen = Arc::new(active);
            view.frozen.insert(0, frozen.clone());
            frozen
        };
        self.sealing = Some(tokio::spawn(seal(self.shared.clone(), frozen)));
        Ok(())
    }

    /// Takes the zeros behind the last record away, durably: only in the last segment may
    /// anything but records be at the end.
    async fn cut_active(&self) -> Result<(), StoreError> {
        let ahead = |active: &Unsealed| {
            let ahead = active.file_len > active.len;
            ahead.then(|| (active.id, active.file.clone(), active.len))
        };
        let Some((id, file, len)) = self.shared.view().active.as_ref().and_then(ahead) else {
            return Ok(());
        };
        let cut = cut(&file, len).await;
        cut.map_err(|error| self.shared.health.write_failed(&segment_path(id), &error))?;
        self.shared.view().reaches(len);
        Ok(())
    }

    /// Waits for the index that is being written; tries once more when it failed.
    async fn sealed(&mut self) -> Result<(), StoreError> {
        if let Some(sealing) = self.sealing.take() {
            // What went wrong is tried again below, or reported there.
            let _ = sealing.await;
        }
        let left: Vec<_> = self.shared.view().frozen.clone();
        for frozen in left.into_iter().rev() {
            seal(self.shared.clone(), frozen).await?;
        }
        write_missing_indexes(&self.shared).await
    }

    pub(super) async fn seal_and_wait(&mut self) -> Result<(), StoreError> {
        self.shared.health.check_writable()?;
        let empty =
            self.shared.view().active.as_ref().is_none_or(|active| active.places.len() == 0);
        if !empty {
            self.freeze().await?;
            self.shared.manifest.keep().await?;
        }
        self.sealed().await
    }

    /// The last sync, and the last index: a segment that would take long to scan is ended,
    /// so that the next opening is as quick as any.
    pub(super) async fn close(mut self) {
        self.settle().await;
        if self.unsynced_since.is_some() && self.shared.health.check_writable().is_ok() {
            // Its failure is logged; there is nobody left to tell.
            let _ = self.sync_active().await;
        }
        let worth_an_index = {
            let view = self.shared.view();
            view.active.as_ref().is_some_and(|active| {
                active.len >= limits::SEALED_AT_CLOSE_BYTES_MIN
                    || active.places.len() >= limits::SEALED_AT_CLOSE_RECORDS_MIN
            })
        };
        if worth_an_index && self.shared.health.check_writable().is_ok() {
            // A failure is logged, and costs the next opening a scan.
            let _ = self.seal_and_wait().await;
        }
        if let Some(sealing) = self.sealing.take() {
            let _ = sealing.await;
        }
        if self.shared.health.check_writable().is_ok() && self.shared.options.fsync != Fsync::Never
        {
            // A failure is logged, and costs the next opening the cut; without the manifest it
            // looks for a torn tail.
            if self.cut_active().await.is_ok()
                && let Err(error) = self.shared.manifest.keep_durable().await
            {
                tracing::warn!(%error, "the manifest does not say that the store was closed");
            }
        }
    }
}
