//! Tags of ids under a session's key, and their sums.

use std::hash::Hasher;

use rand::RngCore;
use siphasher::sip::SipHasher24;

use super::Span;
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
    pub(super) fn tag(self, id: &ObjectId) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.low, self.high);
        hasher.write(id.as_bytes());
        hasher.finish()
    }
}

/// An id with its tag.
pub(super) type Tagged = (ObjectId, u64);

/// Those of `members`, which are in order, that lie in `span`.
pub(super) fn in_span(members: &[Tagged], span: Span) -> &[Tagged] {
    let from = members.partition_point(|(id, _)| id.prefix_u64() < span.first);
    let len = members[from..].partition_point(|(id, _)| id.prefix_u64() <= span.last);
    &members[from..from + len]
}

/// The fingerprint of `members`.
pub(super) fn sum(members: &[Tagged]) -> u64 {
    members.iter().fold(0, |sum, (_, tag)| sum.wrapping_add(*tag))
}

/// The fingerprints of the parts of a span, of which `members` are all.
pub(super) fn sums(members: &[Tagged], span: Span, parts: u32) -> Vec<u64> {
    (0..parts).map(|index| sum(in_span(members, span.part(index, parts)))).collect()
}
