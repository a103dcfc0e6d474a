//! Commit graph: the part of the history that a walk has seen.
//!
//! Commits are numbered as they are named; what they say is loaded when it is needed. Commits that
//! are *cut* are taken to have no parents: they are the boundary of a shallow clone.

use std::collections::BTreeSet;

use gitstratum_core::object::{Kind, ObjectId};

use super::id_table::{IdList, IdTable};
use super::objects::{Objects, commits, lacking};
use crate::service::RepositoryError;

/// The generation of a commit of which it is not known: it comes before all others.
const GENERATION_UNKNOWN: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was named and not asked for.
    Named,
    Loaded,
    /// The repository does not have it.
    Absent,
}

struct Node {
    committed_at: u64,
    generation: u32,
    /// Its parents begin here in [`Graph::parents`].
    parents_at: u32,
    parents_count: u32,
    state: State,
    /// Flags of whoever walks.
    marks: u8,
}

/// Where a commit stands in the order of a walk: the greatest comes first, and no commit before
/// one of its descendants where the generations of both are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) generation: u32,
    pub(super) committed_at: u64,
}

/// Commits by number.
pub(super) struct Graph<'a, O: ?Sized> {
    objects: &'a O,
    ids: IdTable,
    /// The tree of each; meaningless until it is loaded.
    trees: IdList,
    nodes: Vec<Node>,
    /// Of all commits, those of one beside each other.
    parents: Vec<u32>,
    cut: BTreeSet<ObjectId>,
    /// A commit was loaded without its generation.
    unordered: bool,
}

impl<'a, O: Objects + ?Sized> Graph<'a, O> {
    pub(super) fn new(objects: &'a O, cut: BTreeSet<ObjectId>) -> Self {
        let algorithm = objects.algorithm();
        Graph {
            objects,
            ids: IdTable::new(algorithm),
            trees: IdList::new(algorithm),
            nodes: Vec::new(),
            parents: Vec::new(),
            cut,
            unordered: false,
        }
    }

    /// The number of a commit.
    pub(super) fn name(&mut self, id: &ObjectId) -> Result<u32, RepositoryError> {
        let number = self.ids.insert(id)?;
        if number as usize == self.nodes.len() {
            self.trees.push(id);
            self.nodes.push(Node {
                committed_at: 0,
                generation: GENERATION_UNKNOWN,
                parents_at: 0,
                parents_count: 0,
                state: State::Named,
                marks: 0,
            });
        }
        Ok(number)
    }

    /// Names commits and loads those that are there. All numbers are returned.
    pub(super) async fn begin(&mut self, ids: &[ObjectId]) -> Result<Vec<u32>, RepositoryError> {
        let numbers = ids.iter().map(|id| self.name(id)).collect::<Result<Vec<_>, _>>()?;
        self.load(&numbers).await?;
        Ok(numbers)
    }

    /// As [`Graph::begin`], for commits that must be there.
    pub(super) async fn begin_needed(
        &mut self,
        ids: &[ObjectId],
    ) -> Result<Vec<u32>, RepositoryError> {
        let numbers = self.begin(ids).await?;
        match numbers.iter().find(|&&number| !self.is_there(number)) {
            Some(&number) => Err(RepositoryError::NotOurRef(self.id(number))),
            None => Ok(numbers),
        }
    }

    /// Loads commits that were not asked for yet.
    pub(super) async fn load(&mut self, numbers: &[u32]) -> Result<(), RepositoryError> {
        let mut wanted: Vec<u32> = Vec::new();
        wanted.extend(numbers.iter().filter(|&&number| self.node(number).state == State::Named));
        if wanted.is_empty() {
            return Ok(());
        }
        let ids: Vec<ObjectId> = wanted.iter().map(|&number| self.id(number)).collect();
        let found = commits(self.objects, &ids).await?;
        for ((&number, id), found) in wanted.iter().zip(&ids).zip(found) {
            let Some(commit) = found else {
                self.nodes[number as usize].state = State::Absent;
                continue;
            };
            let parents_at = self.parents.len() as u32;
            if !self.cut.contains(id) {
                for parent in &commit.parents {
                    let parent = self.name(parent)?;
                    self.parents.push(parent);
                }
            }
            self.trees.set(number, &commit.tree);
            let generation = commit.generation.unwrap_or(GENERATION_UNKNOWN);
            self.unordered |= generation == GENERATION_UNKNOWN;
            let node = &mut self.nodes[number as usize];
            node.committed_at = commit.committed_at;
            node.generation = generation;
            node.parents_at = parents_at;
            node.parents_count = self.parents.len() as u32 - parents_at;
            node.state = State::Loaded;
        }
        Ok(())
    }

    /// Loads the parents of a commit.
    pub(super) async fn load_parents(&mut self, number: u32) -> Result<(), RepositoryError> {
        let parents = self.parents(number);
        if parents.iter().all(|&parent| self.node(parent).state != State::Named) {
            return Ok(());
        }
        let parents = parents.to_vec();
        self.load(&parents).await
    }

    fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    pub(super) fn id(&self, number: u32) -> ObjectId {
        self.ids.id(number)
    }

    /// The tree of a commit that is loaded.
    pub(super) fn tree(&self, number: u32) -> ObjectId {
        self.trees.get(number)
    }

    /// Whether the repository has a commit that was asked for.
    pub(super) fn is_there(&self, number: u32) -> bool {
        self.node(number).state == State::Loaded
    }

    pub(super) fn parents_count(&self, number: u32) -> u32 {
        self.node(number).parents_count
    }

    /// The parents of a commit that is loaded; none where it is cut.
    pub(super) fn parents(&self, number: u32) -> &[u32] {
        let Node { parents_at, parents_count, .. } = *self.node(number);
        &self.parents[parents_at as usize..(parents_at + parents_count) as usize]
    }

    /// A parent of a commit, which must be there: parents were loaded.
    pub(super) fn need_parent(&self, number: u32, which: u32) -> Result<u32, RepositoryError> {
        let parent = self.parents(number)[which as usize];
        if self.is_there(parent) {
            return Ok(parent);
        }
        Err(lacking(Kind::Commit, self.id(number), Kind::Commit, self.id(parent)))
    }

    pub(super) fn rank(&self, number: u32) -> Rank {
        let Node { generation, committed_at, .. } = *self.node(number);
        Rank { generation, committed_at }
    }

    pub(super) fn committed_at(&self, number: u32) -> u64 {
        self.node(number).committed_at
    }

    /// Whether all loaded commits come in the order of ancestry.
    pub(super) fn is_ordered(&self) -> bool {
        !self.unordered
    }

    pub(super) fn marks(&self, number: u32) -> u8 {
        self.node(number).marks
    }

    /// Whether a commit has any of these marks.
    pub(super) fn has(&self, number: u32, mark: u8) -> bool {
        self.node(number).marks & mark != 0
    }

    pub(super) fn mark(&mut self, number: u32, mark: u8) {
        self.nodes[number as usize].marks |= mark;
    }

    pub(super) fn unmark(&mut self, number: u32, mark: u8) {
        self.nodes[number as usize].marks &= !mark;
    }

    /// The ids alone, with the marks of each.
    pub(super) fn into_marked_ids(self) -> (IdTable, Vec<u8>) {
        let marks = self.nodes.iter().map(|node| node.marks).collect();
        (self.ids, marks)
    }
}
