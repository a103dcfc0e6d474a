//! Selection: the objects of a pack, and what its client has.
//!
//! Ids with flags, and the order in which the pack has them. Whoever writes the pack asks for each
//! delta whether its base is in the pack or else at the client.

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::id_table::IdTable;
use super::name_hash;
use super::paint::HAD;
use crate::service::{Filter, RepositoryError};

/// The kinds of [`Seen::kind`], in its order.
const KINDS: [Kind; 4] = [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag];
/// Bits of a mark that tell the kind.
const KIND_BITS: u8 = 3;
/// The client has it.
pub(super) const CLIENT: u8 = 4;
/// It is in the pack; of commits too, beside the marks of painting.
pub(super) const SENT: u8 = 8;
/// It was seen that it is there, and is of its kind.
pub(super) const CHECKED: u8 = 16;
/// A tree whose entries are all marked as the client's, or will be.
pub(super) const OPENED: u8 = 64;
/// The filter leaves it out, wherever it is.
pub(super) const OMITTED: u8 = 32;

/// Trees, blobs and tags by number, each with its kind and flags.
#[derive(Debug)]
pub(super) struct Seen {
    ids: IdTable,
    marks: Vec<u8>,
}

impl Seen {
    pub(super) fn new(algorithm: HashAlgorithm) -> Self {
        Seen { ids: IdTable::new(algorithm), marks: Vec::new() }
    }

    /// The number of an object; its kind is what was said of it first.
    pub(super) fn name(&mut self, id: &ObjectId, kind: Kind) -> Result<u32, RepositoryError> {
        let number = self.ids.insert(id)?;
        if number as usize == self.marks.len() {
            let kind = KINDS.iter().position(|&known| known == kind).expect("one of the four");
            self.marks.push(kind as u8);
        }
        Ok(number)
    }

    pub(super) fn id(&self, number: u32) -> ObjectId {
        self.ids.id(number)
    }

    pub(super) fn kind(&self, number: u32) -> Kind {
        KINDS[usize::from(self.marks[number as usize] & KIND_BITS)]
    }

    /// Whether an object has any of these marks.
    pub(super) fn has(&self, number: u32, mark: u8) -> bool {
        self.marks[number as usize] & mark != 0
    }

    pub(super) fn mark(&mut self, number: u32, mark: u8) {
        self.marks[number as usize] |= mark;
    }

    fn has_id(&self, id: &ObjectId, mark: u8) -> bool {
        self.ids.find(id).is_some_and(|number| self.has(number, mark))
    }
}

/// An object of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The object.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// Git's hash of the first path that it has, which groups what may be deltas of each other; 0
    /// for what has none.
    pub name_hash: u32,
}

/// The objects of a pack, in order: commits, newest first; then tags; then objects that are wanted
/// by their own ids, and trees and blobs in the order of their paths, commit by commit.
#[derive(Debug)]
pub struct Selection {
    pub(super) commits: IdTable,
    /// [`HAD`] where the client has a commit, [`SENT`] where the pack has it.
    pub(super) commit_marks: Vec<u8>,
    pub(super) commit_order: Vec<u32>,
    pub(super) seen: Seen,
    pub(super) tags: Vec<u32>,
    /// Trees and blobs with their name hashes.
    pub(super) order: Vec<(u32, u32)>,
    /// With it, the client has only what it left in.
    pub(super) filter: Option<Filter>,
}

impl Selection {
    /// How many objects the pack has.
    pub fn len(&self) -> usize {
        self.commit_order.len() + self.tags.len() + self.order.len()
    }

    /// Whether the pack has no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects of the pack, in order.
    pub fn iter(&self) -> impl Iterator<Item = Selected> + '_ {
        let commits = self.commit_order.iter().map(|&number| Selected {
            id: self.commits.id(number),
            kind: Kind::Commit,
            name_hash: name_hash::ROOT,
        });
        let tags = self.tags.iter().map(|&number| (number, name_hash::ROOT));
        let others = tags.chain(self.order.iter().copied()).map(|(number, name_hash)| Selected {
            id: self.seen.id(number),
            kind: self.seen.kind(number),
            name_hash,
        });
        commits.chain(others)
    }

    /// Whether the pack has an object.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.has_commit(id, SENT) || self.seen.has_id(id, SENT)
    }

    /// Whether it is sure that the client has an object that the pack does not have, so that a
    /// delta of a thin pack may build on it. Of objects behind the boundary this is not known.
    pub fn client_has(&self, id: &ObjectId) -> bool {
        self.has_commit(id, HAD)
            || self.seen.ids.find(id).is_some_and(|number| self.is_base(number))
    }

    /// The trees, blobs and tags of which [`Selection::client_has`] is true.
    pub fn edges(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let numbers = 0..self.seen.ids.len() as u32;
        numbers.filter(|&number| self.is_base(number)).map(|number| self.seen.id(number))
    }

    fn has_commit(&self, id: &ObjectId, mark: u8) -> bool {
        let number = self.commits.find(id);
        number.is_some_and(|number| self.commit_marks[number as usize] & mark != 0)
    }

    /// Whether the client has an object even where it is a partial clone.
    fn is_base(&self, number: u32) -> bool {
        let kept = match (&self.filter, self.seen.kind(number)) {
            (None, _) | (_, Kind::Commit | Kind::Tag) => true,
            (Some(Filter::BlobNone | Filter::BlobLimit(_)), kind) => kind == Kind::Tree,
            (Some(Filter::TreeDepth(_)), _) => false,
        };
        kept && self.seen.has(number, CLIENT) && !self.seen.has(number, SENT)
    }
}
