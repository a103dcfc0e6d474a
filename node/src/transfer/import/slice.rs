//! Slice: a part of a repository that is pushed at once, and stands by itself.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, ObjectId};
use gitstratum_git::pack::entry::{EntryHeader, EntryKind};
use gitstratum_git::pack::write::{DeltaForms, PackWriter, StoredEntry};
use gix::hashtable::{HashMap, HashSet};

use super::error::ImportError;
use super::history::History;
use super::packs::Place;
use super::source::{Commit, Entry, Source, of_gix, plain};

/// Objects that go into one pack. Those of a kind are together, in the order in which they were met.
#[derive(Default)]
pub(super) struct Slice {
    commits: Vec<gix::ObjectId>,
    trees: Vec<gix::ObjectId>,
    others: Vec<gix::ObjectId>,
    /// Bytes that they take where they are.
    bytes: u64,
}

impl Slice {
    pub(super) fn len(&self) -> usize {
        self.commits.len() + self.trees.len() + self.others.len()
    }

    pub(super) fn is_full(&self, objects: usize) -> bool {
        self.len() >= objects || self.bytes >= limits::IMPORT_SLICE_BYTES
    }

    fn ids(&self) -> impl Iterator<Item = gix::ObjectId> + '_ {
        [&self.commits, &self.trees, &self.others].into_iter().flatten().copied()
    }
}

/// Finds what a commit brings that none before had.
pub(super) struct Collector<'a> {
    source: &'a Source,
    /// Trees, blobs and tags that were sent, or that commits have which the cluster had before.
    known: HashSet<gix::ObjectId>,
    /// Commits of those, whose trees are known.
    known_of: HashSet<gix::ObjectId>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Collector { source, known: HashSet::default(), known_of: HashSet::default() }
    }

    /// Adds a commit, with what its tree has.
    pub(super) fn commit(
        &mut self,
        commit: &Commit,
        history: &History,
        slice: &mut Slice,
    ) -> Result<(), ImportError> {
        for parent in commit.parents.iter().filter(|parent| history.was_there(parent)) {
            if self.known_of.insert(*parent) {
                let tree = self.source.commit(*parent)?.tree;
                self.walk(tree, &mut |_, _| Ok(()))?;
            }
        }
        slice.bytes += self.packed_bytes(commit.id)?;
        slice.commits.push(commit.id);
        self.tree(commit.tree, slice)
    }

    /// Adds a tree, with all that it has.
    pub(super) fn tree(&mut self, id: gix::ObjectId, slice: &mut Slice) -> Result<(), ImportError> {
        let source = self.source;
        self.walk(id, &mut |id, is_tree| {
            slice.bytes += packed_bytes(source, id)?;
            if is_tree {
                slice.trees.push(id)
            } else {
                slice.others.push(id)
            }
            Ok(())
        })
    }

    /// Adds a tag, or a blob that a ref points to.
    pub(super) fn other(
        &mut self,
        id: gix::ObjectId,
        slice: &mut Slice,
    ) -> Result<(), ImportError> {
        if self.known.insert(id) {
            slice.bytes += self.packed_bytes(id)?;
            slice.others.push(id);
        }
        Ok(())
    }

    /// Tells what a tree has and was not known, and whether it is a tree itself.
    fn walk(
        &mut self,
        tree: gix::ObjectId,
        found: &mut dyn FnMut(gix::ObjectId, bool) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut pending = vec![tree];
        while let Some(id) = pending.pop() {
            if !self.known.insert(id) {
                continue;
            }
            found(id, true)?;
            for entry in self.source.tree(id)? {
                match entry {
                    Entry::Tree(id) => pending.push(id),
                    Entry::Blob(id) if self.known.insert(id) => found(id, false)?,
                    Entry::Blob(_) => {}
                }
            }
        }
        Ok(())
    }

    fn packed_bytes(&self, id: gix::ObjectId) -> Result<u64, ImportError> {
        packed_bytes(self.source, id)
    }
}

