//! upload-pack: what a fetch may ask for, in all versions of the protocol.

pub(super) mod command;
pub(super) mod stateless;
pub(super) mod wishes;

use std::collections::BTreeSet;

use gitstratum_core::object::ObjectId;

use super::error::ProtocolError;
use crate::pkt_line::Packets;
use crate::service::{Depth, Repository, RepositoryError, Shallow};
use wishes::Wishes;

/// Makes sure that the repository has every wanted object. Refs need not lead to it: the client may
/// have been told of them by another node, or before they changed.
async fn check_wants(repository: &dyn Repository, wants: &[ObjectId]) -> Result<(), ProtocolError> {
    let has = repository.contains(wants).await?;
    match wants.iter().zip(has).find(|(_, has)| !has) {
        Some((id, _)) => Err(RepositoryError::NotOurRef(*id).into()),
        None => Ok(()),
    }
}

/// Of these, those that the repository has, each once.
async fn held(
    repository: &dyn Repository,
    ids: &[ObjectId],
) -> Result<Vec<ObjectId>, ProtocolError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let has = repository.contains(ids).await?;
    Ok(marked(ids, &has))
}

/// Of these, those for which the flag is set, each once.
fn marked(ids: &[ObjectId], flags: &[bool]) -> Vec<ObjectId> {
    let mut seen = BTreeSet::new();
    let marked = ids.iter().zip(flags).filter(|(id, flag)| **flag && seen.insert(**id));
    marked.map(|(id, _)| *id).collect()
}

/// A client's shallow boundary, and what becomes of it.
struct Boundary {
    /// Its commits that the repository has.
    client_shallow: Vec<ObjectId>,
    /// What changes, where the client asked for another depth.
    deepened: Option<Shallow>,
}

impl Boundary {
    async fn of(repository: &dyn Repository, wishes: &Wishes) -> Result<Self, ProtocolError> {
        let client_shallow = held(repository, &wishes.client_shallow).await?;
        let deepened = match depth(repository, wishes).await? {
            Some(depth) => Some(repository.deepen(&wishes.wants, &client_shallow, &depth).await?),
            None => None,
        };
        Ok(Boundary { client_shallow, deepened })
    }

    /// Adds the lines that tell the client.
    fn tell(&self, packets: &mut Packets) {
        let Some(deepened) = &self.deepened else { return };
        for id in &deepened.shallow {
            packets.line(format_args!("shallow {id}"));
        }
        for id in &deepened.unshallow {
            packets.line(format_args!("unshallow {id}"));
        }
    }
}

/// The depth that is asked for. Refs that are not to be reached are turned into the objects that
/// they point to.
async fn depth(
    repository: &dyn Repository,
    wishes: &Wishes,
) -> Result<Option<Depth>, ProtocolError> {
    let is_by_revisions = wishes.since.is_some() || !wishes.not.is_empty();
    let depth = match wishes.depth {
        Some(_) if is_by_revisions => {
            let reason = "deepen and deepen-since (or deepen-not) cannot be used together";
            return Err(ProtocolError::Malformed(format!("git upload-pack: {reason}")));
        }
        Some(commits) if wishes.is_relative => Depth::Relative(commits),
        Some(commits) => Depth::Commits(commits),
        None if is_by_revisions => {
            let not = match wishes.not.is_empty() {
                true => Vec::new(),
                false => wishes.resolve_not(&repository.refs().await?)?,
            };
            Depth::Since { since: wishes.since.unwrap_or(0), not }
        }
        None => return Ok(None),
    };
    Ok(Some(depth))
}
