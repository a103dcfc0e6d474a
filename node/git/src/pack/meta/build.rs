//! Making of a pack index.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::layout::{
    APPENDED, Counts, FORM_OFS, FORM_REF, FORM_SHIFT, NO_BASE, kind_code, push_u40,
};
use super::{MetaError, StoredForm};
use crate::pack::entry::EntryKind;
use crate::pack::index::Indexed;

/// Collects what an index is to say. Objects come in the order of their entries, and their positions
/// are those in this order; commits and tags come in the same order.
pub struct MetaBuilder {
    algorithm: HashAlgorithm,
    body_bytes: u64,
    objects: Vec<super::MetaObject>,
    commits: Vec<CommitRow>,
    parents: Vec<ObjectId>,
    tags: Vec<TagRow>,
    chunk_bytes: u32,
    chunk_ids: Vec<[u8; 32]>,
}

struct CommitRow {
    position: u32,
    tree: ObjectId,
    parents_end: usize,
    committed_at: u64,
    generation: u32,
}

struct TagRow {
    position: u32,
    target: ObjectId,
    target_kind: Kind,
}

impl MetaBuilder {
    /// One for a pack with a body of so many bytes.
    pub fn new(algorithm: HashAlgorithm, body_bytes: u64) -> Self {
        MetaBuilder {
            algorithm,
            body_bytes,
            objects: Vec::new(),
            commits: Vec::new(),
            parents: Vec::new(),
            tags: Vec::new(),
            chunk_bytes: 0,
            chunk_ids: Vec::new(),
        }
    }

    /// One that says what an indexer has found. `generation_of` knows the generation numbers of
    /// commits that are not in the pack, or does not.
    pub fn of_indexed(
        indexed: &Indexed,
        generation_of: impl FnMut(&ObjectId) -> Option<u32>,
    ) -> Self {
        let mut builder = MetaBuilder::new(indexed.algorithm, indexed.body_bytes);
        for object in &indexed.objects {
            builder.object(super::MetaObject {
                id: object.id,
                kind: object.kind,
                size: object.size,
                offset: object.offset,
                packed_len: object.packed_len,
                crc32: object.crc32,
                form: match object.entry {
                    EntryKind::Whole(_) => StoredForm::Whole,
                    EntryKind::OfsDelta { .. } => StoredForm::OfsDelta,
                    EntryKind::RefDelta { .. } => StoredForm::RefDelta,
                },
                base: object.base,
                appended: object.appended,
            });
        }
        let generations = generations(indexed, generation_of);
        for (commit, generation) in indexed.commits().zip(generations) {
            builder.commit(
                commit.position,
                commit.tree,
                &commit.parents,
                commit.committed_at,
                generation,
            );
        }
        for tag in indexed.tags() {
            builder.tag(tag.position, tag.target, tag.target_kind);
        }
        builder
    }

    /// Adds an object. Its base is said by its position, which may be one that comes later.
    pub fn object(&mut self, object: super::MetaObject) {
        self.objects.push(object);
    }

    /// Says what the commit at a position names, when it was committed (seconds since 1970), and its
    /// generation number, 0 where that is not known.
    pub fn commit(
        &mut self,
        position: u32,
        tree: ObjectId,
        parents: &[ObjectId],
        committed_at: u64,
        generation: u32,
    ) {
        self.parents.extend_from_slice(parents);
        let parents_end = self.parents.len();
        self.commits.push(CommitRow { position, tree, parents_end, committed_at, generation });
    }

    /// Says what the tag at a position points to.
    pub fn tag(&mut self, position: u32, target: ObjectId, target_kind: Kind) {
        self.tags.push(TagRow { position, target, target_kind });
    }

    /// Says into which chunks the body was cut.
    pub fn chunks(&mut self, chunk_bytes: u32, ids: Vec<[u8; 32]>) {
        (self.chunk_bytes, self.chunk_ids) = (chunk_bytes, ids);
    }

