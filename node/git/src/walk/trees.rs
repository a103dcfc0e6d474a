//! Tree walk: trees and blobs that commits need.
//!
//! Depth first, in the order of paths, on a stack of its own. A tree is opened once, also if many
//! commits share it; with a limit of depth once more whenever it is met higher up than before.
//! What the boundary marked as the client's is passed by, with all that it reaches.

use std::collections::BTreeMap;

use gitstratum_core::limits::WALK_STACK_ENTRIES_MAX;
use gitstratum_core::object::{Kind, ObjectId};

use super::ahead::{Ahead, LOOK_AHEAD};
use super::name_hash;
use super::objects::{Objects, heads, lacking, unreadable};
use super::pace::Pace;
use super::selection::{CHECKED, CLIENT, OMITTED, SENT, Seen};
use crate::object::tree_entries;
use crate::service::{Filter, RepositoryError};

/// Who needs an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// The client asks for it by its own id.
    Client,
    /// A commit, by its number among commits.
    Commit(u32),
    /// A tree, by its number.
    Tree(u32),
}

/// An object whose turn comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    pub(super) name_hash: u32,
    /// The tree of a commit is at 0.
    pub(super) depth: u32,
}

impl Entry {
    /// The tree of a commit.
    pub(super) fn root(number: u32, commit: u32) -> Self {
        let owner = Owner::Commit(commit);
        Entry { number, kind: Kind::Tree, owner, name_hash: name_hash::ROOT, depth: 0 }
    }

    /// What the client asks for.
    pub(super) fn wanted(number: u32, kind: Kind) -> Self {
        Entry { number, kind, owner: Owner::Client, name_hash: name_hash::ROOT, depth: 0 }
    }

    fn is_wanted(&self) -> bool {
        matches!(self.owner, Owner::Client)
    }

    /// Where what lies in this tree is. A limit of depth counts from a commit's tree or, as Git's
    /// does, from what lies in a tree that the client asks for.
    fn depth_within(&self) -> u32 {
        match self.owner {
            Owner::Client => 0,
            _ => self.depth.saturating_add(1),
        }
    }
}

/// Walks over trees and puts what the client lacks into a pack.
pub(super) struct TreeWalk<'a, O: ?Sized> {
    objects: &'a O,
    pub(super) seen: Seen,
    filter: Option<Filter>,
    /// Where a limit of depth is: at which depth each tree was opened.
    opened: BTreeMap<u32, u32>,
    stack: Vec<Entry>,
    /// More entries than this are not kept on the stack.
    pub(super) stack_max: usize,
    ahead: Ahead,
    /// What is in the pack, with its name hashes.
    pub(super) order: Vec<(u32, u32)>,
}

impl<'a, O: Objects + ?Sized> TreeWalk<'a, O> {
    pub(super) fn new(objects: &'a O, seen: Seen, filter: Option<Filter>) -> Self {
        TreeWalk {
            objects,
            seen,
            filter,
            opened: BTreeMap::new(),
            stack: Vec::new(),
            stack_max: WALK_STACK_ENTRIES_MAX,
            ahead: Ahead::default(),
            order: Vec::new(),
        }
    }

    /// Walks over these objects in their order. `commit` tells the id of a commit.
    pub(super) async fn walk(
        &mut self,
        entries: Vec<Entry>,
        commit: &(impl Fn(u32) -> ObjectId + Sync),
        pace: &mut Pace<'_>,
    ) -> Result<(), RepositoryError> {
        self.push(entries, commit).await?;
        while let Some(entry) = self.stack.pop() {
            pace.step().await;
            match entry.kind {
                Kind::Tree => self.tree(&entry, commit).await?,
                _ => self.put(&entry),
            }
        }
        Ok(())
    }

    /// Puts those entries on the stack that may come into the pack, the first of them on top.
    async fn push(
        &mut self,
        mut entries: Vec<Entry>,
        commit: &(impl Fn(u32) -> ObjectId + Sync),
    ) -> Result<(), RepositoryError> {
        entries.retain(|entry| self.may_come(entry));
        self.check(&entries, commit).await?;
        entries.retain(|entry| entry.is_wanted() || !self.seen.has(entry.number, OMITTED));
        if self.stack.len() + entries.len() > self.stack_max {
            return Err(RepositoryError::Refused(format!(
                "more than {} entries in trees within each other",
                self.stack_max
            )));
        }
        self.stack.extend(entries.into_iter().rev());
        Ok(())
    }

    fn may_come(&self, entry: &Entry) -> bool {
        if entry.is_wanted() {
            return true;
        }
        let is_done = !self.has_limit_of_depth() && self.seen.has(entry.number, SENT);
        let is_left_out = entry.kind == Kind::Blob && self.filter == Some(Filter::BlobNone);
        let is_left_out = is_left_out || self.is_too_deep(entry.depth);
        !is_done && !is_left_out && !self.seen.has(entry.number, CLIENT)
    }

