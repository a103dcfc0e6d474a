//! Interned object ids: each id that a pack has or names is kept once, and has a number.
//!
//! Numbers are given in the order in which ids come, so nothing depends on how they are hashed. That
//! is done with a key that a client does not know, because it chooses the ids that trees name.

use std::hash::{BuildHasher, RandomState};

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use hashbrown::HashTable;

/// Ids with their numbers.
pub(super) struct Ids {
    id_len: usize,
    /// All ids, one after another.
    bytes: Vec<u8>,
    numbers: HashTable<u32>,
    key: RandomState,
}

impl Ids {
    pub(super) fn new(algorithm: HashAlgorithm) -> Self {
        Ids {
            id_len: algorithm.id_len(),
            bytes: Vec::new(),
            numbers: HashTable::new(),
            key: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    fn bytes_of(&self, number: u32) -> &[u8] {
        let begin = number as usize * self.id_len;
        &self.bytes[begin..begin + self.id_len]
    }

    pub(super) fn id(&self, number: u32) -> ObjectId {
        ObjectId::from_bytes(self.bytes_of(number)).expect("as long as the ids of its algorithm")
    }

    pub(super) fn number(&self, id: &ObjectId) -> Option<u32> {
        let hash = self.key.hash_one(id.as_bytes());
        self.numbers.find(hash, |number| self.bytes_of(*number) == id.as_bytes()).copied()
    }

    /// The number of an id, which is the next one if the id is new.
    pub(super) fn intern(&mut self, id: &ObjectId) -> u32 {
        if let Some(number) = self.number(id) {
            return number;
        }
        let number = u32::try_from(self.len()).expect("the number of ids is limited");
        self.bytes.extend_from_slice(id.as_bytes());
        let Ids { id_len, bytes, numbers, key } = self;
        let hash_of = |number: &u32| {
            let begin = *number as usize * *id_len;
            key.hash_one(&bytes[begin..begin + *id_len])
        };
        numbers.insert_unique(key.hash_one(id.as_bytes()), number, hash_of);
        number
    }
}
