//! What an indexer has found.

use std::collections::BTreeMap;

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::facts::{CommitRow, TagRow};
use super::ids::Ids;
use super::{Form, Indexer};
use crate::fsck::{Finding, SpecialBlobs};
use crate::pack::entry::EntryKind;

/// An object of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedObject {
    /// Its id.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// Its size, uncompressed.
    pub size: u64,
    /// Where its entry begins in the body.
    pub offset: u64,
    /// Bytes of the entry, with its header.
    pub packed_len: u64,
    /// CRC-32 of these bytes.
    pub crc32: u32,
    /// What the entry holds.
    pub entry: EntryKind,
    /// Of a delta, the place of its base in the list of objects. It was resolved before: following
    /// bases ends.
    pub base: Option<u32>,
    /// The client did not send it: it was appended because a delta builds on it.
    pub appended: bool,
}

/// A commit of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedCommit {
    /// Its place in the list of objects.
    pub position: u32,
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, in order.
    pub parents: Vec<ObjectId>,
    /// Seconds since 1970.
    pub committed_at: u64,
}

/// An annotated tag of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedTag {
    /// Its place in the list of objects.
    pub position: u32,
    /// What it points to.
    pub target: ObjectId,
    /// What that is said to be.
    pub target_kind: Kind,
}

/// What a pack has.
pub struct Indexed {
    /// The hash of its ids.
    pub algorithm: HashAlgorithm,
    /// Bytes of its body, with what was appended.
    pub body_bytes: u64,
    /// Its objects in the order of their entries, each once.
    pub objects: Vec<IndexedObject>,
    /// What the client's objects name and the client did not send, and what it must be. Bases that
    /// were appended count as not sent, and nothing is said of what they name: they come from the
    /// repository.
    pub missing: BTreeMap<ObjectId, Kind>,
    /// Blobs that are `.gitmodules` or `.gitattributes` in a tree and that are not in the pack:
    /// [`crate::fsck::check_special_blob`] has to look at them.
    pub unchecked: BTreeMap<ObjectId, SpecialBlobs>,
    /// Findings of fsck that let the pack pass, the first of them.
    pub warnings: Vec<Finding>,
    /// How many there are.
    pub warnings_count: u64,
    /// Entries that hold an object which another entry holds too. They are garbage in the body.
    pub duplicates: usize,
    /// Bytes that were inflated and computed.
    pub inflated_bytes: u64,
    ids: Ids,
    commits: Vec<CommitRow>,
    parents: Vec<u32>,
    tags: Vec<TagRow>,
}

impl Indexed {
    /// Its commits, in the order of the objects.
    pub fn commits(&self) -> impl ExactSizeIterator<Item = IndexedCommit> + '_ {
        self.commits.iter().enumerate().map(|(row, commit)| {
            let end = self.commits.get(row + 1).map_or(self.parents.len(), |next| next.parents);
            let parents = &self.parents[commit.parents..end];
            IndexedCommit {
                position: commit.entry,
                tree: self.ids.id(commit.tree),
                parents: parents.iter().map(|parent| self.ids.id(*parent)).collect(),
                committed_at: commit.committed_at,
            }
        })
    }

    /// Its annotated tags, in the order of the objects.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = IndexedTag> + '_ {
        self.tags.iter().map(|tag| IndexedTag {
            position: tag.entry,
            target: self.ids.id(tag.target),
            target_kind: tag.target_kind,
        })
    }
}

impl Indexer {
    /// What was found.
    ///
    /// # Panics
    /// Before [`super::Step::Done`].
    pub fn finish(self) -> Indexed {
        assert!(self.resolve.done, "an indexer has found everything once it has said so");
        let Indexer { facts, entries, body_bytes, .. } = self;
        let is_kept = |entry: usize| {
            let found = entries[entry].found.expect("every entry was found to be an object");
            facts.entry_of(found.number) == Some(entry as u32)
        };
        // The place of each entry's object in the list.
        let mut positions = vec![0u32; entries.len()];
        let mut count = 0;
        for (entry, position) in positions.iter_mut().enumerate() {
            if is_kept(entry) {
                *position = count;
                count += 1;
            }
        }
        let kept_of = |number: u32| {
            facts.entry_of(number).expect("every base was found to be an object") as usize
        };
        let mut objects = Vec::with_capacity(count as usize);
        for (at, entry) in entries.iter().enumerate().filter(|(at, _)| is_kept(*at)) {
            let found = entry.found.expect("every entry was found to be an object");
            let end = entries.get(at + 1).map_or(body_bytes, |next| next.offset);
            let number_of = |base: u32| {
                entries[base as usize].found.expect("every entry was found to be an object").number
            };
            let (kind, base) = match entry.form {
                Form::Whole(kind) => (EntryKind::Whole(kind), None),
                Form::Ofs(base) => {
                    let kind = EntryKind::OfsDelta { base: entries[base as usize].offset };
                    (kind, Some(number_of(base)))
                }
                Form::Ref(number) => {
                    (EntryKind::RefDelta { base: facts.ids.id(number) }, Some(number))
                }
            };
            objects.push(IndexedObject {
                id: facts.ids.id(found.number),
                kind: found.kind,
                size: found.size,
                offset: entry.offset,
                packed_len: end - entry.offset,
                crc32: entry.crc32,
                entry: kind,
                base: base.map(|number| positions[kept_of(number)]),
                appended: entry.appended,
            });
        }
        let missing = facts.missing();
        let unchecked = facts
            .special_unchecked()
            .map(|(number, names)| (facts.ids.id(number), names))
            .collect();
        let duplicates = entries.len() - objects.len();
        let (commits, parents) = in_order(facts.commits, &facts.parents, &positions);
        let mut tags = facts.tags;
        tags.iter_mut().for_each(|tag| tag.entry = positions[tag.entry as usize]);
        tags.sort_unstable_by_key(|tag| tag.entry);
        Indexed {
            algorithm: self.algorithm,
            body_bytes,
            objects,
            missing,
            unchecked,
            warnings: facts.warnings,
            warnings_count: facts.warnings_count,
            duplicates,
            inflated_bytes: self.work,
            ids: facts.ids,
            commits,
            parents,
            tags,
        }
    }
}

/// Commits in the order of their objects, with their parents.
fn in_order(
    commits: Vec<CommitRow>,
    parents: &[u32],
    positions: &[u32],
) -> (Vec<CommitRow>, Vec<u32>) {
    let ends: Vec<usize> = commits.iter().skip(1).map(|next| next.parents).collect();
    let end_of = |row: usize| ends.get(row).copied().unwrap_or(parents.len());
    let mut order: Vec<usize> = (0..commits.len()).collect();
    order.sort_unstable_by_key(|row| positions[commits[*row].entry as usize]);
    let mut sorted_parents = Vec::with_capacity(parents.len());
    let mut sorted = Vec::with_capacity(commits.len());
    for row in order {
        let commit = &commits[row];
        let begin = sorted_parents.len();
        sorted_parents.extend_from_slice(&parents[commit.parents..end_of(row)]);
        let entry = positions[commit.entry as usize];
        sorted.push(CommitRow { entry, parents: begin, ..*commit });
    }
    (sorted, sorted_parents)
}
