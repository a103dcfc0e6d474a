//! Dirty range tracking.
//!
//! Dirty ranges, and the peers that each is still to be compared with.
//!
//! A range of a peer that owns now all that it may ever have held is compared with that peer
//! alone. One of a node whose objects are others' by now, wholly or in part, because it drains,
//! left, or lost positions to another, waits for every peer: the owners are among them. One of
//! our own says that we lost what we had: every peer may be its source.
//!
//! Invariant: what is compared cannot be brought by a node that lost it itself. So while we lack
//! some of a range, no comparison over it makes it clean for another.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use gitstratum_core::placement::{NodeId, Placement};

use crate::repair::hints::{DirtyRange, IdPrefix};

/// What is known of them under one layout.
pub(super) struct Ranges {
    ourselves: NodeId,
    awaited: Vec<Awaited>,
}

/// A range, and who is still to be compared over it.
struct Awaited {
    range: DirtyRange,
    peers: BTreeSet<NodeId>,
}

impl Ranges {
    /// Of this node; none yet.
    pub(super) fn new(ourselves: NodeId) -> Self {
        Ranges { ourselves, awaited: Vec::new() }
    }

    /// Forgets what is dirty no more, and takes up what is dirty since.
    pub(super) fn follow(
        &mut self,
        listed: Vec<DirtyRange>,
        placement: &Placement,
        peers: &BTreeSet<NodeId>,
    ) {
        self.awaited.retain(|awaited| listed.contains(&awaited.range));
        for range in listed {
            if self.awaited.iter().any(|awaited| awaited.range == range) {
                continue;
            }
            let target = &range.target;
            let is_its_own =
                peers.contains(target) && placement.held_by(target) == placement.owned_by(target);
            let peers = match is_its_own {
                true => BTreeSet::from([target.clone()]),
                false => peers.clone(),
            };
            self.awaited.push(Awaited { range, peers });
        }
    }

    /// Those that a comparison with this peer brings nearer to being clean.
    pub(super) fn of<'a>(&'a self, peer: &'a NodeId) -> impl Iterator<Item = &'a DirtyRange> {
        let awaited = self.awaited.iter().filter(|awaited| awaited.peers.contains(peer));
        awaited.map(|awaited| &awaited.range).filter(|range| !self.waits_for_ours(range))
    }

    /// Whether it is another's, and we lack some of it ourselves.
    fn waits_for_ours(&self, range: &DirtyRange) -> bool {
        range.target != self.ourselves
            && self.awaited.iter().any(|awaited| {
                awaited.range.target == self.ourselves
                    && overlap(awaited.range.prefix, range.prefix)
            })
    }

    /// Takes note that a comparison with this peer over these ranges brought everything.
    pub(super) fn compared(&mut self, peer: &NodeId, ranges: &[DirtyRange]) {
        for awaited in self.awaited.iter_mut().filter(|awaited| ranges.contains(&awaited.range)) {
            awaited.peers.remove(peer);
        }
    }

    /// Those that nobody is awaited for.
    pub(super) fn clean(&self) -> Vec<DirtyRange> {
        let clean = self.awaited.iter().filter(|awaited| awaited.peers.is_empty());
        clean.map(|awaited| awaited.range.clone()).collect()
    }
}

fn overlap(one: IdPrefix, other: IdPrefix) -> bool {
    one == other || one == IdPrefix::All || other == IdPrefix::All
}
