//! The manifest: what a store should hold, known apart from the files that hold it.
//!
//! A small file with a line for each segment. Without it a lost file is no different from one
//! that never was, and what it held would be called absent. There are two copies, in the root and
//! beside the segments, each replaced as a whole and the one after the other; the one with the
//! higher sequence number counts. So to lose one, or to find an older one in its place, costs
//! nothing, and opening writes it again.
//!
//! It is written when a segment begins, before its first record; when one is sealed alone, when
//! compaction has given its segment a name and before what that replaces is removed, when the store
//! is closed, and whenever it is looked whether there is maintenance to be done. Never on the way
//! to an acknowledgement.
//!
//! Invariant: what the manifest says was durable when it was written, and stays true until the
//! next one is written: segments only grow, and what compaction made of several stands for them.
//! So whatever is less on the disk than the manifest says is lost ([`compare()`]). A loss leaves the
//! manifest when it is on the list of damage (`state/quarantine`), durably.
//!
//! What it cannot tell: of the segment that puts are appended to it knows how much there was at
//! least. If a process dies, and then that file loses whole records at its end which were
//! written after the manifest, this looks as if they had never been acknowledged: to tell would
//! take a write with each acknowledgement. After a clean close nothing is left to such doubt.

mod compare;
mod text;
mod unidentified;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;

use crate::error::{OpenError, io_error};
use crate::files::names::DIR;
pub(crate) use crate::files::names::MANIFEST as FILE;
use crate::format::segment::SegmentId;

pub(crate) use compare::{OnDisk, compare};
pub(crate) use unidentified::UnidentifiedRecords;

/// The paths of the copies, in the order in which they are written.
pub(crate) fn paths() -> [String; 2] {
    [FILE.to_owned(), format!("{DIR}/{FILE}")]
}

/// What a segment holds, as far as that can be told without reading its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Length of its file.
    pub(crate) len: u64,
    /// Ids of which it has a record.
    pub(crate) records: u64,
    /// The lowest and the highest of them; `None` when it has none.
    pub(crate) ids: Option<(ObjectId, ObjectId)>,
    /// Bytes in it that belong to no record, and were noted as lost when that was seen.
    pub(crate) unread: u64,
}

/// What a segment should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Should {
    /// Exactly this: nothing is appended to it any more.
    Sealed(Summary),
    /// At least so many bytes and ids: puts are appended to it.
    Active {
        /// Length of its file that was durable.
        len: u64,
        /// Ids of which there was a record in that.
        records: u64,
        /// Bytes of that which belong to no record, as in [`Summary::unread`].
        unread: u64,
    },
}

impl Should {
    /// Bytes that its file has, at least.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Should::Sealed(Summary { len, .. }) | Should::Active { len, .. } => *len,
        }
    }

    /// Bytes of it that belong to no record, as far as that was known.
    pub(crate) fn unread(&self) -> u64 {
        match self {
            Should::Sealed(Summary { unread, .. }) | Should::Active { unread, .. } => *unread,
        }
    }
}

/// How much of a file that is only appended to was durable, which is replaced when it is
/// written anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    /// Which of the files that had the name, in their order; 0 before the first.
    pub(crate) generation: u64,
    /// Bytes of it.
    pub(crate) len: u64,
}

/// What a store should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Manifests that were written before it.
    pub(crate) sequence: u64,
    /// The number of the next segment: no segment with this one or a higher had a record.
    pub(crate) next_segment: u32,
    /// How often the list of damage had been written.
    pub(crate) quarantine: u64,
    /// How far the names of large objects reached.
    pub(crate) large: Reach,
    /// The segments.
    pub(crate) segments: BTreeMap<SegmentId, Should>,
}

impl Manifest {
    /// Whether both ask for the same: all but the sequence number.
    pub(crate) fn asks_the_same(&self, other: &Manifest) -> bool {
        Manifest { sequence: other.sequence, ..self.clone() } == *other
    }

    /// Whether this one asks for no other files than an older one: at most for more of those that
    /// are appended to. The older one will do then.
    pub(crate) fn only_grew(&self, older: &Manifest) -> bool {
        let same_file = |should: &Should, older: &Should| match (should, older) {
            (Should::Active { .. }, Should::Active { .. }) => should.len() >= older.len(),
            _ => should == older,
        };
        let mut pairs = self.segments.iter().zip(&older.segments);
        self.segments.len() == older.segments.len()
            && pairs.all(|((id, should), (of, older))| id == of && same_file(should, older))
            && self.large.generation == older.large.generation
            && self.large.len >= older.large.len
            && self.quarantine == older.quarantine
    }

    /// Whether it asks for a segment that puts are appended to.
    pub(crate) fn has_active(&self, id: SegmentId) -> bool {
        matches!(self.segments.get(&id), Some(Should::Active { .. }))
    }
}

/// What is left of the copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The newest that holds.
    pub(crate) manifest: Option<Manifest>,
    /// What is wrong with the copies, in words; nothing when both are there and alike.
    pub(crate) trouble: Vec<String>,
}

/// Reads both copies.
///
/// # Errors
/// [`OpenError`] when the disk reads neither, or a newer program wrote one.
pub(crate) async fn read(disk: &Disk) -> Result<Read, OpenError> {
    let (mut copies, mut trouble, mut unread) = (Vec::new(), Vec::new(), None);
    for path in paths() {
        let bytes = match disk.read_whole(&path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                trouble.push(format!("{path} is missing"));
                continue;
            }
            Err(error) => {
                trouble.push(error.to_string());
                unread = Some(io_error("read", &path)(error));
                continue;
            }
        };
        match text::parse(&bytes) {
            Ok(manifest) => copies.push((manifest, path)),
            Err(text::Error::Version(version)) => {
                return Err(NewerFormat::new(path, version, text::VERSION).into());
            }
            Err(text::Error::Damaged) => trouble.push(format!("{path} is damaged")),
        }
    }
    // Of two with the same number, which are alike, either will do.
    copies.sort_by_key(|(manifest, _)| std::cmp::Reverse(manifest.sequence));
    let mut copies = copies.into_iter();
    let newest = copies.next();
    if let (None, Some(error)) = (&newest, unread) {
        // Another time the disk may read it.
        return Err(error);
    }
    if let (Some((newest, of)), Some((older, path))) = (&newest, copies.next())
        && *newest != older
    {
        trouble.push(format!("{path} is older than {of}"));
    }
    Ok(Read { manifest: newest.map(|(manifest, _)| manifest), trouble })
}

/// Writes both copies, durably, below `root` (empty, or with a `/` at its end).
///
/// # Errors
/// Those of the disk; then either may be the one before.
pub(crate) async fn write(disk: &Disk, root: &str, manifest: &Manifest) -> std::io::Result<u64> {
    let text = Bytes::from(text::encode(manifest));
    for path in paths() {
        disk.replace(&format!("{root}{path}"), text.clone()).await?;
    }
    Ok(2 * text.len() as u64)
}