    /// The index.
    ///
    /// # Errors
    /// [`MetaError::TooLarge`]. Whatever else is wrong with what was said, decoding finds out.
    pub fn encode(&self) -> Result<Bytes, MetaError> {
        let count = |len: usize, what| u32::try_from(len).map_err(|_| MetaError::TooLarge(what));
        let objects = count(self.objects.len(), "so many objects")?;
        let mut order: Vec<u32> = (0..objects).collect();
        order.sort_unstable_by_key(|position| self.objects[*position as usize].id);
        let outside = self.outside(&order);
        let garbage = self.garbage()?;
        let counts = Counts {
            objects,
            commits: count(self.commits.len(), "so many commits")?,
            parents: count(self.parents.len(), "so many parents")?,
            tags: count(self.tags.len(), "so many tags")?,
            outside: count(outside.len(), "so many outside ids")?,
            garbage: count(garbage.len(), "so much garbage")?,
            chunks: count(self.chunk_ids.len(), "so many chunks")?,
            chunk_bytes: self.chunk_bytes,
            body_bytes: self.body_bytes,
        };
        count(self.objects.len() + outside.len(), "so many links")?;
        let mut out = Vec::new();
        counts.write_header(self.algorithm, &mut out);
        self.write_objects(&order, &mut out)?;
        outside.iter().for_each(|id| out.extend_from_slice(id.as_bytes()));
        for (offset, len) in garbage {
            push_u40(offset, "a body of this length", &mut out)?;
            push_u40(len, "a body of this length", &mut out)?;
        }
        self.write_links(&order, &outside, &mut out)?;
        self.chunk_ids.iter().for_each(|id| out.extend_from_slice(id));
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out.into())
    }

    fn write_objects(&self, order: &[u32], out: &mut Vec<u8>) -> Result<(), MetaError> {
        for object in &self.objects {
            out.extend_from_slice(object.id.as_bytes());
        }
        for object in &self.objects {
            push_u40(object.offset, "a body of this length", out)?;
        }
        for object in &self.objects {
            push_u40(object.size, "an object of this size", out)?;
        }
        for object in &self.objects {
            out.extend_from_slice(&object.crc32.to_le_bytes());
        }
        for object in &self.objects {
            let form = match object.form {
                StoredForm::Whole => 0,
                StoredForm::OfsDelta => FORM_OFS,
                StoredForm::RefDelta => FORM_REF,
            };
            let appended = if object.appended { APPENDED } else { 0 };
            out.push(kind_code(object.kind)? | form << FORM_SHIFT | appended);
        }
        for object in &self.objects {
            out.extend_from_slice(&object.base.unwrap_or(NO_BASE).to_le_bytes());
        }
        order.iter().for_each(|position| out.extend_from_slice(&position.to_le_bytes()));
        Ok(())
    }

    fn write_links(
        &self,
        order: &[u32],
        outside: &[ObjectId],
        out: &mut Vec<u8>,
    ) -> Result<(), MetaError> {
        let link = |id: &ObjectId| {
            let number = self.find(order, id).unwrap_or_else(|| {
                let row = outside.binary_search(id).expect("what is not inside is outside");
                (self.objects.len() + row) as u32
            });
            number.to_le_bytes()
        };
        for commit in &self.commits {
            out.extend_from_slice(&commit.position.to_le_bytes());
            out.extend_from_slice(&link(&commit.tree));
            out.extend_from_slice(&(commit.parents_end as u32).to_le_bytes());
            out.extend_from_slice(&commit.generation.to_le_bytes());
            out.extend_from_slice(&commit.committed_at.to_le_bytes());
        }
        self.parents.iter().for_each(|parent| out.extend_from_slice(&link(parent)));
        for tag in &self.tags {
            out.extend_from_slice(&tag.position.to_le_bytes());
            out.extend_from_slice(&link(&tag.target));
            out.push(kind_code(tag.target_kind)?);
        }
        Ok(())
    }

    fn find(&self, order: &[u32], id: &ObjectId) -> Option<u32> {
        let place = order.binary_search_by_key(id, |position| self.objects[*position as usize].id);
        place.ok().map(|place| order[place])
    }

    /// What is named and not in the pack, sorted.
    fn outside(&self, order: &[u32]) -> Vec<ObjectId> {
        let trees = self.commits.iter().map(|commit| commit.tree);
        let targets = self.tags.iter().map(|tag| tag.target);
        let named = trees.chain(targets).chain(self.parents.iter().copied());
        let mut outside: Vec<ObjectId> =
            named.filter(|id| self.find(order, id).is_none()).collect();
        outside.sort_unstable();
        outside.dedup();
        outside
    }

    /// What no entry has, as offsets and lengths.
    fn garbage(&self) -> Result<Vec<(u64, u64)>, MetaError> {
        let mut garbage = Vec::new();
        let mut end = 0u64;
        let begins = self.objects.iter().map(|object| object.offset).chain([self.body_bytes]);
        let lens = self.objects.iter().map(|object| object.packed_len).chain([0]);
        for (begin, len) in begins.zip(lens) {
            let gap = begin.checked_sub(end).ok_or(MetaError::Invalid("entries out of order"))?;
            if gap > 0 {
                garbage.push((end, gap));
            }
            end = begin.checked_add(len).ok_or(MetaError::TooLarge("a body of this length"))?;
        }
        Ok(garbage)
    }
}

/// The generation numbers of an indexed pack's commits, in their order: one more than the greatest
/// of the parents', 1 without parents, and 0 where a parent's is not known.
pub fn generations(
    indexed: &Indexed,
    mut generation_of: impl FnMut(&ObjectId) -> Option<u32>,
) -> Vec<u32> {
    let commits: Vec<_> = indexed.commits().collect();
    let mut rows: Vec<(ObjectId, u32)> = commits
        .iter()
        .enumerate()
        .map(|(row, commit)| (indexed.objects[commit.position as usize].id, row as u32))
        .collect();
    rows.sort_unstable();
    let row_of = |id: &ObjectId| {
        rows.binary_search_by_key(id, |(id, _)| *id).ok().map(|place| rows[place].1 as usize)
    };
    // Nothing while it is not known; a commit that waits for its parents is on the path once.
    let mut found: Vec<Option<u32>> = vec![None; commits.len()];
    let mut on_path = vec![false; commits.len()];
    let mut path = Vec::new();
    for first in 0..commits.len() {
        path.push(first);
        while let Some(&row) = path.last() {
            if found[row].is_some() {
                path.pop();
                continue;
            }
            let before = path.len();
            if !std::mem::replace(&mut on_path[row], true) {
                let parents = commits[row].parents.iter().filter_map(row_of);
                path.extend(parents.filter(|parent| found[*parent].is_none()));
            }
            if path.len() == before {
                let mut greatest = Some(0);
                for parent in &commits[row].parents {
                    let generation = match row_of(parent) {
                        Some(parent) => found[parent],
                        None => generation_of(parent),
                    };
                    let known = generation.filter(|generation| *generation > 0);
                    greatest = greatest.zip(known).map(|(one, other)| one.max(other));
                }
                found[row] = Some(greatest.map_or(0, |greatest: u32| greatest.saturating_add(1)));
                path.pop();
            }
        }
    }
    found.into_iter().map(|generation| generation.unwrap_or(0)).collect()
}
