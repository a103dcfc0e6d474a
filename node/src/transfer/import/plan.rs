//! Import plan.
//!
//! Which objects there are, each once, in the order in which they are cheap to decode.
//!
//! An object belongs to the first place that has it: packs, then loose objects. Within a pack the
//! order is that of offsets, because Git writes a delta soon after its base.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gix::odb::loose;

use super::error::ImportError;
use super::id_of;
use super::ids::Ids;
use super::places::{Pack, Places};

/// Objects that a worker takes at once. Long, so that few deltas are cut from their
/// bases; short enough that both workers finish together.
const RUN_OBJECTS: usize = 4096;

/// What to read.
pub(super) struct Plan {
    pub(super) sources: Vec<Source>,
    ids: Ids,
}

/// One pack, or one directory of loose objects, with what is to be read from it.
pub(super) enum Source {
    /// Positions in the pack's index, ascending by offset in the pack.
    Pack { pack: Arc<Pack>, positions: Vec<u32> },
    /// Ids, ascending.
    Loose { store: loose::Store, ids: Vec<gix::ObjectId> },
}

/// What one place has, in the order of ids.
enum Listed<'l> {
    Pack(&'l Arc<Pack>),
    Loose(&'l loose::Store, &'l [gix::ObjectId]),
}

impl Listed<'_> {
    fn len(&self) -> usize {
        match self {
            Listed::Pack(pack) => pack.bundle.index.num_objects() as usize,
            Listed::Loose(_, ids) => ids.len(),
        }
    }

    fn id(&self, at: usize) -> &[u8] {
        match self {
            Listed::Pack(pack) => pack.bundle.index.oid_at_index(at as u32).as_bytes(),
            Listed::Loose(_, ids) => ids[at].as_bytes(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        match self {
            Listed::Pack(pack) => pack.path.with_extension("idx"),
            Listed::Loose(store, _) => store.path().to_owned(),
        }
    }
}

impl Plan {
    /// Everything that is listed: all packs, and these loose objects of each directory.
    ///
    /// Each place lists its ids in ascending order, so they are merged, without a list of who
    /// has what.
    pub(super) fn all(
        algorithm: HashAlgorithm,
        places: &Places,
        loose: &[Vec<gix::ObjectId>],
    ) -> Result<Self, ImportError> {
        let packs = places.packs.iter().map(Listed::Pack);
        let loose = places.loose.iter().zip(loose).map(|(store, ids)| Listed::Loose(store, ids));
        let listed: Vec<Listed> = packs.chain(loose).collect();
        let mut taken: Vec<Vec<u32>> = listed.iter().map(|_| Vec::new()).collect();
        let mut next: BinaryHeap<Reverse<(&[u8], usize, usize)>> = BinaryHeap::new();
        let place = |source: usize, at: usize| Reverse((listed[source].id(at), source, at));
        next.extend((0..listed.len()).filter(|&at| listed[at].len() > 0).map(|at| place(at, 0)));
        let mut ids: Vec<u8> = Vec::new();
        let id_len = algorithm.id_len();
        while let Some(Reverse((id, source, at))) = next.pop() {
            if at + 1 < listed[source].len() {
                next.push(place(source, at + 1));
            }
            let last = &ids[ids.len().saturating_sub(id_len)..];
            match (!last.is_empty()).then(|| last.cmp(id)) {
                // It is in an earlier place too, or twice in this one.
                Some(std::cmp::Ordering::Equal) => continue,
                Some(std::cmp::Ordering::Greater) => {
                    return Err(ImportError::Read {
                        doing: format!("reading {}", listed[source].path().display()),
                        source: "its ids do not ascend: `git index-pack` makes it anew".into(),
                    });
                }
                _ => {}
            }
            ids.extend_from_slice(id);
            taken[source].push(u32::try_from(at).expect("an index has 32-bit positions"));
        }
        let sources = listed.iter().zip(taken).map(|(listed, taken)| match listed {
            Listed::Pack(pack) => Source::of_pack(pack, taken),
            Listed::Loose(store, ids) => Source::Loose {
                store: (*store).clone(),
                ids: taken.into_iter().map(|at| ids[at as usize]).collect(),
            },
        });
        Ok(Plan { sources: sources.collect(), ids: Ids::ascending(ids, algorithm) })
    }

    /// Nothing.
    pub(super) fn empty(algorithm: HashAlgorithm) -> Self {
        Plan { sources: Vec::new(), ids: Ids::ascending(Vec::new(), algorithm) }
    }

    /// Those of `needed` that any place has now.
    pub(super) fn of(
        algorithm: HashAlgorithm,
        places: &Places,
        needed: &BTreeSet<ObjectId>,
    ) -> Self {
        let mut positions: Vec<Vec<u32>> = places.packs.iter().map(|_| Vec::new()).collect();
        let mut loose: Vec<Vec<gix::ObjectId>> = places.loose.iter().map(|_| Vec::new()).collect();
        let mut ids = Vec::new();
        for id in needed {
            let wanted = gix::ObjectId::from_bytes_or_panic(id.as_bytes());
            let packed = places
                .packs
                .iter()
                .enumerate()
                .find_map(|(at, pack)| Some((at, pack.bundle.index.lookup(wanted)?)));
            if let Some((pack, position)) = packed {
                positions[pack].push(position);
            } else if let Some(dir) =
                places.loose.iter().position(|store| store.object_path(&wanted).is_file())
            {
                loose[dir].push(wanted);
            } else {
                continue;
            }
            ids.extend_from_slice(id.as_bytes());
        }
        let packs = places.packs.iter().zip(positions);
        let packs = packs.map(|(pack, positions)| Source::of_pack(pack, positions));
        let loose = places.loose.iter().zip(loose);
        let loose = loose.map(|(store, ids)| Source::Loose { store: store.clone(), ids });
        Plan { sources: packs.chain(loose).collect(), ids: Ids::ascending(ids, algorithm) }
    }

    /// Distinct objects.
    pub(super) fn objects(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Their ids.
    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }
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
    fn of_pack(pack: &Arc<Pack>, positions: Vec<u32>) -> Self {
        let offset = |at: u32| (pack.bundle.index.pack_offset_at_index(at), at);
        let mut places: Vec<(u64, u32)> = positions.into_iter().map(offset).collect();
        places.sort_unstable();
        let positions = places.into_iter().map(|(_, at)| at).collect();
        Source::Pack { pack: pack.clone(), positions }
    }

    fn len(&self) -> usize {
        match self {
            Source::Pack { positions, .. } => positions.len(),
            Source::Loose { ids, .. } => ids.len(),
        }
    }

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
