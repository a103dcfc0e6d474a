//! Repositories by id and by name.
//!
//! Invariant: a live repository's name leads to it, no other name leads anywhere, and no live
//! name lies beneath another: a path is a repository or a group of repositories. Else the token
//! of a group would be that of a repository, `team/info` in a URL would be two things, and no
//! file system could hold an export of both.

use std::sync::Arc;

use gitstratum_core::limits::REPOSITORIES_MAX;
use imbl::OrdMap;

use crate::entity::{Deletion, Repository};
use crate::error::CatalogError;
use crate::ids::RepositoryId;
use crate::names::RepositoryName;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Repositories {
    by_id: OrdMap<RepositoryId, Arc<Repository>>,
    by_name: OrdMap<RepositoryName, RepositoryId>,
    /// The last id that was given.
    last: u64,
}

impl Repositories {
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn set_last(&mut self, last: u64) {
        self.last = last;
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RepositoryId, &Arc<Repository>)> {
        self.by_id.iter().map(|(id, repository)| (*id, repository))
    }

    pub(super) fn get(&self, id: RepositoryId) -> Option<&Arc<Repository>> {
        self.by_id.get(&id)
    }

    pub(super) fn named(&self, name: &str) -> Option<RepositoryId> {
        self.by_name.get(name).copied()
    }

    /// Live repositories whose names are `from` or come after it, in their order.
    pub(super) fn by_name_from<'a>(
        &'a self,
        from: &str,
    ) -> impl Iterator<Item = (&'a RepositoryName, RepositoryId)> + use<'a> {
        self.by_name
            .range::<_, str>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .map(|(name, id)| (name, *id))
    }

    /// A repository that is not deleted.
    pub(super) fn live(&self, id: RepositoryId) -> Result<&Arc<Repository>, CatalogError> {
        let repository = self.known(id)?;
        match repository.deleted {
            None => Ok(repository),
            Some(Deletion { until_ms, .. }) => {
                Err(CatalogError::RepositoryDeleted { repository: id, until_ms })
            }
        }
    }

    /// A repository that is deleted, and its deletion.
    pub(super) fn deleted(
        &self,
        id: RepositoryId,
    ) -> Result<(&Arc<Repository>, Deletion), CatalogError> {
        let repository = self.known(id)?;
        let deletion = repository.deleted;
        let deletion = deletion.ok_or(CatalogError::RepositoryNotDeleted { repository: id })?;
        Ok((repository, deletion))
    }

    fn known(&self, id: RepositoryId) -> Result<&Arc<Repository>, CatalogError> {
        self.by_id.get(&id).ok_or(CatalogError::NoRepository { repository: id })
    }

    /// Reads a name that a repository is to have, and looks whether it is free: for `who`, if that
    /// is there already, and else for a new one.
    pub(super) fn free_name(
        &self,
        text: &str,
        who: Option<RepositoryId>,
    ) -> Result<RepositoryName, CatalogError> {
        let wrong = |reason| CatalogError::RepositoryName { name: text.to_owned(), reason };
        let name = RepositoryName::parse(text).map_err(wrong)?;
        self.check_free(&name, who)?;
        Ok(name)
    }

    pub(super) fn check_free(
        &self,
        name: &RepositoryName,
        who: Option<RepositoryId>,
    ) -> Result<(), CatalogError> {
        let others = |id: &RepositoryId| Some(*id) != who;
        if let Some(&repository) = self.by_name.get(name.as_str()).filter(|&id| others(id)) {
            return Err(CatalogError::RepositoryExists { name: name.clone(), repository });
        }
        let mut above = name.groups().filter_map(|group| self.by_name.get_key_value(group));
        let beneath = format!("{name}/");
        let mut below = self
            .by_name
            .range::<_, str>((
                std::ops::Bound::Included(beneath.as_str()),
                std::ops::Bound::Unbounded,
            ))
            .take_while(|(other, _)| other.as_str().starts_with(&beneath));
        // At most one of them is `who`.
        let existing =
            above.find(|(_, id)| others(id)).or_else(|| below.find(|(_, id)| others(id)));
        match existing {
            Some((existing, _)) => Err(CatalogError::RepositoryConflict {
                name: name.clone(),
                existing: existing.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The id that the next repository has.
    pub(super) fn next_id(&self) -> Result<RepositoryId, CatalogError> {
        let count = self.by_id.len() as u64;
        if count >= REPOSITORIES_MAX || self.last == u64::MAX {
            return Err(CatalogError::over(
                "repositories",
                count.saturating_add(1),
                REPOSITORIES_MAX,
            ));
        }
        Ok(RepositoryId(self.last + 1))
    }

    /// Enters a repository that is new, or has changed: its name, too.
    pub(super) fn put(&mut self, id: RepositoryId, repository: Repository) {
        self.last = self.last.max(id.0);
        let before = self.by_id.get(&id).filter(|before| before.deleted.is_none());
        let now = repository.deleted.is_none().then(|| repository.name.clone());
        let before = before.map(|before| before.name.clone());
        if before != now {
            if let Some(before) = before {
                self.by_name.remove(before.as_str());
            }
            if let Some(now) = now {
                self.by_name.insert(now, id);
            }
        }
        self.by_id.insert(id, Arc::new(repository));
    }

    /// Changes numbers of a repository that is there.
    pub(super) fn count(&mut self, id: RepositoryId, change: impl FnOnce(&mut Repository)) {
        if let Some(repository) = self.by_id.get_mut(&id) {
            change(Arc::make_mut(repository));
        }
    }

    /// Drops a deleted repository.
    pub(super) fn remove(&mut self, id: RepositoryId) {
        self.by_id.remove(&id);
    }
}
