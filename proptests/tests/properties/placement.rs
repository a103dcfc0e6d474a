//! The ring: who holds an object, and how little changes when the members do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gitstratum_core::limits::VIRTUAL_NODES_PER_WEIGHT;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{Layout, Member, NodeId, Ring};
use gitstratum_proptests::{ids, layouts, members};
use proptest::collection::vec;
use proptest::prelude::*;

/// Positions at which shares are counted: far more than the points of any ring here.
const GRID: u64 = 1 << 16;

fn ring(layout: &Layout) -> Ring {
    Ring::new(Arc::new(layout.clone().validated().expect("strategies give valid layouts")))
}

fn evenly_spread_ids() -> impl Iterator<Item = ObjectId> {
    (0..GRID).map(|step| {
        let mut raw = [0; 20];
        raw[..8].copy_from_slice(&(step * (u64::MAX / GRID)).to_be_bytes());
        ObjectId::from_bytes(&raw).expect("20 bytes are an id")
    })
}

fn set(replicas: &[NodeId]) -> BTreeSet<NodeId> {
    replicas.iter().cloned().collect()
}

/// A layout and one more member for it.
fn layouts_and_joiners() -> impl Strategy<Value = (Layout, Member)> {
    (layouts(4), members(6, 4)).prop_filter("the joiner is new", |(layout, joiner)| {
        layout.member(&joiner.node_id).is_none()
    })
}

fn joined(layout: &Layout, joiner: &Member) -> Layout {
    let mut larger = layout.clone();
    larger.members.push(joiner.clone());
    larger
}

proptest! {
    #[test]
    fn every_object_has_n_distinct_members(layout in layouts(8), ids in vec(ids(), 64)) {
        let ring = ring(&layout);
        for id in ids {
            let replicas = ring.replicas(&id);
            prop_assert_eq!(replicas.len(), layout.replicas);
            prop_assert_eq!(set(&replicas).len(), layout.replicas);
            prop_assert!(replicas.iter().all(|node| layout.member(node).is_some()));
        }
    }

    #[test]
    fn replicas_are_in_as_many_zones_as_can_be(layout in layouts(8), ids in vec(ids(), 64)) {
        let ring = ring(&layout);
        let zones: BTreeSet<&str> = layout.members.iter().map(|m| m.zone.as_str()).collect();
        for id in ids {
            let replicas = ring.replicas(&id);
            let used: BTreeSet<&str> = replicas
                .iter()
                .map(|node| layout.member(node).unwrap().zone.as_str())
                .collect();
            prop_assert_eq!(used.len(), zones.len().min(layout.replicas));
        }
    }

    #[test]
    fn the_order_of_members_in_the_file_does_not_matter(
        (layout, shuffled) in layouts(8).prop_flat_map(|layout| {
            let shuffled = Just(layout.members.clone()).prop_shuffle();
            (Just(layout), shuffled)
        }),
        ids in vec(ids(), 64),
    ) {
        let shuffled = ring(&Layout { members: shuffled, ..layout.clone() });
        let ring = ring(&layout);
        for id in ids {
            prop_assert_eq!(ring.replicas(&id), shuffled.replicas(&id));
        }
    }

    #[test]
    fn addresses_and_quorums_do_not_decide_placement(layout in layouts(8), ids in vec(ids(), 64)) {
        let mut other = layout.clone();
        other.version += 1;
        (other.write_quorum, other.read_quorum) = (other.replicas, 1);
        for member in &mut other.members {
            member.address = format!("{}.elsewhere:7401", member.node_id);
        }
        let (ring, other) = (ring(&layout), ring(&other));
        for id in ids {
            prop_assert_eq!(ring.replicas(&id), other.replicas(&id));
        }
    }

    /// A joiner takes objects; nothing moves between the members that were there. Read
    /// backwards, the same holds when a member leaves.
    #[test]
    fn only_what_a_joiner_gains_moves(
        (layout, joiner) in layouts_and_joiners(), ids in vec(ids(), 256),
    ) {
        let (before, after) = (ring(&layout), ring(&joined(&layout, &joiner)));
        for id in ids {
            let (before, after) = (before.replicas(&id), after.replicas(&id));
            if after.contains(&joiner.node_id) {
                let mut allowed = set(&before);
                allowed.insert(joiner.node_id.clone());
                prop_assert!(set(&after).is_subset(&allowed), "{:?} to {:?}", before, after);
            } else {
                prop_assert_eq!(before, after);
            }
        }
    }

    /// A heavier member gains; nothing moves between the others.
    #[test]
    fn only_what_a_heavier_member_gains_moves(
        layout in layouts(4), chosen in any::<prop::sample::Index>(), ids in vec(ids(), 256),
    ) {
        let mut heavier = layout.clone();
        let chosen = chosen.index(layout.members.len());
        heavier.members[chosen].weight += 1;
        let grown = &heavier.members[chosen].node_id;
        let (before, after) = (ring(&layout), ring(&heavier));
        for id in ids {
            let (before, after) = (before.replicas(&id), after.replicas(&id));
            let mut allowed = set(&before);
            allowed.insert(grown.clone());
            prop_assert!(set(&after).is_subset(&allowed), "{:?} to {:?}", before, after);
        }
    }
}

proptest! {
    // Each case walks the whole grid.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The share of a member with p points deviates by about 1/sqrt(p) of itself (one
    /// standard deviation); five of them are the stated bound. Holds for equal weights
    /// (balance) as for unequal ones.
    #[test]
    fn primaries_are_shared_out_by_weight(layout in layouts(8)) {
        let ring = ring(&layout);
        let mut primaries: BTreeMap<NodeId, u64> = BTreeMap::new();
        for id in evenly_spread_ids() {
            *primaries.entry(ring.replicas(&id)[0].clone()).or_default() += 1;
        }
        let weight_sum: u32 = layout.members.iter().map(|member| member.weight).sum();
        for member in &layout.members {
            let fair = GRID as f64 * f64::from(member.weight) / f64::from(weight_sum);
            let points = f64::from(member.weight * VIRTUAL_NODES_PER_WEIGHT);
            let tolerance = 5.0 / points.sqrt();
            let ratio = primaries.get(&member.node_id).copied().unwrap_or(0) as f64 / fair;
            prop_assert!(
                (1.0 - tolerance..=1.0 + tolerance).contains(&ratio),
                "{} has {:.2} of its share, tolerance {:.2}", member.node_id, ratio, tolerance,
            );
        }
    }

    /// With equal weights and one zone, replicas of all ranks together are balanced too.
    #[test]
    fn replicas_are_shared_out_evenly(layout in layouts(1)) {
        let mut layout = layout;
        for member in &mut layout.members {
            member.zone = "only".to_owned();
        }
        let ring = ring(&layout);
        let mut held: BTreeMap<NodeId, u64> = BTreeMap::new();
        for id in evenly_spread_ids() {
            for node in ring.replicas(&id).iter() {
                *held.entry(node.clone()).or_default() += 1;
            }
        }
        let fair = (GRID * layout.replicas as u64) as f64 / layout.members.len() as f64;
        let tolerance = 5.0 / f64::from(VIRTUAL_NODES_PER_WEIGHT).sqrt();
        for (node, held) in held {
            let ratio = held as f64 / fair;
            prop_assert!((1.0 - tolerance..=1.0 + tolerance).contains(&ratio), "{node}: {ratio:.2}");
        }
    }
}
