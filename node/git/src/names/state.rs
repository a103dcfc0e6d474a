//! Catalog answers for Git, out of the catalog's state.

use std::sync::Arc;

use gitstratum_catalog::State;
use gitstratum_catalog::entity::{Ref, RefTarget, Repository};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RefName;

use super::Packs;
use crate::service::{AdvertisedRef, Head, Refs, RepositoryError};

fn live(state: &State, id: RepositoryId) -> Result<&Arc<Repository>, RepositoryError> {
    let live = state.repository(id).filter(|repository| repository.deleted.is_none());
    live.ok_or_else(|| RepositoryError::Refused("the repository was deleted".to_owned()))
}

/// The visible refs of a repository.
///
/// # Errors
/// [`RepositoryError::Refused`] when it is not there any more.
pub fn refs_of(state: &State, id: RepositoryId) -> Result<Refs, RepositoryError> {
    let repository = live(state, id)?;
    Ok(visible_refs(repository, state.references(id).map(|(name, held)| (name, &**held))))
}

/// What clients are told of a repository's refs, which come in the order of their names.
pub fn visible_refs<'a>(
    repository: &Repository,
    all: impl Iterator<Item = (&'a RefName, &'a Ref)>,
) -> Refs {
    let mut head = Head::Branch("refs/heads/main".to_owned());
    let mut refs = Vec::new();
    for (name, held) in all {
        match &held.target {
            RefTarget::Object(target) if name.is_head() => head = Head::Detached(*target),
            RefTarget::Symbolic(target) if name.is_head() => {
                head = Head::Branch(target.as_str().to_owned());
            }
            RefTarget::Object(target) if !is_hidden(repository, name) => refs.push(AdvertisedRef {
                name: name.as_str().to_owned(),
                id: *target,
                peeled: held.peeled.as_deref().copied(),
            }),
            RefTarget::Object(_) | RefTarget::Symbolic(_) => {}
        }
    }
    Refs { head, refs }
}

/// The packs of a repository.
///
/// # Errors
/// As [`refs_of`].
pub fn packs_of(state: &State, id: RepositoryId) -> Result<Packs, RepositoryError> {
    let generation = live(state, id)?.generation;
    // Their ids begin with when they were made.
    Ok(Packs { generation, packs: state.packs(id).cloned().collect() })
}

fn is_hidden(repository: &Repository, name: &RefName) -> bool {
    repository.hidden_refs.iter().any(|prefix| name.is_within(prefix))
}
