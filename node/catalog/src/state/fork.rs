//! Fork: a new repository that begins as another one is.
//!
//! It has the same refs and the same list of packs. A pack's descriptor says whose chunks it is made
//! of, so nothing but these lists is copied, and what is pushed to one of the two later is not in the
//! other. Invariant: whoever drops chunks looks for their pack in every repository, not in the one
//! that it was pushed to alone.

use std::sync::Arc;

use gitstratum_core::limits::REFS_PER_FORK_MAX;

use super::refs::{NewRef, RefKey};
use super::{Context, State};
use crate::entity::{Change, Pack, Repository};
use crate::error::CatalogError;
use crate::ids::RepositoryId;
use crate::names::RefName;
use crate::reply::Outcome;

impl State {
    pub(super) fn fork_repository(
        &mut self,
        context: &Context,
        origin: RepositoryId,
        name: &str,
    ) -> Result<Outcome, CatalogError> {
        let forked = self.repositories.live(origin)?.clone();
        let name = self.repositories.free_name(name, None)?;
        if forked.refs > REFS_PER_FORK_MAX {
            return Err(CatalogError::over(
                "refs of a repository to fork",
                forked.refs,
                REFS_PER_FORK_MAX,
            ));
        }
        let id = self.repositories.next_id()?;
        let repository = Repository {
            name: name.clone(),
            created_at_ms: context.now_ms,
            // What is pushed to it later is nobody else's until somebody says so.
            public: false,
            restored: None,
            ..Repository::clone(&forked)
        };
        self.repositories.put(id, repository);
        self.copy_refs(context, origin, id, &forked);
        let packs: Vec<Pack> = self.packs.of(origin).map(|pack| Pack::clone(pack)).collect();
        for pack in packs {
            self.packs.insert(id, pack);
        }
        self.events.add(context, Change::RepositoryForked { repository: id, name, origin });
        Ok(Outcome::Created { repository: id })
    }

    /// The refs of one repository become those of another one, which has none. Their logs begin
    /// anew: what happened elsewhere is in the log there.
    fn copy_refs(
        &mut self,
        context: &Context,
        from: RepositoryId,
        to: RepositoryId,
        forked: &Repository,
    ) {
        let note = Arc::new(context.note(format!("forked from {}", forked.name)));
        let refs: Vec<(RefName, NewRef)> = self
            .refs
            .from(from, "")
            .map(|(name, held)| {
                let (target, peeled) = (held.target.clone(), held.peeled.as_deref().copied());
                (name.clone(), NewRef { target, peeled })
            })
            .collect();
        for (name, new) in refs {
            self.refs.set(RefKey { repository: to, name }, new, context.now_ms, &note);
        }
    }
}
