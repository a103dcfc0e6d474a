//! Purging of deleted repositories: the leader has the catalog forget those whose time to be undeleted
//! is over.
//!
//! By two clocks, the catalog's and the leader's own: what cannot be undone waits for both. The
//! catalog's goes on with commands alone, so in a cluster that gets none nothing is purged. What lay in
//! chunks has no owner from then on, and is swept by each node.

use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::reply::Outcome;
use gitstratum_catalog::{Operation, Reply, State};
use gitstratum_consensus::Group;
use gitstratum_host::unix_time_ms;

use super::Catalog;
use super::author::Author;
use super::voters::propose;

/// Takes one step of purging one repository, if there is one to be purged: a large one takes several.
pub(super) async fn purge_step(author: Author<'_>, group: &Group<Catalog>) {
    let Some(repository) = group.with_local(|catalog| due(&catalog.0, unix_time_ms())) else {
        return;
    };
    match propose(author, group, Operation::PurgeRepository { repository }).await {
        Ok(Reply::Done(Outcome::Purged { finished: true })) => {
            tracing::info!(%repository, "a deleted repository was purged: its time was over");
        }
        Ok(Reply::Done(_)) => {}
        Ok(reply) if author.is_behind(&reply) => {}
        Ok(Reply::Refused(error)) => {
            tracing::warn!(%repository, %error, "a deleted repository was not purged");
        }
        Err(error) => tracing::warn!(%repository, error, "a deleted repository was not purged"),
    }
}

/// A repository whose time is over.
fn due(state: &State, now_ms: u64) -> Option<RepositoryId> {
    let now_ms = now_ms.min(state.clock_ms());
    let mut deleted = state.deleted_repositories();
    let over = deleted.find(|(_, repository)| {
        repository.deleted.is_some_and(|deletion| deletion.until_ms <= now_ms)
    });
    over.map(|(id, _)| id)
}
