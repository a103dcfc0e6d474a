//! In-memory index, and the segments that have one: that which puts are appended to, and
//! those whose index file is still being written.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use gitstratum_core::object::ObjectId;
use gitstratum_host::disk::File;

use crate::format::account::Accounts;
use crate::format::index::{Entry, Place};
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId};
use crate::manifest::Summary;

/// Takes eight bytes of the id for the hash of the whole: ids are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key hashes itself as one number");
    }

    fn write_u64(&mut self, content: u64) {
        self.0 = content;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(ObjectId);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.content_u64());
    }
}

/// Some ids. Their order is never seen.
#[derive(Debug, Default)]
pub(crate) struct Ids(HashSet<Key, BuildHasherDefault<IdHasher>>);

impl Ids {
    /// Adds an id; says whether it was not there.
    pub(crate) fn insert(&mut self, id: ObjectId) -> bool {
        self.0.insert(Key(id))
    }

    /// Whether the id is there.
    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.0.contains(&Key(*id))
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Maps among which places are divided: gets wait while one of them doubles, which for a million
/// places in one takes some 40 ms.
const MAPS: usize = 64;

type Map = HashMap<Key, Place, BuildHasherDefault<IdHasher>>;

/// Where the latest record of each id is. Its order is never seen.
#[derive(Debug)]
pub(crate) struct MemoryIndex {
    maps: Box<[Map; MAPS]>,
    /// The lowest and the highest id.
    ids: Option<(ObjectId, ObjectId)>,
}

impl Default for MemoryIndex {
    fn default() -> Self {
        MemoryIndex { maps: Box::new(std::array::from_fn(|_| Map::default())), ids: None }
    }
}

impl MemoryIndex {
    /// What is known of an id.
    pub(crate) fn get(&self, id: &ObjectId) -> Option<Place> {
        self.maps[Self::map_of(id)].get(&Key(*id)).copied()
    }

    /// Enters a record; the latest of an id counts.
    pub(crate) fn insert(&mut self, id: ObjectId, place: Place) {
        self.maps[Self::map_of(&id)].insert(Key(id), place);
        let (low, high) = self.ids.unwrap_or((id, id));
        self.ids = Some((low.min(id), high.max(id)));
    }

    /// The lowest and the highest id; `None` without any.
    pub(crate) fn ids(&self) -> Option<(ObjectId, ObjectId)> {
        self.ids
    }

    fn map_of(id: &ObjectId) -> usize {
        // Another byte than those that a map looks at.
        usize::from(id.as_bytes()[8]) % MAPS
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.maps.iter().map(Map::len).sum()
    }

    /// Bytes that this takes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.maps.iter().map(Map::capacity).sum::<usize>() * (size_of::<(Key, Place)>() + 1)
    }

    /// The ids that `wanted` says, each with whether it is an object's, in no order.
    pub(crate) fn known(&self, wanted: impl Fn(&ObjectId) -> bool) -> Vec<(ObjectId, bool)> {
        let all = self.all().filter(|(Key(id), _)| wanted(id));
        all.map(|(Key(id), place)| (*id, matches!(place, Place::Object { .. }))).collect()
    }

    /// All ids with their places, in no order.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.all().map(|(Key(id), place)| (*id, *place)).collect()
    }

    fn all(&self) -> impl Iterator<Item = (&Key, &Place)> {
        self.maps.iter().flatten()
    }
}

/// A segment and where its records are.
#[derive(Debug)]
pub(crate) struct Unsealed {
    pub(crate) id: SegmentId,
    pub(crate) file: File,
    /// Where the next record goes.
    pub(crate) len: u64,
    /// How far the file reaches: past `len` with zeros that are durable, so that a small
    /// group is written over them and its flush has no metadata to write.
    pub(crate) file_len: u64,
    /// Bytes before `len` that belong to no record.
    pub(crate) unread: u64,
    pub(crate) accounts: Accounts,
    pub(crate) places: MemoryIndex,
}

impl Unsealed {
    /// A segment without records yet.
    pub(crate) fn new(id: SegmentId, file: File) -> Self {
        let len = SEGMENT_HEADER_BYTES as u64;
        Unsealed {
            id,
            file,
            len,
            file_len: len,
            unread: 0,
            accounts: Accounts::default(),
            places: MemoryIndex::default(),
        }
    }

    /// What it holds.
    pub(crate) fn summary(&self) -> Summary {
        let (records, ids) = (self.places.len() as u64, self.places.ids());
        Summary { len: self.len, records, ids, unread: self.unread }
    }
}
