//! Restore: repositories and tokens of another catalog's backup.
//!
//! A repository that is being restored is kept as a deleted one is: it has no name, nobody reads it or
//! pushes to it, its packs have an owner, and if nobody goes on with it it is purged when its time is
//! over. The last step gives it its name, or its own deletion.
//!
//! Its packs keep their ids, and their chunks the places that come from the number that the repository
//! had. Invariant: no pack's chunks are of a repository with a greater number than the one that has the
//! pack. So numbers that are given later never lead to such a place, and sweeps, which look at the
//! places of all numbers up to the last one, miss none.

use std::sync::Arc;

use gitstratum_core::limits::{
    DESCRIPTION_BYTES_MAX, NAME_BYTES_MAX, PACK_SOURCE_BYTES_MAX, PACKS_PER_REPOSITORY_MAX,
    REFLOG_ENTRIES_MAX, REFS_PER_REPOSITORY_MAX, RESTORE_LEASE, RESTORED_NUMBER_MAX,
    RESTORES_ENDED_AT_ONCE_MAX, TOKENS_MAX,
};

use super::push::check_id;
use super::refs::RefKey;
use super::settings::{check_description, check_hidden};
use super::tokens::HashedToken;
use super::{Context, State};
use crate::command::{
    BeginRestore, EndRestore, EndedRestore, RestoreRecords, RestoreToken, RestoredRef,
};
use crate::entity::{Change, Deletion, Pack, RefTarget, Repository, Restored};
use crate::error::{CatalogError, within};
use crate::ids::{RepositoryId, TokenId};
use crate::names::{RefName, check_prefix};
use crate::reply::Outcome;

/// How a repository is kept until it is whole.
fn lease(context: &Context) -> Option<Deletion> {
    let until_ms = context.now_ms.saturating_add(RESTORE_LEASE.as_millis() as u64);
    Some(Deletion { at_ms: context.now_ms, until_ms })
}

impl State {
    pub(super) fn begin_restore(
        &mut self,
        context: &Context,
        begin: BeginRestore,
    ) -> Result<Outcome, CatalogError> {
        let BeginRestore { repository, cluster, number, position, keeps_number } = begin;
        within("bytes of a cluster's id", cluster.len(), NAME_BYTES_MAX)?;
        check_description(&repository.description)?;
        check_hidden(&repository.hidden_refs)?;
        if number.0 > RESTORED_NUMBER_MAX {
            let what = "the number of a repository to restore";
            return Err(CatalogError::over(what, number.0, RESTORED_NUMBER_MAX));
        }
        self.repositories.check_free(&repository.name, None)?;
        let next = self.repositories.next_id()?;
        let id = match keeps_number {
            true if number < next => {
                let last = self.repositories.last();
                return Err(CatalogError::RepositoryNumber { given: number, last });
            }
            true => number,
            false => next.max(RepositoryId(number.0 + 1)),
        };
        let restored = Restored { cluster, repository: number, position, under_way: true };
        let repository = Repository {
            deleted: lease(context),
            restored: Some(Box::new(restored)),
            refs: 0,
            packs: 0,
            ..repository
        };
        self.repositories.put(id, repository);
        Ok(Outcome::Created { repository: id })
    }

    /// A repository that is being restored.
    fn being_restored(&self, id: RepositoryId) -> Result<&Arc<Repository>, CatalogError> {
        let known = self.repositories.get(id);
        let known = known.ok_or(CatalogError::NoRepository { repository: id })?;
        match known.is_being_restored() {
            true => Ok(known),
            false => Err(CatalogError::NotBeingRestored { repository: id }),
        }
    }

    pub(super) fn restore_records(
        &mut self,
        context: &Context,
        records: RestoreRecords,
    ) -> Result<Outcome, CatalogError> {
        let RestoreRecords { repository: id, packs, refs } = records;
        let repository = self.being_restored(id)?.clone();
        let before = (self.refs.clone(), self.packs.clone());
        let entered = self
            .enter_packs(id, &repository, packs)
            .and_then(|packs| Ok((packs, self.enter_refs(id, &repository, refs)?)));
        let (packs, refs) = match entered {
            Ok(entered) => entered,
            Err(refused) => {
                (self.refs, self.packs) = before;
                return Err(refused);
            }
        };
        let repository = Repository::clone(&repository);
        let (packs, refs) = (repository.packs + packs, repository.refs + refs);
        let repository = Repository { deleted: lease(context), packs, refs, ..repository };
        self.repositories.put(id, repository);
        Ok(Outcome::Changed)
    }