/// Bytes of an object's entry, or of its data where it is in no pack.
fn packed_bytes(source: &Source, id: gix::ObjectId) -> Result<u64, ImportError> {
    match source.packs.locate(&id) {
        Some(place) => Ok(place.end - place.offset),
        None => Ok(source.header(id)?.1),
    }
}

/// Writes the pack of a slice. `give` takes its bytes, and says whether anybody wants more.
pub(super) fn write(
    source: &Source,
    slice: &Slice,
    give: &mut dyn FnMut(Bytes, u64) -> bool,
) -> Result<(), ImportError> {
    let packed = slice.ids().filter_map(|id| Some((id, source.packs.locate(&id)?)));
    let places: HashMap<gix::ObjectId, Place> = packed.collect();
    let declared = u32::try_from(slice.len()).map_err(|_| ImportError::Object {
        what: format!("one commit brings {} objects, more than a pack can have", slice.len()),
    })?;
    let forms = DeltaForms { by_distance: true, thin: false };
    let (mut writer, header) = PackWriter::new(source.object_format(), declared, forms);
    if !give(header, 0) {
        return Ok(());
    }
    for id in slice.ids() {
        let pieces = match places.get(&id) {
            Some(place) => packed_entry(source, &places, id, *place, &mut writer)?,
            None => vec![whole(source, id, &mut writer)?],
        };
        let last = pieces.len() - 1;
        for (at, piece) in pieces.into_iter().enumerate() {
            if !give(piece, u64::from(at == last)) {
                return Ok(());
            }
        }
    }
    give(writer.finish()?, 0);
    Ok(())
}

/// An object's entry as the pack on disk has it, where what it builds on is in this pack too: in the
/// same pack on disk, since from one pack to the next deltas could build on each other.
fn packed_entry(
    source: &Source,
    places: &HashMap<gix::ObjectId, Place>,
    id: gix::ObjectId,
    place: Place,
    writer: &mut PackWriter,
) -> Result<Vec<Bytes>, ImportError> {
    let broken = || ImportError::Object { what: format!("the entry of object {id} is not whole") };
    let bytes = source.packs.entry(place).ok_or_else(broken)?;
    let header = EntryHeader::parse(source.object_format(), place.offset, bytes)?;
    let base: Option<ObjectId> = match header.ok_or_else(broken)?.kind {
        EntryKind::Whole(_) => None,
        EntryKind::OfsDelta { base } => {
            let base = source.packs.object_at(place.pack, base).ok_or_else(broken)?;
            Some(plain(&base))
        }
        EntryKind::RefDelta { base } => Some(base),
    };
    let is_sent =
        |base: &ObjectId| places.get(&of_gix(base)).is_some_and(|found| found.pack == place.pack);
    if !base.as_ref().is_none_or(is_sent) {
        return Ok(vec![whole(source, id, writer)?]);
    }
    let bytes = Bytes::copy_from_slice(bytes);
    Ok(writer.copy(StoredEntry { id: plain(&id), offset: place.offset, bytes, base })?)
}

/// A whole object, compressed anew.
fn whole(
    source: &Source,
    id: gix::ObjectId,
    writer: &mut PackWriter,
) -> Result<Bytes, ImportError> {
    let (_, size) = source.header(id)?;
    let max = limits::DELTA_OBJECT_BYTES_MAX;
    if size > max {
        return Err(ImportError::Object {
            what: format!(
                "object {id} has {size} bytes and is no whole entry of a pack, and no more than {max} \
                 are held at once: `git repack -a -d` makes it one"
            ),
        });
    }
    let (kind, data) = source.object(id)?;
    let kind = match kind {
        gix::objs::Kind::Commit => Kind::Commit,
        gix::objs::Kind::Tree => Kind::Tree,
        gix::objs::Kind::Blob => Kind::Blob,
        gix::objs::Kind::Tag => Kind::Tag,
    };
    Ok(writer.whole(plain(&id), kind, &data)?)
}
