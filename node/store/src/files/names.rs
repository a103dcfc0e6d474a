//! The names of a store's files, and making a new segment.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use bytes::Bytes;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode};

use crate::error::{OpenError, io_error};
use crate::format::segment::{SegmentId, segment_header};

/// The directory of all segments and their indexes.
pub(crate) const DIR: &str = "segments";
/// The directory of large objects.
pub(crate) const LARGE_DIR: &str = "large";
/// Either copy of the manifest: in the root, and in the directory of segments.
pub(crate) const MANIFEST: &str = "manifest";
/// The file that a complete snapshot has.
pub(crate) const COMPLETE: &str = "complete";
/// What the name of a file that is not complete ends with.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

const SEGMENT_SUFFIX: &str = ".seg";
const INDEX_SUFFIX: &str = ".idx";
const LARGE_SUFFIX: &str = ".obj";

/// What a name in the directory of segments stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The records of a segment.
    Segment(SegmentId),
    /// The index of one.
    Index(SegmentId),
    /// A copy of the manifest.
    Manifest,
    /// A file that was not completed.
    Temporary,
}

/// Reads a name in the directory of segments; `None` for one that no store makes.
pub(crate) fn named(name: &str) -> Option<Named> {
    if name.ends_with(TEMPORARY_SUFFIX) {
        return Some(Named::Temporary);
    }
    if name == MANIFEST {
        return Some(Named::Manifest);
    }
    if let Some(stem) = name.strip_suffix(SEGMENT_SUFFIX) {
        return SegmentId::from_stem(stem).map(Named::Segment);
    }
    SegmentId::from_stem(name.strip_suffix(INDEX_SUFFIX)?).map(Named::Index)
}

/// The file of a segment's records.
pub(crate) fn segment_path(id: SegmentId) -> String {
    format!("{DIR}/{id}{SEGMENT_SUFFIX}")
}

/// The file of a segment's index.
pub(crate) fn index_path(id: SegmentId) -> String {
    format!("{DIR}/{id}{INDEX_SUFFIX}")
}

/// The file of a large object.
pub(crate) fn large_path(id: ObjectId) -> String {
    format!("{LARGE_DIR}/{id}{LARGE_SUFFIX}")
}

/// The object that a name in the directory of large objects stands for.
pub(crate) fn large_of(name: &str) -> Option<ObjectId> {
    let id: ObjectId = name.strip_suffix(LARGE_SUFFIX)?.parse().ok()?;
    // One spelling only.
    (format!("{id}{LARGE_SUFFIX}") == name).then_some(id)
}

/// Where a file is before it is complete.
pub(crate) fn temporary(path: &str) -> String {
    format!("{path}{TEMPORARY_SUFFIX}")
}

/// The names in a store's directories.
#[derive(Default)]
pub(crate) struct Listed {
    /// Segments that are part of the store.
    pub(crate) segments: BTreeSet<SegmentId>,
    /// Large objects.
    pub(crate) large: BTreeSet<ObjectId>,
    /// Paths of what was not completed, or what compaction had replaced.
    pub(crate) leftovers: Vec<String>,
}

/// Reads the names in a store's directories; touches nothing.
///
/// # Errors
/// [`OpenError::Stranger`] for a name that no store makes; those of the disk.
pub(crate) async fn list(disk: &Disk) -> Result<Listed, OpenError> {
    let mut listed = Listed::default();
    let mut indexes = BTreeSet::new();
    for name in disk.list(DIR).await.map_err(io_error("list", DIR))? {
        let path = || format!("{DIR}/{name}");
        match named(&name) {
            Some(Named::Segment(id)) => {
                listed.segments.insert(id);
            }
            Some(Named::Index(id)) => {
                indexes.insert(id);
            }
            Some(Named::Temporary) => listed.leftovers.push(path()),
            Some(Named::Manifest) => {}
            None => return Err(OpenError::Stranger { path: path() }),
        }
    }
    for id in superseded(&listed.segments) {
        listed.segments.remove(&id);
        listed.leftovers.push(segment_path(id));
    }
    listed.leftovers.extend(indexes.difference(&listed.segments).map(|id| index_path(*id)));
    for name in disk.list(LARGE_DIR).await.map_err(io_error("list", LARGE_DIR))? {
        let path = format!("{LARGE_DIR}/{name}");
        match large_of(&name) {
            Some(id) => {
                listed.large.insert(id);
            }
            None if name.ends_with(TEMPORARY_SUFFIX) => listed.leftovers.push(path),
            None => return Err(OpenError::Stranger { path }),
        }
    }
    Ok(listed)
}

/// Those whose place others have taken.
pub(crate) fn superseded(segments: &BTreeSet<SegmentId>) -> Vec<SegmentId> {
    let mut sorted: Vec<_> = segments.iter().copied().collect();
    // Whatever reaches from before a segment to behind it comes first.
    sorted.sort_by_key(|id| (id.first, Reverse(id.last), Reverse(id.generation)));
    let (mut superseded, mut reaching) = (Vec::new(), Vec::<SegmentId>::new());
    for id in sorted {
        reaching.retain(|before| before.last >= id.first);
        if reaching.iter().any(|before| before.supersedes(&id)) {
            superseded.push(id);
        }
        reaching.push(id);
    }
    superseded
}

/// Makes a segment file with its header, durably, name included.
///
/// # Errors
/// Those of the disk.
pub(crate) async fn create_segment(disk: &Disk, id: SegmentId) -> std::io::Result<File> {
    let file = disk.open(&segment_path(id), OpenMode::CreateNew).await?;
    let header = Bytes::copy_from_slice(&segment_header(id));
    file.write_at_and_sync(0, vec![header]).await?;
    disk.sync_dir(DIR).await?;
    Ok(file)
}
