//! Keeping the manifest of a store that is open.

use std::sync::atomic::Ordering;

use gitstratum_core::replica::StoreError;

use crate::files::identity;
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId};
use crate::manifest::{FILE, Manifest, Reach, Should, Summary, write};
use crate::options::Fsync;
use crate::segment::unsealed::Unsealed;
use crate::state::shared::Shared;

/// The manifest that was written last.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    manifest: Manifest,
    /// Whether both copies are this one.
    whole: bool,
}

impl Kept {
    /// What was found on the disk, and whether both copies are that.
    pub(crate) fn new(manifest: Manifest, whole: bool) -> Self {
        Kept { manifest, whole }
    }
}

impl Shared {
    /// Writes the manifest of what the store holds now, if it is another than the last. First the
    /// list of damage, because the manifest forgets what was lost.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn keep_manifest(&self) -> Result<(), StoreError> {
        self.keep(self.options.fsync == Fsync::Always).await
    }

    /// The same, when all of the segment that puts are appended to is durable.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn keep_durable_manifest(&self) -> Result<(), StoreError> {
        self.keep(true).await
    }

    /// Brings all that says what the store should hold in line with what was found by an
    /// opening, and says that there is such a thing.
    ///
    /// # Errors
    /// As a put. What could not be written is found again by the next opening.
    pub(crate) async fn keep_ledgers(&self, had: bool) -> Result<(), StoreError> {
        // The names of large objects forget what was lost, as the manifest does.
        self.keep_noted().await?;
        self.keep_large_names().await?;
        if !self.manifest_will_do().await {
            self.keep_durable_manifest().await?;
        }
        if !had {
            let named = identity::has_manifest(&self.disk, &self.options.node_id).await;
            named.map_err(|error| self.write_failed(identity::IDENTITY, &error))?;
            tracing::info!("from now on a manifest says what the store should hold");
        }
        Ok(())
    }

    /// Whether the last manifest asks for all files there are: what was appended to them since a
    /// later one says, so that an opening after a crash need not wait for it.
    async fn manifest_will_do(&self) -> bool {
        let kept = self.manifest.lock().await;
        kept.whole && self.manifest_now(&kept.manifest, true).only_grew(&kept.manifest)
    }

    /// Sees to it that the manifest asks for the segment that puts are appended to, which has no
    /// record that it does not ask for, or which it asked for before.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn enter_active(&self) -> Result<(), StoreError> {
        let active = self.view().active.as_ref().map(|active| active.id);
        let known = {
            let kept = self.manifest.lock().await;
            kept.whole && active.is_some_and(|id| kept.manifest.has_active(id))
        };
        if known { Ok(()) } else { self.keep_durable_manifest().await }
    }

    async fn keep(&self, active_is_durable: bool) -> Result<(), StoreError> {
        self.keep_noted().await?;
        let mut kept = self.manifest.lock().await;
        if self.naming.is_closed() {
            // The directory may be another process's by now.
            return Err(StoreError::Closed);
        }
        let manifest = self.manifest_now(&kept.manifest, active_is_durable);
        if kept.whole && manifest.asks_the_same(&kept.manifest) {
            return Ok(());
        }
        kept.whole = false;
        let written = write(&self.disk, "", &manifest).await;
        let bytes = written.map_err(|error| self.write_failed(FILE, &error))?;
        self.count_write(bytes, 2);
        *kept = Kept { manifest, whole: true };
        Ok(())
    }

    fn manifest_now(&self, last: &Manifest, active_is_durable: bool) -> Manifest {
        let mut manifest = Manifest {
            sequence: last.sequence.saturating_add(1),
            next_segment: self.next_segment.load(Ordering::Relaxed),
            quarantine: self.list_sequence.load(Ordering::Acquire),
            large: self.large_reach(),
            ..Manifest::default()
        };
        let view = self.view();
        let sealed = view.sealed.iter().map(|sealed| (sealed.id(), sealed.summary()));
        let frozen = view.frozen.iter().map(|frozen| (frozen.id, frozen.summary()));
        let complete = sealed.chain(frozen).map(|(id, summary)| (id, Should::Sealed(summary)));
        manifest.segments.extend(complete);
        if let Some(active) = &view.active {
            let should = match (active_is_durable, last.segments.get(&active.id)) {
                (true, _) => all_of(active),
                (false, Some(should @ Should::Active { .. })) => *should,
                (false, _) => {
                    Should::Active { len: SEGMENT_HEADER_BYTES as u64, records: 0, unread: 0 }
                }
            };
            manifest.segments.insert(active.id, should);
        }
        manifest
    }

    /// The manifest of a snapshot that has these segments and names of large objects.
    pub(crate) fn manifest_of(
        &self,
        segments: impl IntoIterator<Item = (SegmentId, Summary)>,
        large: Reach,
    ) -> Manifest {
        let sealed = |(id, summary)| (id, Should::Sealed(summary));
        Manifest {
            sequence: 1,
            next_segment: self.next_segment.load(Ordering::Relaxed),
            quarantine: self.list_sequence.load(Ordering::Acquire),
            large,
            segments: segments.into_iter().map(sealed).collect(),
        }
    }
}

fn all_of(active: &Unsealed) -> Should {
    let Summary { len, records, unread, .. } = active.summary();
    Should::Active { len, records, unread }
}
