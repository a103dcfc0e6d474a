//! Export of a repository of the catalog: a clone without the git program.
//!
//! Stored packs become pack files, entry by entry as they lie. An export that was stopped begins anew
//! in the directory that it claimed; one that is whole is left to its owner.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_git::repository::whole::{PackFile, WholeRepository};
use gitstratum_git::service::{Head as StoredHead, PackSink, RepositoryError};
use tokio::sync::mpsc;

use super::super::Progress;
use super::super::manifest::{Head, Reference, Target};
use super::claim::{self, Claim};
use super::layout::{self, Description};
use super::{ExportError, blocking, pack, verify, writing};

/// What an export of a repository did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepositoryReport {
    /// Objects that were written.
    pub objects: u64,
    /// Bytes of the pack files.
    pub bytes: u64,
    /// Pack files.
    pub packs: u64,
    /// Refs, HEAD not counted.
    pub refs: u64,
}

/// Writes a bare repository at `dir` that is as this one is.
///
/// # Errors
/// [`ExportError`].
pub async fn export_repository(
    whole: &WholeRepository,
    name: &str,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<RepositoryReport, ExportError> {
    let of = format!("repository {} {name}", whole.id());
    let dir = dir.to_owned();
    let claim = blocking(move || {
        let claim = claim::claim(&dir, &of)?;
        if claim.is_finished() {
            return Err(claim.occupied(
                "it is an export that was finished, and was left as it is: export to another \
                 directory",
            ));
        }
        layout::begin(&claim)?;
        clear(&claim)?;
        Ok(Arc::new(claim))
    })
    .await?;
    let total = whole.packs().iter().map(|pack| pack.objects).sum();
    progress.begin("exporting", total);
    let mut report = RepositoryReport::default();
    for packs in whole.pack_files(limits::EXPORT_FILE_BYTES_MAX, limits::EXPORT_FILE_OBJECTS_MAX) {
        let there = &whole.packs()[packs.clone()];
        let objects = there.iter().map(|pack| pack.objects).sum();
        let bytes = there.iter().map(|pack| pack.bytes).sum();
        let shown = Shown { progress, objects, bytes, bytes_done: 0, objects_told: 0 };
        let file = write(&claim, whole, packs, shown).await?;
        report.objects += file.objects;
        report.bytes += file.bytes;
        report.packs += 1;
    }
    let (algorithm, refs) = (whole.object_format(), whole.refs().clone());
    report.refs = refs.refs.len() as u64;
    blocking(move || {
        let head = match refs.head {
            StoredHead::Branch(name) => Head::Ref(name.into()),
            StoredHead::Detached(id) => Head::Id(id),
        };
        let refs: Vec<Reference> = refs
            .refs
            .into_iter()
            .map(|found| Reference { name: found.name.into(), target: Target::Id(found.id) })
            .collect();
        let description = Description { algorithm, head: &head, shallow: &[], refs: &refs };
        layout::finish(&claim, &description)
    })
    .await?;
    progress.end();
    Ok(report)
}

/// Removes the packs of an export that was stopped.
fn clear(claim: &Claim) -> Result<(), ExportError> {
    pack::remove_unfinished(claim.dir())?;
    let dir = claim.dir().join("objects/pack");
    let reading = || writing(format!("reading {}", dir.display()));
    for entry in fs::read_dir(&dir).map_err(reading())? {
        verify::remove(&entry.map_err(reading())?.path())?;
    }
    Ok(())
}

/// Writes these packs to a file, and puts it with its index where Git finds it.
async fn write(
    claim: &Arc<Claim>,
    whole: &WholeRepository,
    packs: Range<usize>,
    shown: Shown<'_>,
) -> Result<PackFile, ExportError> {
    let path = claim.dir().join(pack::TMP_PACK);
    let doing = format!("writing {}", path.display());
    let (parts, mut waiting) = mpsc::channel::<Bytes>(limits::EXPORT_PARTS_WAITING_MAX);
    let file = blocking(move || {
        let mut write = || {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            while let Some(part) = waiting.blocking_recv() {
                file.write_all(&part)?;
            }
            file.flush()?;
            file.get_ref().sync_all()
        };
        write().map_err(writing(doing))
    });
    let read = async {
        let mut sink = FileSink { parts, shown };
        whole.write_pack(packs, &mut sink).await
    };
    let (written, read) = futures_util::join!(file, read);
    // A disk that is full explains why nobody took the pack.
    written?;
    let file = read?;
    let (claim, claimed) = (claim.clone(), claim.dir().join("objects/pack"));
    blocking(move || {
        let put = pack::put_in_place(claim.dir(), &file.checksum, &file.index);
        put.map_err(writing(format!("writing to {}", claimed.display())))?;
        Ok(file)
    })
    .await
}

/// Takes a pack for a file.
struct FileSink<'a> {
    parts: mpsc::Sender<Bytes>,
    shown: Shown<'a>,
}

#[async_trait]
impl PackSink for FileSink<'_> {
    async fn pack(&mut self, bytes: Bytes) -> Result<(), RepositoryError> {
        self.shown.advance(bytes.len() as u64);
        self.parts.send(bytes).await.map_err(|_| RepositoryError::Gone)
    }

    async fn progress(&mut self, _: &str) -> Result<(), RepositoryError> {
        Ok(())
    }
}

/// Progress of one file: of its objects as many are told as there are bytes of all.
struct Shown<'a> {
    progress: &'a dyn Progress,
    objects: u64,
    bytes: u64,
    bytes_done: u64,
    objects_told: u64,
}

impl Shown<'_> {
    fn advance(&mut self, bytes: u64) {
        self.bytes_done += bytes;
        let share = self.bytes_done.min(self.bytes) as f64 / self.bytes.max(1) as f64;
        let objects = (self.objects as f64 * share) as u64;
        self.progress.advance(objects.saturating_sub(self.objects_told), bytes);
        self.objects_told = objects.max(self.objects_told);
    }
}
