//! Refs of all repositories in one ordered map, by repository and name.
//!
//! One map and not one for each repository: most repositories have a handful of refs, and would
//! each pay for a map's nodes. Those of one repository lie side by side all the same.
//!
//! Invariant: of no two refs of a repository is one name a directory of the other.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use gitstratum_core::limits::REFLOG_ENTRIES_MAX;
use gitstratum_core::object::ObjectId;
use imbl::OrdMap;

use crate::entity::{LogEntry, Note, Ref, RefTarget};
use crate::ids::RepositoryId;
use crate::names::RefName;

/// A ref of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RefKey {
    pub(super) repository: RepositoryId,
    pub(super) name: RefName,
}

/// The same, for looking it up by a name that need not be one.
struct At<'a>(RepositoryId, &'a str);

impl Equivalent<RefKey> for At<'_> {
    fn equivalent(&self, key: &RefKey) -> bool {
        self.compare(key) == Ordering::Equal
    }
}

impl Comparable<RefKey> for At<'_> {
    fn compare(&self, key: &RefKey) -> Ordering {
        self.0.cmp(&key.repository).then_with(|| self.1.cmp(key.name.as_str()))
    }
}

/// What a ref is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewRef {
    pub(super) target: RefTarget,
    pub(super) peeled: Option<ObjectId>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Refs {
    map: OrdMap<RefKey, Arc<Ref>>,
}

impl Refs {
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RefKey, &Arc<Ref>)> {
        self.map.iter()
    }

    pub(super) fn get(&self, repository: RepositoryId, name: &str) -> Option<&Arc<Ref>> {
        self.map.get(&At(repository, name))
    }

    pub(super) fn target(&self, key: &RefKey) -> Option<&RefTarget> {
        self.map.get(key).map(|held| &held.target)
    }

    /// Refs of a repository whose names are `from` or come after it.
    pub(super) fn from<'a>(
        &'a self,
        repository: RepositoryId,
        from: &str,
    ) -> impl Iterator<Item = (&'a RefName, &'a Arc<Ref>)> + use<'a> {
        self.map
            .range((Bound::Included(At(repository, from)), Bound::Unbounded))
            .take_while(move |(key, _)| key.repository == repository)
            .map(|(key, held)| (&key.name, held))
    }

    /// A ref that cannot be beside one of this name: one that would have to be a directory of it,
    /// or one that it would have to be a directory of.
    pub(super) fn conflict(&self, repository: RepositoryId, name: &RefName) -> Option<&RefName> {
        let named = |directory: &str| self.map.get_key_value(&At(repository, directory));
        let above = name.directories().find_map(named).map(|(key, _)| &key.name);
        above.or_else(|| {
            let beneath = format!("{name}/");
            let (found, _) = self.from(repository, &beneath).next()?;
            found.as_str().starts_with(&beneath).then_some(found)
        })
    }

    /// Makes a ref, or moves it, and notes that in its log.
    pub(super) fn set(&mut self, key: RefKey, new: NewRef, at_ms: u64, note: &Arc<Note>) {
        let held = self.map.get(&key);
        let entry = LogEntry {
            old: held.map(|held| Box::new(held.target.clone())),
            at_ms,
            note: note.clone(),
        };
        let kept = held.map_or(&[][..], |held| &held.log);
        let kept = &kept[kept.len().saturating_sub(REFLOG_ENTRIES_MAX - 1)..];
        let mut log = Vec::with_capacity(kept.len() + 1);
        log.extend_from_slice(kept);
        log.push(entry);
        let NewRef { target, peeled } = new;
        let (peeled, log) = (peeled.map(Box::new), log.into());
        self.map.insert(key, Arc::new(Ref { target, peeled, log }));
    }

    /// Enters a ref as it was read from elsewhere.
    pub(super) fn insert(&mut self, key: RefKey, held: Arc<Ref>) {
        self.map.insert(key, held);
    }

    /// Deletes a ref with its log.
    pub(super) fn remove(&mut self, key: &RefKey) {
        self.map.remove(key);
    }

    /// Deletes refs of a repository, at most so many; says how many there were.
    pub(super) fn remove_some(&mut self, repository: RepositoryId, max: usize) -> usize {
        let keys: Vec<RefName> =
            self.from(repository, "").take(max).map(|(name, _)| name.clone()).collect();
        for name in &keys {
            self.map.remove(&At(repository, name.as_str()));
        }
        keys.len()
    }
}
