//! Which objects there are, each once, in the order in which they are cheap to decode.
//!
//! An object belongs to the first source that has it: packs, then loose objects. Within
//! a pack the order is that of offsets, because Git writes a delta soon after its base.

use std::ops::Range;
use std::sync::Mutex;

use gix::odb::loose;

use super::source::{Files, Pack};
use super::{ImportError, id_of};
use crate::object::ObjectId;

/// Objects that a worker takes at once. Long, so that few deltas are cut from their
/// bases; short enough that both workers finish together.
const RUN_OBJECTS: usize = 4096;

/// What to read.
pub(super) struct Plan {
    pub(super) sources: Vec<Source>,
}

/// One pack, or one directory of loose objects, with what is to be read from it.
pub(super) enum Source {
    /// Positions in the pack's index, ascending by offset in the pack.
    Pack { pack: Box<Pack>, positions: Vec<u32> },
    /// Ids, ascending.
    Loose { store: loose::Store, ids: Vec<gix::ObjectId> },
}

impl Source {
    fn len(&self) -> usize {
        match self {
            Source::Pack { positions, .. } => positions.len(),
            Source::Loose { ids, .. } => ids.len(),
        }
    }

    fn has(&self, id: &gix::oid) -> bool {
        match self {
            Source::Pack { pack, .. } => pack.bundle.index.lookup(id).is_some(),
            Source::Loose { ids, .. } => ids.binary_search_by(|own| (**own).cmp(id)).is_ok(),
        }
    }
}

impl Plan {
    /// Lists the objects of `files`.
    pub(super) fn new(files: Files) -> Result<Self, ImportError> {
        let mut sources: Vec<Source> = Vec::new();
        for pack in files.packs {
            let index = &pack.bundle.index;
            let mut places: Vec<(u64, u32)> = (0..index.num_objects())
                .filter(|at| !sources.iter().any(|source| source.has(index.oid_at_index(*at))))
                .map(|at| (index.pack_offset_at_index(at), at))
                .collect();
            places.sort_unstable();
            let positions = places.into_iter().map(|(_, at)| at).collect();
            sources.push(Source::Pack { pack: Box::new(pack), positions });
        }
        for store in files.loose {
            let mut ids = Vec::new();
            for id in store.iter() {
                let id = id.map_err(|source| ImportError::Read {
                    doing: format!("listing loose objects in {}", store.path().display()),
                    source: source.into(),
                })?;
                if !sources.iter().any(|source| source.has(&id)) {
                    ids.push(id);
                }
            }
            ids.sort_unstable();
            sources.push(Source::Loose { store, ids });
        }
        Ok(Plan { sources })
    }

    /// Distinct objects.
    pub(super) fn objects(&self) -> u64 {
        self.sources.iter().map(|source| source.len() as u64).sum()
    }

    /// All ids, raw, one after another, ascending.
    pub(super) fn sorted_ids(&self) -> Vec<u8> {
        let id_len = self.sources.iter().find_map(|source| match source {
            Source::Pack { pack, positions } => {
                positions.first().map(|at| pack.bundle.index.oid_at_index(*at).as_bytes().len())
            }
            Source::Loose { ids, .. } => ids.first().map(|id| id.as_bytes().len()),
        });
        match id_len {
            Some(20) => self.sorted::<20>(),
            Some(32) => self.sorted::<32>(),
            Some(other) => unreachable!("an id of {other} bytes was opened"),
            None => Vec::new(),
        }
    }

    fn sorted<const LEN: usize>(&self) -> Vec<u8> {
        let mut ids: Vec<[u8; LEN]> = Vec::with_capacity(self.objects() as usize);
        let raw = |id: &gix::oid| -> [u8; LEN] {
            id.as_bytes().try_into().expect("a repository has ids of one length")
        };
        for source in &self.sources {
            match source {
                Source::Pack { pack, positions } => {
                    let index = &pack.bundle.index;
                    ids.extend(positions.iter().map(|at| raw(index.oid_at_index(*at))));
                }
                Source::Loose { ids: own, .. } => ids.extend(own.iter().map(|id| raw(id))),
            }
        }
        ids.sort_unstable();
        assert!(ids.is_sorted_by(|a, b| a < b), "an object has one source");
        ids.into_flattened()
    }
}

/// Whether `id` is among raw ids as [`Plan::sorted_ids`] gives them.
pub(super) fn contains(ids: &[u8], id: &ObjectId) -> bool {
    let wanted = id.as_bytes();
    let (mut low, mut high) = (0, ids.len() / wanted.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match ids[middle * wanted.len()..][..wanted.len()].cmp(wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

/// The next run of objects that nobody has taken; shared by the workers of one import.
#[derive(Default)]
pub(super) struct Cursor {
    next: Mutex<(usize, usize)>,
}

impl Cursor {
    /// A source and places in it; `None` when all are taken.
    pub(super) fn take<'p>(&self, plan: &'p Plan) -> Option<(&'p Source, Range<usize>)> {
        let mut next = self.next.lock().expect("nothing panics while it counts");
        loop {
            let (source, from) = *next;
            let len = plan.sources.get(source)?.len();
            if from == len {
                *next = (source + 1, 0);
                continue;
            }
            let to = len.min(from + RUN_OBJECTS);
            *next = (source, to);
            return Some((&plan.sources[source], from..to));
        }
    }
}

impl Source {
    /// The id at a place.
    pub(super) fn id(&self, place: usize) -> ObjectId {
        match self {
            Source::Pack { pack, positions } => {
                id_of(pack.bundle.index.oid_at_index(positions[place]))
            }
            Source::Loose { ids, .. } => id_of(&ids[place]),
        }
    }
}
