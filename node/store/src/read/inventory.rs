//! Inventory: which objects a store holds between two positions, in order, for comparing replicas.
//!
//! Nothing is kept for it. The ids are read off the sorted index files when they are asked
//! for, 29 bytes of reading an id with SHA-1, and merged with what is in memory; so puts pay
//! nothing, no digest can drift away from what it digests, and the memory is that of one
//! range. What that costs is a pass over all index files for each comparison of everything:
//! a store of ten million objects has 290 MB of them.
//!
//! Invariant: an id is listed when, and only when, its latest record is an object that is
//! not known to be damaged. So what a comparison misses for damage is brought again.

use std::collections::BTreeSet;
use std::sync::Arc;

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::{Standing, StoreError};
use gitstratum_host::compute;

use crate::error::read_failed;
use crate::files::names::index_path;
use crate::format::index::{Entry, Place};
use crate::read::lookup::{Latest, ObjectLocation, holds, latest, rebuild_index, which_held};
use crate::segment::sealed::{IndexError, Sealed};
use crate::state::shared::Shared;

/// Lists that begin again because an index was made again.
const ATTEMPTS_MAX: usize = 4;
/// Fewer entries are sorted and merged where they are read.
const MERGED_IN_PLACE_MAX: usize = 4096;

/// An id, and whether its latest record in a segment is an object.
type Known = (ObjectId, bool);

/// A store's ids between two positions, as they were when this was made.
pub struct Inventory {
    shared: Arc<Shared>,
    /// Segments that are not sealed and large objects, latest first; each in the order of
    /// the ids.
    memory: Vec<Vec<Known>>,
    /// Newest first.
    sealed: Arc<[Arc<Sealed>]>,
    bad: BTreeSet<ObjectId>,
}

/// The ids at positions `first` to `last`. Copies what is in memory of them, a quarter of
/// a million ids at most for each segment that is not sealed.
pub(crate) async fn inventory(shared: &Arc<Shared>, first: u64, last: u64) -> Inventory {
    let within = move |id: &ObjectId| (first..=last).contains(&id.prefix_u64());
    let (active, frozen, large, sealed, bad) = {
        let view = shared.view();
        let active = view.active.as_ref().map(|active| active.places.known(within));
        let large: Vec<Known> =
            view.large.keys().filter(|id| within(id)).map(|id| (*id, true)).collect();
        let bad = view.bad.keys().filter(|id| within(id)).copied().collect();
        (active, view.frozen.clone(), large, view.sealed.clone(), bad)
    };
    let sort = move || {
        let frozen = frozen.iter().map(|frozen| frozen.places.known(within));
        let in_order = |mut known: Vec<Known>| {
            known.sort_unstable_by_key(|(id, _)| *id);
            known
        };
        active.into_iter().chain(frozen).map(in_order).collect()
    };
    let mut memory: Vec<Vec<Known>> = compute(sort).await;
    memory.push(large);
    Inventory { shared: shared.clone(), memory, sealed, bad }
}

/// How this store stands to each of these objects, in order.
///
/// # Errors
/// [`StoreError::Io`] when an index can neither be read nor be made again.
pub(crate) async fn standing(
    shared: &Arc<Shared>,
    ids: &[ObjectId],
) -> Result<Vec<Standing>, StoreError> {
    let held = which_held(shared, ids).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut standing = Vec::with_capacity(ids.len());
    for (id, held) in ids.iter().zip(held) {
        standing.push(match held {
            true => Standing::Held,
            false => match latest(shared, id).await? {
                Latest::Deleted => Standing::Deleted,
                Latest::Held(ObjectLocation::Record(_) | ObjectLocation::Large)
                | Latest::Unknown => Standing::Lacking,
            },
        });
    }
    Ok(standing)
}

fn known((id, place): Entry) -> Known {
    (id, matches!(place, Place::Object { .. }))
}

fn between(known: &[Known], first: u64, last: u64) -> &[Known] {
    let from = known.partition_point(|(id, _)| id.prefix_u64() < first);
    let len = known[from..].partition_point(|(id, _)| id.prefix_u64() <= last);
    &known[from..from + len]
}

impl Inventory {
    /// How many ids there are at most at positions `first` to `last`, which lie within those
    /// of the inventory. Costs no read.
    pub fn count_max(&self, first: u64, last: u64) -> u64 {
        let memory = self.memory.iter().map(|known| between(known, first, last).len() as u64);
        let sealed = self.sealed.iter().map(|sealed| sealed.entries_between_max(first, last));
        memory.chain(sealed).sum()
    }

    /// The ids at positions `first` to `last`, which lie within those of the inventory, in
    /// order.
    ///
    /// # Errors
    /// [`StoreError::Io`] when an index can neither be read nor be made again.
    pub async fn ids(&self, first: u64, last: u64) -> Result<Vec<ObjectId>, StoreError> {
        let mut runs: Vec<Vec<Known>> =
            self.memory.iter().map(|known| between(known, first, last).to_vec()).collect();
        for sealed in self.sealed.iter() {
            runs.push(self.read(sealed.clone(), first, last).await?);
        }
        let count: usize = runs.iter().map(Vec::len).sum();
        let mut ids = match count <= MERGED_IN_PLACE_MAX {
            true => merge(runs),
            false => compute(move || merge(runs)).await,
        };
        if !self.bad.is_empty() {
            let mut sound = Vec::with_capacity(ids.len());
            for id in ids {
                if !self.bad.contains(&id) || holds(&self.shared, &id).await? {
                    sound.push(id);
                }
            }
            ids = sound;
        }
        Ok(ids)
    }

    async fn read(
        &self,
        mut sealed: Arc<Sealed>,
        first: u64,
        last: u64,
    ) -> Result<Vec<Known>, StoreError> {
        let path = index_path(sealed.id());
        let mut attempts = 0;
        loop {
            let error = match sealed.entries_between(first, last).await {
                Ok(entries) => return Ok(entries.into_iter().map(known).collect()),
                Err(error) => error,
            };
            attempts += 1;
            if attempts == ATTEMPTS_MAX {
                return Err(match error {
                    IndexError::Io(error) => read_failed(&path, &error),
                    IndexError::Damaged | IndexError::Version(_) => {
                        let reason = "the index does not hold, though made again".to_owned();
                        let kind = std::io::ErrorKind::InvalidData;
                        StoreError::Io { doing: format!("read {path}"), reason, kind }
                    }
                });
            }
            rebuild_index(&self.shared, &sealed).await?;
            let made = {
                let view = self.shared.view();
                view.sealed.iter().find(|other| other.id() == sealed.id()).cloned()
            };
            // Where the segment was compacted meanwhile, its own index is all there is.
            sealed = made.unwrap_or(sealed);
        }
    }
}

/// The ids whose first mention in `runs` is an object, in order.
fn merge(runs: Vec<Vec<Known>>) -> Vec<ObjectId> {
    let mut all: Vec<Known> = runs.into_iter().flatten().collect();
    // Stable, so that of one id's mentions the latest stays first; and quick over runs that
    // are sorted already.
    all.sort_by_key(|(id, _)| *id);
    all.dedup_by_key(|(id, _)| *id);
    all.retain(|(_, held)| *held);
    all.into_iter().map(|(id, _)| id).collect()
}
