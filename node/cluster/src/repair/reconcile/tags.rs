//! Set fingerprints.
//!
//! Tags of ids under a session's key, and their sums.

use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::compare::Span;

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
