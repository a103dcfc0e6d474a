//! The hash ring: object id → ordered replicas.
//!
//! Each member owns points on a circle of 64-bit positions, in proportion to its weight.
//! An object belongs to the N members met first when walking clockwise from its own
//! position, a member of a zone not met before going first. So a member that joins or
//! leaves moves only the objects that it gains or loses.
//!
//! Only active members own points. So a member that drains or is removed gives its objects
//! to those that would have come after it, and moves no other.
//!
//! Invariant: `replicas` depends on the layout's members and N only, never on their
//! order in the file, on the process, or on anything iterated in hash order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Arcs, Layout, Member, MemberState, NodeId};
use crate::limits::VIRTUAL_NODES_PER_WEIGHT;
use crate::object::ObjectId;

/// A layout with its ring points computed.
#[derive(Clone, Debug)]
pub struct Ring {
    layout: Arc<Layout>,
    points: Arc<[Point]>,
}

/// The end of an arc of positions, whose objects all have the same replicas.
#[derive(Debug)]
struct Point {
    /// Last position of the arc; the arc begins after the point before it.
    position: u64,
    /// Shared between all points with the same list.
    replicas: Arc<[NodeId]>,
}

impl Ring {
    /// Computes the ring of a validated layout's active members.
    ///
    /// # Panics
    /// When the layout was not validated: no active members, or fewer than N.
    pub fn new(layout: Arc<Layout>) -> Self {
        Self::of(layout, &[MemberState::Active])
    }

    /// The ring of the members in one of `states`.
    pub(super) fn of(layout: Arc<Layout>, states: &[MemberState]) -> Self {
        let members: Vec<&Member> =
            layout.members.iter().filter(|member| states.contains(&member.state)).collect();
        assert!((1..=members.len()).contains(&layout.replicas), "a ring needs a validated layout");
        let owners = owners(&members);
        let zones = zones(&members);
        let mut lists: BTreeMap<Vec<usize>, Arc<[NodeId]>> = BTreeMap::new();
        let points = (0..owners.len())
            .map(|start| {
                let list = walk(&owners, start, &zones, layout.replicas);
                let names = |list: &[usize]| {
                    list.iter().map(|&member| members[member].node_id.clone()).collect()
                };
                let replicas = match lists.get(&list) {
                    Some(known) => Arc::clone(known),
                    None => Arc::clone(lists.entry(list.clone()).or_insert(names(&list))),
                };
                Point { position: owners[start].0, replicas }
            })
            .collect();
        Ring { layout, points }
    }

    /// The layout this ring was made of.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The N distinct members that hold `id`, the first being its primary. Costs a
    /// binary search and a reference count.
    pub fn replicas(&self, id: &ObjectId) -> Arc<[NodeId]> {
        let position = id.prefix_u64();
        let next = self.points.partition_point(|point| point.position < position);
        // Past the last point the circle closes at the first.
        let point = self.points.get(next).unwrap_or(&self.points[0]);
        Arc::clone(&point.replicas)
    }

    /// Every list of replicas that some objects have, each at least once.
    pub fn replica_lists(&self) -> impl Iterator<Item = &[NodeId]> {
        self.points.iter().map(|point| &point.replicas[..])
    }

    /// The positions whose objects all of `nodes` hold.
    pub fn shared_by(&self, nodes: &[&NodeId]) -> Arcs {
        let is_shared = |point: &Point| nodes.iter().all(|node| point.replicas.contains(node));
        let mut arcs = Arcs::default();
        let mut first = 0;
        for point in self.points.iter() {
            // Of two points on one position the first decides, as it does for `replicas`.
            if point.position >= first && is_shared(point) {
                arcs.push(first..=point.position);
            }
            match point.position.checked_add(1) {
                Some(next) => first = first.max(next),
                None => return arcs,
            }
        }
        if is_shared(&self.points[0]) {
            arcs.push(first..=u64::MAX);
        }
        arcs
    }
}

/// All points in ring order, each with the member that owns it. Members are sorted by
/// id, so two points on one position are ordered by id.
fn owners(members: &[&Member]) -> Vec<(u64, usize)> {
    let mut owners = Vec::new();
    for (member, of) in members.iter().enumerate() {
        let points = of.weight * VIRTUAL_NODES_PER_WEIGHT;
        owners.extend((0..points).map(|index| (position(&of.node_id, index), member)));
    }
    owners.sort_unstable();
    owners
}

/// Where a member's `index`th point lies. The id's length comes before the id, so no
/// two pairs of id and index are encoded alike.
fn position(node_id: &NodeId, index: u32) -> u64 {
    let name = node_id.as_str().as_bytes();
    let digest = Sha256::new()
        .chain_update(b"gitstratum ring point\0")
        .chain_update((name.len() as u64).to_be_bytes())
        .chain_update(name)
        .chain_update(index.to_be_bytes())
        .finalize();
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(prefix)
}

/// For each member the number of its zone.
fn zones(members: &[&Member]) -> Vec<usize> {
    let names: BTreeSet<&str> = members.iter().map(|m| m.zone.as_str()).collect();
    let numbers: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
    members.iter().map(|m| numbers[m.zone.as_str()]).collect()
}

/// The `replicas` members met first from `start`: first those that open a zone, then
/// the others, both in ring order.
fn walk(owners: &[(u64, usize)], start: usize, zones: &[usize], replicas: usize) -> Vec<usize> {
    let zones_wanted = replicas.min(zones.iter().max().map_or(0, |last| last + 1));
    // Members that open a zone, and those that come to one already open. Both stay
    // short, so searching them is cheaper than a set.
    let mut first: Vec<usize> = Vec::with_capacity(replicas);
    let mut others: Vec<usize> = Vec::new();
    let others_wanted = replicas - zones_wanted;
    for step in 0..owners.len() {
        if first.len() == zones_wanted && others.len() >= others_wanted {
            break;
        }
        let (_, member) = owners[(start + step) % owners.len()];
        if first.contains(&member) || others.contains(&member) {
            continue;
        }
        if first.len() < zones_wanted && first.iter().all(|&met| zones[met] != zones[member]) {
            first.push(member);
        } else if others.len() < others_wanted {
            others.push(member);
        }
    }
    first.append(&mut others);
    assert_eq!(first.len(), replicas, "a validated layout has enough members");
    first
}
