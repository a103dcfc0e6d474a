//! Object id interner: ids to small numbers and back.
//!
//! A hash table with open addressing whose slots are numbers of ids, and the ids one after another
//! in the length of their algorithm. A SHA-1 id takes 20 bytes and its slot 6 to 12. Ids are hashes
//! already, so their first bytes serve as one. Numbers are given in the order of insertion: nothing
//! here depends on a seed.

use gitstratum_core::limits::WALK_OBJECTS_MAX;
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use crate::service::RepositoryError;

/// Ids of one algorithm, one after another.
#[derive(Debug)]
pub(super) struct IdList {
    id_len: usize,
    bytes: Vec<u8>,
}

impl IdList {
    pub(super) fn new(algorithm: HashAlgorithm) -> Self {
        IdList { id_len: algorithm.id_len(), bytes: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.id_len
    }

    pub(super) fn push(&mut self, id: &ObjectId) {
        assert_eq!(id.as_bytes().len(), self.id_len, "a repository has ids of one algorithm");
        self.bytes.extend_from_slice(id.as_bytes());
    }

    pub(super) fn set(&mut self, number: u32, id: &ObjectId) {
        let at = number as usize * self.id_len;
        self.bytes[at..at + self.id_len].copy_from_slice(id.as_bytes());
    }

    pub(super) fn get(&self, number: u32) -> ObjectId {
        ObjectId::from_bytes(self.raw(number)).expect("as long as the ids of its algorithm")
    }

    fn raw(&self, number: u32) -> &[u8] {
        let at = number as usize * self.id_len;
        &self.bytes[at..at + self.id_len]
    }
}

/// A slot without an id.
const EMPTY: u32 = u32::MAX;
/// Slots of a table that is new.
const SLOTS_MIN: usize = 64;

/// A set of ids that numbers them.
#[derive(Debug)]
pub(super) struct IdTable {
    ids: IdList,
    /// A power of two of them, at most two thirds of which are taken.
    slots: Vec<u32>,
}

impl IdTable {
    pub(super) fn new(algorithm: HashAlgorithm) -> Self {
        IdTable { ids: IdList::new(algorithm), slots: vec![EMPTY; SLOTS_MIN] }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The id of a number that [`IdTable::insert`] gave.
    pub(super) fn id(&self, number: u32) -> ObjectId {
        self.ids.get(number)
    }

    /// The number of an id.
    pub(super) fn find(&self, id: &ObjectId) -> Option<u32> {
        let number = self.slots[self.slot(id)];
        (number != EMPTY).then_some(number)
    }

    /// The number of an id, which is new if it was not there: all numbers are those below
    /// [`IdTable::len`].
    pub(super) fn insert(&mut self, id: &ObjectId) -> Result<u32, RepositoryError> {
        let slot = self.slot(id);
        if self.slots[slot] != EMPTY {
            return Ok(self.slots[slot]);
        }
        let count = self.ids.len();
        if count >= WALK_OBJECTS_MAX {
            return Err(RepositoryError::Refused(format!(
                "more than {WALK_OBJECTS_MAX} objects to walk over: ask for less at once"
            )));
        }
        let number = count as u32;
        self.ids.push(id);
        self.slots[slot] = number;
        if (count + 1) * 3 > self.slots.len() * 2 {
            self.grow();
        }
        Ok(number)
    }

    /// Where the id is, or else where it would be.
    fn slot(&self, id: &ObjectId) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = home(id.as_bytes()) & mask;
        while self.slots[slot] != EMPTY && self.ids.raw(self.slots[slot]) != id.as_bytes() {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![EMPTY; mask + 1];
        for number in 0..self.ids.len() as u32 {
            let mut slot = home(self.ids.raw(number)) & mask;
            while slots[slot] != EMPTY {
                slot = (slot + 1) & mask;
            }
            slots[slot] = number;
        }
        self.slots = slots;
    }
}

/// Where the search for an id begins. The multiplication lets all eight bytes count.
fn home(raw: &[u8]) -> usize {
    let mut first = [0; 8];
    first.copy_from_slice(&raw[..8]);
    (u64::from_le_bytes(first).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) as usize
}

/// A set of numbers.
#[derive(Debug, Default)]
pub(super) struct NumberSet {
    words: Vec<u64>,
}

impl NumberSet {
    /// Whether the number was not there before.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }
}
