//! Keeping the manifest of a store that is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gitstratum_core::replica::StoreError;
use gitstratum_host::Disk;
use tokio::sync::Mutex;

use super::health::Health;
use super::large_names::LargeNames;
use super::naming::Naming;
use super::quarantine::DamageList;
use super::view::CurrentView;
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId};
use crate::manifest::{FILE, Manifest, Reach, Should, Summary, write};
use crate::segment::unsealed::Unsealed;

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

/// Writes the manifest, of what the other values of a store say.
pub(crate) struct ManifestKeeper {
    disk: Disk,
    view: Arc<CurrentView>,
    naming: Arc<Naming>,
    health: Arc<Health>,
    damage: Arc<DamageList>,
    large_names: Arc<LargeNames>,
    /// Whether puts are durable before they are acknowledged.
    always_durable: bool,
    next_segment: AtomicU32,
    /// Held while another is written.
    kept: Mutex<Kept>,
}

impl ManifestKeeper {
    #[allow(clippy::too_many_arguments, reason = "what a manifest speaks of")]
    pub(crate) fn new(
        disk: Disk,
        view: Arc<CurrentView>,
        naming: Arc<Naming>,
        health: Arc<Health>,
        damage: Arc<DamageList>,
        large_names: Arc<LargeNames>,
        always_durable: bool,
        next_segment: u32,
        kept: Kept,
    ) -> Self {
        let (next_segment, kept) = (AtomicU32::new(next_segment), Mutex::new(kept));
        ManifestKeeper {
            disk,
            view,
            naming,
            health,
            damage,
            large_names,
            always_durable,
            next_segment,
            kept,
        }
    }

    /// A number for a new segment.
    pub(crate) fn next_segment(&self) -> u32 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes the manifest of what the store holds now, if it is another than the last. First the
    /// list of damage, because the manifest forgets what was lost.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn keep(&self) -> Result<(), StoreError> {
        self.write(self.always_durable).await
    }

    /// The same, when all of the segment that puts are appended to is durable.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn keep_durable(&self) -> Result<(), StoreError> {
        self.write(true).await
    }

    /// Whether the last manifest asks for all files there are: what was appended to them since a
    /// later one says, so that an opening after a crash need not wait for it.
    pub(crate) async fn will_do(&self) -> bool {
        let kept = self.kept.lock().await;
        kept.whole && self.now(&kept.manifest, true).only_grew(&kept.manifest)
    }

    /// Sees to it that the manifest asks for the segment that puts are appended to, which has no
    /// record that it does not ask for, or which it asked for before.
    ///
    /// # Errors
    /// As a put.
    pub(crate) async fn enter_active(&self) -> Result<(), StoreError> {
        let active = self.view.lock().active.as_ref().map(|active| active.id);
        let known = {
            let kept = self.kept.lock().await;
            kept.whole && active.is_some_and(|id| kept.manifest.has_active(id))
        };
        if known { Ok(()) } else { self.keep_durable().await }
    }

    async fn write(&self, active_is_durable: bool) -> Result<(), StoreError> {
        self.damage.keep().await?;
        let mut kept = self.kept.lock().await;
        if self.naming.is_closed() {
            // The directory may be another process's by now.
            return Err(StoreError::Closed);
        }
        let manifest = self.now(&kept.manifest, active_is_durable);
        if kept.whole && manifest.asks_the_same(&kept.manifest) {
            return Ok(());
        }
        kept.whole = false;
        let written = write(&self.disk, "", &manifest).await;
        let bytes = written.map_err(|error| self.health.write_failed(FILE, &error))?;
        self.health.count_write(bytes, 2);
        *kept = Kept { manifest, whole: true };
        Ok(())
    }

    fn now(&self, last: &Manifest, active_is_durable: bool) -> Manifest {
        let mut manifest = Manifest {
            sequence: last.sequence.saturating_add(1),
            next_segment: self.next_segment.load(Ordering::Relaxed),
            quarantine: self.damage.sequence(),
            large: self.large_names.reach(),
            ..Manifest::default()
        };
        let view = self.view.lock();
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
    pub(crate) fn of_snapshot(
        &self,
        segments: impl IntoIterator<Item = (SegmentId, Summary)>,
        large: Reach,
    ) -> Manifest {
        let sealed = |(id, summary)| (id, Should::Sealed(summary));
        Manifest {
            sequence: 1,
            next_segment: self.next_segment.load(Ordering::Relaxed),
            quarantine: self.damage.sequence(),
            large,
            segments: segments.into_iter().map(sealed).collect(),
        }
    }
}

fn all_of(active: &Unsealed) -> Should {
    let Summary { len, records, unread, .. } = active.summary();
    Should::Active { len, records, unread }
}
