//! Chunk inventory: which chunks of packs a store holds, what each says of itself, and which packs
//! have an owner.
//!
//! The head of a chunk is read here by its documented form, and by no code of the node that sweeps:
//! so a head that the node writes or reads wrongly still shows. What is damaged says nothing, and is
//! left out.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use gitstratum_catalog::State;
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};
use gitstratum_core::replica::{Found, StoreError};
use gitstratum_store::{SegmentStore, Store};

/// What every chunk begins with.
const MAGIC: [u8; 4] = *b"GSC\x01";
/// Where the number of the repository stands, little-endian.
const REPOSITORY: std::ops::Range<usize> = 12..20;
/// Where the id of the pack stands.
const PACK: std::ops::Range<usize> = 20..52;

/// A chunk that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChunk {
    /// Its id.
    pub id: ObjectId,
    /// The pack that it is of.
    pub pack: PackId,
    /// The repository that the pack was pushed to.
    pub repository: RepositoryId,
}

/// All chunks that a store holds but for those of `known`, in the order of their ids.
///
/// # Errors
/// As listing and reading the store does.
pub async fn held(
    store: &SegmentStore,
    known: &BTreeSet<ObjectId>,
) -> Result<Vec<HeldChunk>, StoreError> {
    let ids = store.inventory(0, u64::MAX).await.ids(0, u64::MAX).await?;
    let may_be_chunk = |id: &ObjectId| id.algorithm() == HashAlgorithm::Sha256;
    let mut chunks = Vec::new();
    for id in ids.into_iter().filter(|id| may_be_chunk(id) && !known.contains(id)) {
        let object = match store.get(id).await {
            Ok(Found::Object(object)) if object.kind() == Kind::Chunk => object,
            Ok(_) | Err(StoreError::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        };
        let named = names_of(object.data());
        chunks.extend(named.map(|(repository, pack)| HeldChunk { id, pack, repository }));
    }
    Ok(chunks)
}

/// The packs of all repositories, deleted ones that are kept included. A pack may have several: a
/// fork begins with those of the repository that it is of.
pub fn owned(state: &State) -> BTreeSet<PackId> {
    let repositories = (1..=state.last_repository().0).map(RepositoryId);
    repositories.flat_map(|id| state.packs(id).map(|pack| pack.id)).collect()
}

/// Whose a chunk of these bytes is, and of which pack.
fn names_of(chunk: &[u8]) -> Option<(RepositoryId, PackId)> {
    let number = chunk.get(REPOSITORY)?.try_into().ok()?;
    let pack = PackId(chunk.get(PACK)?.try_into().ok()?);
    chunk.starts_with(&MAGIC).then(|| (RepositoryId(u64::from_le_bytes(number)), pack))
}
