//! Where every object is: an ordinary hash map, because the keys are hashes already.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::object::{Kind, ObjectHead, ObjectId};

/// A record that holds an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// Number of its segment.
    pub(super) segment: u64,
    /// Where the record begins in it.
    pub(super) offset: u64,
    /// Length of the object's data.
    pub(super) size_bytes: u64,
    /// The object's kind.
    pub(super) kind: Kind,
    /// The record is known not to hold what it should.
    pub(super) damaged: bool,
}

impl Location {
    /// What is known of the object.
    pub(super) fn head(&self, id: ObjectId) -> ObjectHead {
        ObjectHead { id, kind: self.kind, size_bytes: self.size_bytes }
    }
}

/// Takes eight bytes of the id for the hash of the whole.
#[derive(Default)]
struct PrefixHasher(u64);

impl Hasher for PrefixHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key hashes itself as one number");
    }

    fn write_u64(&mut self, prefix: u64) {
        self.0 = prefix;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(ObjectId);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.prefix_u64());
    }
}

/// The index of all segments. Its order is never seen.
#[derive(Default)]
pub(super) struct Index {
    locations: HashMap<Key, Location, BuildHasherDefault<PrefixHasher>>,
    payload_bytes: u64,
}

impl Index {
    /// Where the object is, damaged or not.
    pub(super) fn get(&self, id: &ObjectId) -> Option<&Location> {
        self.locations.get(&Key(*id))
    }

    /// Whether a sound record holds the object.
    pub(super) fn holds(&self, id: &ObjectId) -> bool {
        self.get(id).is_some_and(|location| !location.damaged)
    }

    /// Enters a record. A damaged one never replaces another; a sound one replaces a damaged.
    pub(super) fn insert(&mut self, id: ObjectId, location: Location) {
        match self.locations.get_mut(&Key(id)) {
            Some(known) if location.damaged || !known.damaged => {}
            Some(known) => {
                self.payload_bytes = self.payload_bytes - known.size_bytes + location.size_bytes;
                *known = location;
            }
            None => {
                self.payload_bytes += location.size_bytes;
                self.locations.insert(Key(id), location);
            }
        }
    }

    /// Marks an object's record as damaged, unless a new put replaced it meanwhile.
    pub(super) fn mark_damaged(&mut self, id: &ObjectId, found_at: &Location) {
        if let Some(location) = self.locations.get_mut(&Key(*id)).filter(|l| *l == found_at) {
            location.damaged = true;
        }
    }

    /// Number of objects.
    pub(super) fn len(&self) -> usize {
        self.locations.len()
    }

    /// Data of all objects.
    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}
