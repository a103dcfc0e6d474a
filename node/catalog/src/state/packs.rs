//! Packs of all repositories, by repository and id.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::entity::Pack;
use crate::ids::{PackId, RepositoryId};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Packs {
    map: OrdMap<(RepositoryId, PackId), Arc<Pack>>,
}

impl Packs {
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RepositoryId, &Arc<Pack>)> {
        self.map.iter().map(|((repository, _), pack)| (*repository, pack))
    }

    pub(super) fn get(&self, repository: RepositoryId, id: PackId) -> Option<&Arc<Pack>> {
        self.map.get(&(repository, id))
    }

    /// Those of one repository, by id.
    pub(super) fn of(&self, repository: RepositoryId) -> impl Iterator<Item = &Arc<Pack>> {
        self.map
            .range((repository, PackId([0; 32]))..=(repository, PackId([0xff; 32])))
            .map(|(_, pack)| pack)
    }

    /// Those whose ids come after this one.
    pub(super) fn after(
        &self,
        repository: RepositoryId,
        after: Option<PackId>,
    ) -> impl Iterator<Item = &Arc<Pack>> {
        let from = match after {
            Some(after) => Bound::Excluded((repository, after)),
            None => Bound::Included((repository, PackId([0; 32]))),
        };
        let to = Bound::Included((repository, PackId([0xff; 32])));
        self.map.range((from, to)).map(|(_, pack)| pack)
    }

    /// Enters a pack; says whether it is new.
    pub(super) fn insert(&mut self, repository: RepositoryId, pack: Pack) -> bool {
        self.map.insert((repository, pack.id), Arc::new(pack)).is_none()
    }

    /// Drops packs of a repository, at most so many; says how many there were.
    pub(super) fn remove_some(&mut self, repository: RepositoryId, max: usize) -> usize {
        let ids: Vec<PackId> = self.of(repository).take(max).map(|pack| pack.id).collect();
        for id in &ids {
            self.map.remove(&(repository, *id));
        }
        ids.len()
    }
}
