//! Reads: what the state says, a page at a time where it may be much.

use std::sync::Arc;

use gitstratum_core::limits::CATALOG_PAGE_MAX;
use gitstratum_core::placement::{Layout, NodeId};

use super::{EventsError, State};
use crate::entity::{Event, Node, Pack, Ref, Repository, Token};
use crate::ids::{PackId, RepositoryId, TokenHash, TokenId};
use crate::names::{RefName, RepositoryName};

/// Live repositories by name.
#[derive(Clone, Debug, PartialEq)]
pub struct RepositoryPage {
    /// Those of this page.
    pub repositories: Vec<(RepositoryId, Arc<Repository>)>,
    /// The name after which the next page begins; nothing where this is the last one.
    pub next: Option<RepositoryName>,
}

/// Refs of a repository by name.
#[derive(Clone, Debug, PartialEq)]
pub struct RefPage {
    /// Those of this page.
    pub refs: Vec<(RefName, Arc<Ref>)>,
    /// The name after which the next page begins; nothing where this is the last one.
    pub next: Option<RefName>,
}

/// Packs of a repository by id.
#[derive(Clone, Debug, PartialEq)]
pub struct PackPage {
    /// Those of this page.
    pub packs: Vec<Arc<Pack>>,
    /// The id after which the next page begins; nothing where this is the last one.
    pub next: Option<PackId>,
}

impl State {
    /// The group of repositories that this is the state of.
    pub fn group(&self) -> u32 {
        self.group
    }

    /// The position of the last command.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The greatest time that any command carried, in unix milliseconds.
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// The layout in force; nothing before the first.
    pub fn layout(&self) -> Option<&Arc<Layout>> {
        self.layout.as_ref()
    }

    /// A repository, deleted or not.
    pub fn repository(&self, id: RepositoryId) -> Option<&Arc<Repository>> {
        self.repositories.get(id)
    }

    /// The live repository of this name.
    pub fn repository_named(&self, name: &str) -> Option<(RepositoryId, &Arc<Repository>)> {
        let id = self.repositories.named(name)?;
        Some((id, self.repositories.get(id)?))
    }

    /// Live repositories whose names begin with `prefix`, in the order of names, after the one
    /// where the last page ended; at most `max` and [`CATALOG_PAGE_MAX`].
    pub fn repositories(
        &self,
        prefix: &str,
        after: Option<&RepositoryName>,
        max: usize,
    ) -> RepositoryPage {
        let from = after.map_or(prefix, |after| after.as_str().max(prefix));
        let found = self.repositories.by_name_from(from);
        let found = found
            .take_while(|(name, _)| name.as_str().starts_with(prefix))
            .filter(|(name, _)| after.is_none_or(|after| *name > after));
        let found = found.filter_map(|(_, id)| Some((id, self.repositories.get(id)?.clone())));
        let (repositories, more) = page(found, max);
        let last = repositories.last().map(|(_, last)| last.name.clone());
        RepositoryPage { next: last.filter(|_| more), repositories }
    }

    /// Deleted repositories that are kept, by id: with the time until which that can be undone.
    pub fn deleted_repositories(&self) -> impl Iterator<Item = (RepositoryId, &Arc<Repository>)> {
        self.repositories.iter().filter(|(_, repository)| repository.deleted.is_some())
    }

    /// A ref of a repository.
    pub fn reference(&self, repository: RepositoryId, name: &str) -> Option<&Arc<Ref>> {
        self.refs.get(repository, name)
    }

    /// Refs of a repository in the order of their names, which is git's, hidden ones included.
    pub fn references(
        &self,
        repository: RepositoryId,
    ) -> impl Iterator<Item = (&RefName, &Arc<Ref>)> {
        self.refs.from(repository, "")
    }

    /// Those whose names begin with `prefix`, after the one where the last page ended; at most
    /// `max` and [`CATALOG_PAGE_MAX`].
    pub fn references_page(
        &self,
        repository: RepositoryId,
        prefix: &str,
        after: Option<&RefName>,
        max: usize,
    ) -> RefPage {
        let from = after.map_or(prefix, |after| after.as_str().max(prefix));
        let found = self.refs.from(repository, from);
        let found = found
            .take_while(|(name, _)| name.as_str().starts_with(prefix))
            .filter(|(name, _)| after.is_none_or(|after| *name > after));
        let (refs, more) = page(found.map(|(name, held)| (name.clone(), held.clone())), max);
        let last = refs.last().map(|(name, _)| name.clone());
        RefPage { next: last.filter(|_| more), refs }
    }

    /// Packs of a repository, by id.
    pub fn packs(&self, repository: RepositoryId) -> impl Iterator<Item = &Arc<Pack>> {
        self.packs.of(repository)
    }

    /// Those after the one where the last page ended, by id; at most `max` and
    /// [`CATALOG_PAGE_MAX`].
    pub fn packs_page(
        &self,
        repository: RepositoryId,
        after: Option<PackId>,
        max: usize,
    ) -> PackPage {
        let (packs, more) = page(self.packs.after(repository, after).cloned(), max);
        let last = packs.last().map(|pack| pack.id);
        PackPage { next: last.filter(|_| more), packs }
    }

    /// The last id that a repository was given.
    pub fn last_repository(&self) -> RepositoryId {
        RepositoryId(self.repositories.last())
    }

    /// The ids of all packs of all repositories, of each as often as it has repositories.
    pub fn pack_ids(&self) -> impl Iterator<Item = PackId> {
        self.packs.iter().map(|(_, pack)| pack.id)
    }

    /// Every node that ever belonged to the cluster, by id.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeId, &Arc<Node>)> {
        self.nodes.iter()
    }

    /// A node.
    pub fn node(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(id)
    }

    /// Access tokens by id, without their hashes.
    pub fn tokens(&self) -> impl Iterator<Item = (TokenId, &Token)> {
        self.tokens.iter().map(|(id, hashed)| (id, &hashed.token))
    }

    /// The token whose secret has this hash.
    pub fn token_with_hash(&self, hash: &TokenHash) -> Option<(TokenId, &Token)> {
        let id = self.tokens.hashed(hash)?;
        Some((id, &self.tokens.get(id)?.token))
    }

    /// The number of the last event.
    pub fn last_event(&self) -> u64 {
        self.events.last()
    }

    /// Events after the one of number `since`, at most `max` and
    /// [`EVENTS_PAGE_MAX`](gitstratum_core::limits::EVENTS_PAGE_MAX).
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn events_since(&self, since: u64, max: usize) -> Result<Vec<Arc<Event>>, EventsError> {
        self.events.since(since, max)
    }
}

/// The first of what is found, and whether there is more.
fn page<T>(mut found: impl Iterator<Item = T>, max: usize) -> (Vec<T>, bool) {
    let max = max.clamp(1, CATALOG_PAGE_MAX);
    let first: Vec<T> = found.by_ref().take(max).collect();
    let more = first.len() == max && found.next().is_some();
    (first, more)
}
