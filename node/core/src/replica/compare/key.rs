//! Keyed fingerprints.
//!
//! The key of a comparison, and the tags of ids under it.

use std::hash::Hasher;

use rand::RngCore;
use siphasher::sip::SipHasher24;

use crate::object::ObjectId;

/// What tags depend on; drawn anew for each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The first half.
    pub low: u64,
    /// The other half.
    pub high: u64,
}

impl Key {
    /// Draws a key.
    pub fn draw(rng: &mut impl RngCore) -> Self {
        Key { low: rng.next_u64(), high: rng.next_u64() }
    }

    /// The tag of an id. Ids of both algorithms differ in length, which SipHash takes in.
    pub fn tag(self, id: &ObjectId) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.low, self.high);
        hasher.write(id.as_bytes());
        hasher.finish()
    }
}
