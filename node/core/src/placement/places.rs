//! Read and write sets.
//!
//! Where an object is written, and where it is looked for, while layouts change.
//!
//! An object is written to its N replicas of the layout in force. What was acknowledged
//! before lies where an earlier layout placed it, until it was moved and the operator said
//! so ([`Layout::settled`]). So an object is looked for on its replicas of the layout in
//! force, then where it would lie if draining members were active, then on its replicas of
//! every earlier layout that is not settled.
//!
//! Invariant (I3): an object is called absent only when of each of these sets as many said
//! so as that layout's read quorum. Every write that any of them acknowledged reached W of
//! one set, and R + W > N holds in each. A removed member is never asked, so it can take
//! away an answer but never add a false one.
//!
//! What members compare follows from the same sets. A member *owns* the positions that it is
//! a replica of by the layout in force: of their objects it is given what it lacks. It may
//! *hold* more: what any of the layouts placed on it, as a member that drains does. Whatever
//! one of two owns and the other may hold they compare; so every member that is read from is
//! a source for the owners of what it may hold, until the layout that placed it there is
//! settled, or the member is removed.

use std::sync::Arc;

use super::{Arcs, Layout, MemberState, NodeId, Ring};
use crate::object::ObjectId;

/// A layout with all rings that its readers and writers need.
#[derive(Clone, Debug)]
pub struct Placement {
    ring: Ring,
    /// Where objects were placed before, the latest first.
    earlier: Vec<Ring>,
}

/// Where one object is looked for. Objects with equal sets can be asked for together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadSet {
    /// Replicas of the layout in force, and its R.
    in_force: Quorum,
    /// The same of what was in force before; none of it twice.
    earlier: Vec<Quorum>,
    /// All that are to be asked, the likeliest first.
    nodes: Arc<[NodeId]>,
}

type Quorum = (Arc<[NodeId]>, usize);

/// Which layouts a node goes by: the one in force, and those before it that are not settled.
/// One version never has two contents, so the versions say it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The one in force.
    pub in_force: u64,
    /// Those that are not settled, oldest first.
    pub unsettled: Vec<u64>,
}

/// What two members compare, and what of it each of them may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// The positions that one of them owns and the other may hold.
    pub compared: Arcs,
    /// Those of them that the first one owns.
    pub to_one: Arcs,
    /// Those of them that the other one owns.
    pub to_other: Arcs,
}

impl Placement {
    /// Computes the rings of a validated layout.
    ///
    /// # Panics
    /// When the layout was not validated.
    pub fn new(layout: Arc<Layout>) -> Self {
        let mut earlier = Vec::new();
        if layout.in_state(MemberState::Draining).next().is_some() {
            let states = [MemberState::Active, MemberState::Draining];
            earlier.push(Ring::of(layout.clone(), &states));
        }
        earlier.extend(layout.previous.iter().rev().map(|previous| Ring::new(previous.clone())));
        Placement { ring: Ring::new(layout), earlier }
    }

    /// The layout in force.
    pub fn layout(&self) -> &Arc<Layout> {
        self.ring.layout()
    }

    /// The N replicas that `id` is written to, the first being its primary.
    pub fn replicas(&self, id: &ObjectId) -> Arc<[NodeId]> {
        self.ring.replicas(id)
    }

    /// The versions of all layouts that place objects.
    pub fn versions(&self) -> Versions {
        let layout = self.layout();
        let unsettled = layout.previous.iter().map(|previous| previous.version).collect();
        Versions { in_force: layout.version, unsettled }
    }

    /// The positions whose objects are written to this node.
    pub fn owned_by(&self, node_id: &NodeId) -> Arcs {
        self.ring.shared_by(&[node_id])
    }

    /// The positions whose objects may lie on this node, because any of the layouts that are
    /// not settled placed them there; none where nobody reads from it.
    pub fn held_by(&self, node_id: &NodeId) -> Arcs {
        if !self.layout().is_read_from(node_id) {
            return Arcs::default();
        }
        let earlier = self.earlier.iter().map(|ring| ring.shared_by(&[node_id]));
        earlier.fold(self.owned_by(node_id), |held, ring| held.union(&ring))
    }

    /// What two nodes compare. Nothing where nobody reads from one of them: what it held counts
    /// as lost.
    pub fn sharing(&self, one: &NodeId, other: &NodeId) -> Sharing {
        let to_one = self.owned_by(one).intersection(&self.held_by(other));
        let to_other = self.owned_by(other).intersection(&self.held_by(one));
        Sharing { compared: to_one.union(&to_other), to_one, to_other }
    }

    /// Where `id` is looked for.
    pub fn read_set(&self, id: &ObjectId) -> ReadSet {
        let replicas = self.ring.replicas(id);
        let in_force = (replicas.clone(), self.layout().read_quorum);
        let mut set = ReadSet { in_force, earlier: Vec::new(), nodes: replicas };
        for ring in &self.earlier {
            let quorum = (ring.replicas(id), ring.layout().read_quorum);
            if set.in_force != quorum && !set.earlier.contains(&quorum) {
                set.earlier.push(quorum);
            }
        }
        if !set.earlier.is_empty() {
            let mut nodes = set.nodes.to_vec();
            for node_id in set.earlier.iter().flat_map(|(replicas, _)| replicas.iter()) {
                if self.layout().is_read_from(node_id) && !nodes.contains(node_id) {
                    nodes.push(node_id.clone());
                }
            }
            set.nodes = nodes.into();
        }
        set
    }
}

impl ReadSet {
    /// Who is to be asked, the likeliest to have it first.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The replicas by each layout that may have placed the objects, the one in force first, and
    /// how many of them have to say "absent" before it is one.
    pub fn quorums(&self) -> impl Iterator<Item = (&[NodeId], usize)> {
        let all = std::iter::once(&self.in_force).chain(&self.earlier);
        all.map(|(replicas, read_quorum)| (&replicas[..], *read_quorum))
    }

    /// Whether "absent" from these nodes contradicts every acknowledged write.
    pub fn proves_absent(&self, absent: &[NodeId]) -> bool {
        let proven = |(replicas, read_quorum): &Quorum| {
            replicas.iter().filter(|node_id| absent.contains(node_id)).count() >= *read_quorum
        };
        proven(&self.in_force) && self.earlier.iter().all(proven)
    }
}
