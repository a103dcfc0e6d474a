//! Purging a deleted repository, in steps that are short whatever it holds.

use gitstratum_core::limits::PURGED_AT_ONCE_MAX;

use super::{Context, State};
use crate::entity::Change;
use crate::error::CatalogError;
use crate::ids::RepositoryId;
use crate::reply::Outcome;

impl State {
    pub(super) fn purge_repository(
        &mut self,
        context: &Context,
        id: RepositoryId,
    ) -> Result<Outcome, CatalogError> {
        let (_, deletion) = self.repositories.deleted(id)?;
        let (until_ms, now_ms) = (deletion.until_ms, context.now_ms);
        if now_ms < until_ms {
            return Err(CatalogError::PurgeTooEarly { repository: id, until_ms, now_ms });
        }
        // It cannot be undeleted any more, so nobody sees a part of it.
        let refs = self.refs.remove_some(id, PURGED_AT_ONCE_MAX);
        let packs = self.packs.remove_some(id, PURGED_AT_ONCE_MAX - refs);
        if refs + packs == PURGED_AT_ONCE_MAX {
            self.repositories.count(id, |repository| {
                repository.refs -= refs as u64;
                repository.packs -= packs as u64;
            });
            return Ok(Outcome::Purged { finished: false });
        }
        self.repositories.remove(id);
        self.events.add(context, Change::RepositoryPurged { repository: id });
        Ok(Outcome::Purged { finished: true })
    }
}