    /// Enters packs; says how many are new.
    fn enter_packs(
        &mut self,
        id: RepositoryId,
        repository: &Repository,
        packs: Vec<Pack>,
    ) -> Result<u64, CatalogError> {
        let mut new = 0;
        for pack in packs {
            within("bytes of a pack's source", pack.source.len(), PACK_SOURCE_BYTES_MAX)?;
            if self.packs.get(id, pack.id).is_some_and(|held| **held != pack) {
                return Err(CatalogError::PackExists { pack: pack.id });
            }
            new += u64::from(self.packs.insert(id, pack));
        }
        let (count, max) = (repository.packs + new, PACKS_PER_REPOSITORY_MAX);
        if count > max {
            return Err(CatalogError::over("packs of the repository", count, max));
        }
        Ok(new)
    }

    /// Enters refs; says how many are new.
    fn enter_refs(
        &mut self,
        id: RepositoryId,
        repository: &Repository,
        refs: Vec<RestoredRef>,
    ) -> Result<u64, CatalogError> {
        let mut new = 0;
        for RestoredRef { name, value } in refs {
            let wrong = |reason| CatalogError::RefName { name: name.clone(), reason };
            let name = RefName::parse(&name).map_err(wrong)?;
            match &value.target {
                RefTarget::Object(target) => check_id(repository.object_format, *target)?,
                RefTarget::Symbolic(target) if !name.is_head() || target.is_head() => {
                    return Err(CatalogError::SymbolicRef);
                }
                RefTarget::Symbolic(_) => {}
            }
            if let Some(peeled) = value.peeled.as_deref() {
                check_id(repository.object_format, *peeled)?;
            }
            within("updates in the log of a ref", value.log.len(), REFLOG_ENTRIES_MAX)?;
            if self.refs.get(id, name.as_str()).is_none() {
                if let Some(existing) = self.refs.conflict(id, &name) {
                    return Err(CatalogError::conflict(existing));
                }
                new += 1;
            }
            self.refs.insert(RefKey { repository: id, name }, Arc::new(value));
        }
        let (count, max) = (repository.refs + new, REFS_PER_REPOSITORY_MAX);
        if count > max {
            return Err(CatalogError::over("refs of the repository", count, max));
        }
        Ok(new)
    }

    pub(super) fn end_restore(
        &mut self,
        context: &Context,
        end: &EndRestore,
    ) -> Result<Outcome, CatalogError> {
        within("repositories at once", end.repositories.len(), RESTORES_ENDED_AT_ONCE_MAX)?;
        let before = self.repositories.clone();
        let mut changes = Vec::new();
        for ended in &end.repositories {
            match self.end_one(context, ended) {
                Ok(change) => changes.extend(change),
                Err(refused) => {
                    self.repositories = before;
                    return Err(refused);
                }
            }
        }
        for change in changes {
            self.events.add(context, change);
        }
        Ok(Outcome::Changed)
    }

    fn end_one(
        &mut self,
        context: &Context,
        ended: &EndedRestore,
    ) -> Result<Vec<Change>, CatalogError> {
        let EndedRestore { repository: id, deleted_for_ms } = *ended;
        let repository = Repository::clone(self.being_restored(id)?);
        let name = repository.name.clone();
        let mut changes = Vec::new();
        let restored = repository.restored.map(|restored| {
            let (cluster, position_there) = (restored.cluster.clone(), restored.position);
            let name = name.clone();
            changes.push(Change::RepositoryRestored {
                repository: id,
                name,
                cluster,
                position_there,
            });
            Box::new(Restored { under_way: false, ..*restored })
        });
        let deleted = deleted_for_ms.map(|keep_for_ms| {
            let until_ms = context.now_ms.saturating_add(keep_for_ms);
            let name = name.clone();
            changes.push(Change::RepositoryDeleted { repository: id, name, until_ms });
            Deletion { at_ms: context.now_ms, until_ms }
        });
        if deleted.is_none() {
            self.repositories.check_free(&name, None)?;
        }
        self.repositories.put(id, Repository { restored, deleted, ..repository });
        Ok(changes)
    }

    pub(super) fn restore_token(
        &mut self,
        context: &Context,
        restore: RestoreToken,
    ) -> Result<Outcome, CatalogError> {
        let RestoreToken { id, hash, token } = restore;
        within("bytes of the description", token.description.len(), DESCRIPTION_BYTES_MAX)?;
        let prefix = &token.prefix;
        check_prefix(prefix)
            .map_err(|reason| CatalogError::RepositoryName { name: prefix.clone(), reason })?;
        if let Some(token) = self.tokens.hashed(&hash) {
            return Ok(Outcome::TokenCreated { token });
        }
        let (count, last) = (self.tokens.len() as u64, self.tokens.last());
        if count >= TOKENS_MAX || last >= i64::MAX as u64 || id.0 > i64::MAX as u64 {
            return Err(CatalogError::over("access tokens", count.saturating_add(1), TOKENS_MAX));
        }
        let id = id.max(TokenId(last + 1));
        self.tokens.put(id, HashedToken { hash, token });
        self.events.add(context, Change::TokenCreated { token: id });
        Ok(Outcome::TokenCreated { token: id })
    }
}
