//! Commands about repositories: create, rename, configure, delete, undelete.

use std::sync::Arc;

use gitstratum_core::limits::{DESCRIPTION_BYTES_MAX, HIDDEN_REFS_MAX, REF_NAME_BYTES_MAX};

use super::refs::{NewRef, RefKey};
use super::{Context, State};
use crate::command::{ConfigureRepository, CreateRepository};
use crate::entity::{Change, Deletion, RefTarget, Repository};
use crate::error::{CatalogError, within};
use crate::ids::RepositoryId;
use crate::names::RefName;
use crate::reply::Outcome;

impl State {
    pub(super) fn create_repository(
        &mut self,
        context: &Context,
        create: CreateRepository,
    ) -> Result<Outcome, CatalogError> {
        let name = self.repositories.free_name(&create.name, None)?;
        let branch = branch(&create.default_branch)?;
        check_description(&create.description)?;
        check_hidden(&create.hidden_refs)?;
        let id = self.repositories.next_id()?;
        let repository = Repository {
            name: name.clone(),
            object_format: create.object_format,
            description: create.description,
            limits: create.limits,
            hidden_refs: create.hidden_refs,
            created_at_ms: context.now_ms,
            generation: 0,
            deleted: None,
            public: false,
            restored: None,
            refs: 0,
            packs: 0,
        };
        self.repositories.put(id, repository);
        let change = Change::RepositoryCreated { repository: id, name };
        self.events.add(context, change);
        self.point_head(context, id, branch, "created");
        Ok(Outcome::Created { repository: id })
    }

    pub(super) fn rename_repository(
        &mut self,
        context: &Context,
        id: RepositoryId,
        name: &str,
    ) -> Result<Outcome, CatalogError> {
        let repository = self.repositories.live(id)?;
        let new = self.repositories.free_name(name, Some(id))?;
        let old = repository.name.clone();
        if old != new {
            let repository = Repository { name: new.clone(), ..Repository::clone(repository) };
            self.repositories.put(id, repository);
            self.events.add(context, Change::RepositoryRenamed { repository: id, old, new });
        }
        Ok(Outcome::Changed)
    }

    pub(super) fn configure_repository(
        &mut self,
        context: &Context,
        configure: ConfigureRepository,
    ) -> Result<Outcome, CatalogError> {
        let id = configure.repository;
        let before = self.repositories.live(id)?;
        let branch = configure.default_branch.as_deref().map(branch).transpose()?;
        let mut repository = Repository::clone(before);
        if let Some(description) = configure.description {
            check_description(&description)?;
            repository.description = description;
        }
        if let Some(hidden) = configure.hidden_refs {
            check_hidden(&hidden)?;
            repository.hidden_refs = hidden;
        }
        repository.limits = configure.limits.unwrap_or(repository.limits);
        repository.public = configure.public.unwrap_or(repository.public);
        if **before != repository {
            self.repositories.put(id, repository);
            self.events.add(context, Change::RepositoryConfigured { repository: id });
        }
        if let Some(branch) = branch {
            self.point_head(context, id, branch, "default branch");
        }
        Ok(Outcome::Changed)
    }

    pub(super) fn delete_repository(
        &mut self,
        context: &Context,
        id: RepositoryId,
        keep_for_ms: u64,
    ) -> Result<Outcome, CatalogError> {
        let repository = self.repositories.live(id)?;
        let name = repository.name.clone();
        let until_ms = context.now_ms.saturating_add(keep_for_ms);
        let deleted = Some(Deletion { at_ms: context.now_ms, until_ms });
        let repository = Repository { deleted, ..Repository::clone(repository) };
        self.repositories.put(id, repository);
        self.events.add(context, Change::RepositoryDeleted { repository: id, name, until_ms });
        Ok(Outcome::Changed)
    }

    pub(super) fn undelete_repository(
        &mut self,
        context: &Context,
        id: RepositoryId,
        name: Option<&str>,
    ) -> Result<Outcome, CatalogError> {
        let (repository, deletion) = self.repositories.deleted(id)?;
        let until_ms = deletion.until_ms;
        if repository.is_being_restored() {
            return Err(CatalogError::RestoreUnderWay { repository: id });
        }
        if context.now_ms >= until_ms {
            return Err(CatalogError::UndeleteTooLate { repository: id, until_ms });
        }
        let name = name.unwrap_or(repository.name.as_str());
        let name = self.repositories.free_name(name, None)?;
        let repository =
            Repository { name: name.clone(), deleted: None, ..Repository::clone(repository) };
        self.repositories.put(id, repository);
        self.events.add(context, Change::RepositoryUndeleted { repository: id, name });
        Ok(Outcome::Changed)
    }

    /// Points `HEAD` of a repository to a branch.
    fn point_head(&mut self, context: &Context, id: RepositoryId, branch: RefName, why: &str) {
        let key = RefKey { repository: id, name: RefName::head() };
        let new = NewRef { target: RefTarget::Symbolic(branch), peeled: None };
        let old = self.refs.target(&key).cloned();
        if old.as_ref() == Some(&new.target) {
            return;
        }
        let note = Arc::new(context.note(why.to_owned()));
        self.refs.set(key, new.clone(), context.now_ms, &note);
        if old.is_none() {
            self.repositories.count(id, |repository| repository.refs += 1);
        }
        let name = RefName::head();
        let change = Change::RefUpdated { repository: id, name, old, new: Some(new.target) };
        self.events.add(context, change);
    }
}

/// What `HEAD` may point to.
pub(super) fn branch(name: &str) -> Result<RefName, CatalogError> {
    let wrong = |reason| CatalogError::RefName { name: name.to_owned(), reason };
    let target = RefName::parse(name).map_err(wrong)?;
    if target.is_head() {
        return Err(CatalogError::SymbolicTarget { target });
    }
    Ok(target)
}

pub(super) fn check_description(description: &str) -> Result<(), CatalogError> {
    within("bytes of the description", description.len(), DESCRIPTION_BYTES_MAX)
}

pub(super) fn check_hidden(prefixes: &[String]) -> Result<(), CatalogError> {
    within("prefixes of hidden refs", prefixes.len(), HIDDEN_REFS_MAX)?;
    for prefix in prefixes {
        within("bytes of a prefix of hidden refs", prefix.len(), REF_NAME_BYTES_MAX)?;
        let wrong = |reason| CatalogError::RefName { name: prefix.clone(), reason };
        RefName::parse(prefix.trim_end_matches('/')).map_err(wrong)?;
    }
    Ok(())
}