    fn has_limit_of_depth(&self) -> bool {
        matches!(self.filter, Some(Filter::TreeDepth(_)))
    }

    /// Whether a limit of depth leaves out what is at a depth.
    fn is_too_deep(&self, depth: u32) -> bool {
        matches!(self.filter, Some(Filter::TreeDepth(limit)) if u64::from(depth) >= limit)
    }

    /// Looks whether those are there that will not be opened here, and how large they are.
    async fn check(
        &mut self,
        entries: &[Entry],
        commit: &(impl Fn(u32) -> ObjectId + Sync),
    ) -> Result<(), RepositoryError> {
        let is_unchecked = |entry: &&Entry| {
            let is_opened = entry.kind == Kind::Tree && !self.is_too_deep(entry.depth_within());
            !is_opened && !self.seen.has(entry.number, CHECKED)
        };
        let unchecked: Vec<&Entry> = entries.iter().filter(is_unchecked).collect();
        let ids: Vec<ObjectId> = unchecked.iter().map(|entry| self.seen.id(entry.number)).collect();
        for (entry, head) in unchecked.into_iter().zip(heads(self.objects, &ids).await?) {
            let Some(head) = head.filter(|head| head.kind == entry.kind) else {
                return Err(self.missing(entry, head.map(|head| head.kind), commit));
            };
            self.seen.mark(entry.number, CHECKED);
            let is_too_large =
                matches!(self.filter, Some(Filter::BlobLimit(limit)) if head.size_bytes >= limit);
            if head.kind == Kind::Blob && is_too_large {
                self.seen.mark(entry.number, OMITTED);
            }
        }
        Ok(())
    }

    /// Why a walk ends at an object that is not there, or is of another kind.
    fn missing(
        &self,
        entry: &Entry,
        found: Option<Kind>,
        commit: &impl Fn(u32) -> ObjectId,
    ) -> RepositoryError {
        let id = self.seen.id(entry.number);
        let (kind, owner) = match entry.owner {
            Owner::Client => return RepositoryError::NotOurRef(id),
            Owner::Commit(number) => (Kind::Commit, commit(number)),
            Owner::Tree(number) => (Kind::Tree, self.seen.id(number)),
        };
        let Some(found) = found else { return lacking(kind, owner, entry.kind, id) };
        let needs = entry.kind;
        RepositoryError::Damaged(format!("{kind} {owner} needs {needs} {id}, which is a {found}"))
    }

    fn put(&mut self, entry: &Entry) {
        if !self.seen.has(entry.number, SENT) {
            self.seen.mark(entry.number, SENT);
            self.order.push((entry.number, entry.name_hash));
        }
    }

    /// Puts a tree into the pack, and what it has on the stack.
    async fn tree(
        &mut self,
        entry: &Entry,
        commit: &(impl Fn(u32) -> ObjectId + Sync),
    ) -> Result<(), RepositoryError> {
        let depth = entry.depth_within();
        if self.is_too_deep(depth) {
            self.put(entry);
            return Ok(());
        }
        let was_opened = match self.has_limit_of_depth() {
            true => self.opened.get(&entry.number).is_some_and(|&before| before <= depth),
            false => self.seen.has(entry.number, SENT),
        };
        if was_opened {
            return Ok(());
        }
        let seen = &self.seen;
        let next = self.stack.iter().rev().take(LOOK_AHEAD);
        let next = next
            .filter(|entry| entry.kind == Kind::Tree && !seen.has(entry.number, SENT))
            .map(|entry| entry.number);
        let found = self.ahead.read(self.objects, seen, entry.number, next).await?;
        let Some((Kind::Tree, data)) = found else {
            return Err(self.missing(entry, found.map(|(kind, _)| kind), commit));
        };
        self.put(entry);
        if self.has_limit_of_depth() {
            self.opened.insert(entry.number, depth);
        }
        let children = self.children(entry, depth, &data)?;
        self.push(children, commit).await
    }

    /// What a tree has.
    fn children(
        &mut self,
        entry: &Entry,
        depth: u32,
        data: &[u8],
    ) -> Result<Vec<Entry>, RepositoryError> {
        let is_root = !matches!(entry.owner, Owner::Tree(_));
        let owner = Owner::Tree(entry.number);
        let mut children = Vec::new();
        for child in tree_entries(self.objects.algorithm(), data) {
            let child = child.map_err(|error| unreadable(self.seen.id(entry.number), &error))?;
            let Some(kind) = child.kind() else { continue };
            // A clone without blobs need not remember them.
            if kind == Kind::Blob && self.filter == Some(Filter::BlobNone) {
                continue;
            }
            let number = self.seen.name(&child.id, kind)?;
            let name_hash = name_hash::within(entry.name_hash, is_root, child.name);
            children.push(Entry { number, kind, owner, name_hash, depth });
        }
        Ok(children)
    }
}
