//! Who is written to and who is read from while layouts change.

use std::sync::Arc;

use super::super::*;
use super::{at, member, three};
use crate::object::ObjectId;

/// Five members, N = 3, W = R = 2.
fn five(version: u64, change: impl FnOnce(&mut Layout)) -> Layout {
    let members = ["n1", "n2", "n3", "n4", "n5"].map(|id| member(id, "z", 1));
    let mut layout = Layout { version, members: members.into(), ..three() };
    change(&mut layout);
    layout
}

fn put_in(state: MemberState, id: &'static str) -> impl Fn(&mut Layout) {
    move |layout| {
        let member = layout.members.iter_mut().find(|member| member.node_id.as_str() == id);
        member.expect("one of five").state = state;
    }
}

/// These layouts in force one after the other.
fn after(layouts: impl IntoIterator<Item = Layout>) -> Arc<Placement> {
    let mut layouts = layouts.into_iter();
    let current = CurrentLayout::new(layouts.next().unwrap().validated().unwrap());
    for layout in layouts {
        current.replace(&layout).unwrap();
    }
    current.placement()
}

/// What two nodes compare of some ids, and what of it the first, and the other, may be given.
fn shared(placement: &Placement, one: &str, other: &str) -> [Vec<ObjectId>; 3] {
    let sharing = placement.sharing(&NodeId::new(one), &NodeId::new(other));
    [&sharing.compared, &sharing.to_one, &sharing.to_other]
        .map(|arcs| some_ids().filter(|id| arcs.contains(id.prefix_u64())).collect())
}

fn some_ids() -> impl Iterator<Item = ObjectId> {
    (0..64).map(|step| at(step << 58))
}

fn versions(placement: &Placement) -> Vec<u64> {
    placement.layout().previous.iter().map(|previous| previous.version).collect()
}

#[test]
fn a_draining_member_is_read_from_and_not_written_to() {
    // Nothing but the layout itself says so: a node that never saw another knows it too.
    let draining = five(7, put_in(MemberState::Draining, "n3"));
    let (before, now) = (after([five(7, |_| ())]), after([draining]));
    let n3 = NodeId::new("n3");
    let mut held = 0;
    for id in some_ids() {
        assert!(!now.replicas(&id).contains(&n3));
        let holds = before.replicas(&id).contains(&n3);
        assert_eq!(now.read_set(&id).nodes().contains(&n3), holds);
        held += usize::from(holds);
    }
    assert!((10..60).contains(&held), "{held} of 64 were its");
}

#[test]
fn a_removed_member_is_neither_written_to_nor_read_from() {
    let now = after([five(1, |_| ()), five(2, put_in(MemberState::Removed, "n3"))]);
    let gone = after([five(1, |_| ()), five(2, |layout| drop(layout.members.remove(2)))]);
    for id in some_ids() {
        assert!(!now.replicas(&id).contains(&NodeId::new("n3")));
        assert!(!now.read_set(&id).nodes().contains(&NodeId::new("n3")));
        assert_eq!(now.read_set(&id), gone.read_set(&id), "named as removed, or not at all");
    }
}

#[test]
fn an_object_moves_only_if_it_was_the_draining_members() {
    let before = after([five(1, |_| ())]);
    let now = after([five(2, put_in(MemberState::Draining, "n3"))]);
    for id in some_ids() {
        let kept: Vec<_> =
            before.replicas(&id).iter().filter(|n| n.as_str() != "n3").cloned().collect();
        assert_eq!(now.replicas(&id)[..kept.len()], kept);
    }
}

#[test]
fn an_object_is_looked_for_first_where_it_is_written_then_where_it_was() {
    let join = five(2, |layout| layout.members.push(member("n6", "z", 100)));
    let (before, now) = (after([five(1, |_| ())]), after([five(1, |_| ()), join]));
    for id in some_ids() {
        let set = now.read_set(&id);
        assert_eq!(set.nodes()[..3], now.replicas(&id)[..]);
        assert!(before.replicas(&id).iter().all(|node| set.nodes().contains(node)));
    }
}

#[test]
fn absent_is_proven_by_a_quorum_of_every_layout_that_may_have_placed_the_object() {
    let join = five(2, |layout| layout.members.push(member("n6", "z", 100)));
    let (before, now) = (after([five(1, |_| ())]), after([five(1, |_| ()), join]));
    let moved = some_ids().find(|id| {
        let kept = before.replicas(id).iter().filter(|n| now.replicas(id).contains(n)).count();
        kept == 2
    });
    let id = moved.expect("a member of so great a weight takes one place of most objects");
    let (old, new) = (before.replicas(&id), now.replicas(&id));
    let kept: Vec<_> = old.iter().filter(|node| new.contains(node)).cloned().collect();
    let joiner = new.iter().find(|node| !old.contains(node)).unwrap().clone();
    let set = now.read_set(&id);
    assert!(set.proves_absent(&kept), "two of the old and of the new");
    // Two of the new, but two of the old may have stored it: the other kept one and the one
    // that lost its place.
    assert!(!set.proves_absent(&[kept[0].clone(), joiner.clone()]));
    let lost = old.iter().find(|node| !new.contains(node)).unwrap().clone();
    assert!(set.proves_absent(&[kept[0].clone(), joiner, lost]));
}

#[test]
fn where_too_many_were_removed_nothing_can_be_called_absent_until_it_is_settled() {
    let remove = |layout: &mut Layout| {
        put_in(MemberState::Removed, "n1")(layout);
        put_in(MemberState::Removed, "n2")(layout);
    };
    let now = after([five(1, |_| ()), five(2, remove)]);
    let before = after([five(1, |_| ())]);
    let two_gone = |id: &ObjectId| {
        before.replicas(id).iter().filter(|n| ["n1", "n2"].contains(&n.as_str())).count() == 2
    };
    let id = some_ids().find(two_gone).unwrap();
    let everyone: Vec<_> = now.layout().members.iter().map(|m| m.node_id.clone()).collect();
    assert!(!now.read_set(&id).proves_absent(now.read_set(&id).nodes()));
    let settled = five(3, |layout| {
        remove(layout);
        layout.settled = 2;
    });
    let settled = after([five(1, |_| ()), five(2, remove), settled]);
    assert!(settled.read_set(&id).proves_absent(&everyone));
}

#[test]
fn versions_are_remembered_until_they_are_settled() {
    let layouts = (1..=5).map(|version| five(version, |_| ()));
    assert_eq!(versions(&after(layouts.clone())), [1, 2, 3, 4]);
    let settled = five(6, |layout| layout.settled = 3);
    assert_eq!(versions(&after(layouts.chain([settled]))), [3, 4, 5]);
}

#[test]
fn what_was_missed_of_the_history_is_learnt_from_another() {
    let behind = CurrentLayout::new(five(1, |_| ()).validated().unwrap());
    let ahead = after((1..=3).map(|version| five(version, |_| ())));
    behind.replace(ahead.layout()).unwrap();
    assert_eq!(versions(&behind.placement()), [1, 2]);
    // Also by one that began with the version in force and knew nothing before it.
    let fresh = CurrentLayout::new(five(3, |_| ()).validated().unwrap());
    assert_eq!(fresh.replace(ahead.layout()), Ok(true));
    assert_eq!(versions(&fresh.placement()), [1, 2]);
    assert_eq!(fresh.replace(ahead.layout()), Ok(false));
}

#[test]
fn a_history_without_end_is_refused() {
    let current = CurrentLayout::new(five(1, |_| ()).validated().unwrap());
    let limit = crate::limits::LAYOUTS_UNSETTLED_MAX as u64;
    for version in 2..=limit + 1 {
        current.replace(&five(version, |_| ())).unwrap();
    }
    let refused = current.replace(&five(limit + 2, |_| ())).unwrap_err();
    assert!(refused.to_string().starts_with("cluster.settled: "), "{refused}");
    let settled = five(limit + 2, |layout| layout.settled = limit);
    assert_eq!(current.replace(&settled), Ok(true));
}

#[test]
fn a_member_that_drains_is_a_source_of_what_it_held_and_is_given_nothing() {
    let before = after([five(1, |_| ())]);
    let now = after([five(1, |_| ()), five(2, put_in(MemberState::Draining, "n3"))]);
    // The layout alone says so, too: a node that never saw the one before knows it.
    let alone = after([five(2, put_in(MemberState::Draining, "n3"))]);
    let n3 = NodeId::new("n3");
    for peer in ["n1", "n2", "n4", "n5"] {
        let owns = |id: &ObjectId| now.replicas(id).contains(&NodeId::new(peer));
        let expected: Vec<_> =
            some_ids().filter(|id| owns(id) && before.replicas(id).contains(&n3)).collect();
        assert!(!expected.is_empty());
        for placement in [&now, &alone] {
            let [compared, to_peer, to_n3] = shared(placement, peer, "n3");
            assert_eq!((compared, to_peer, to_n3), (expected.clone(), expected.clone(), vec![]));
        }
    }
    assert!(now.owned_by(&n3).is_empty());
    assert_eq!(now.held_by(&n3), before.owned_by(&n3));
}

#[test]
fn members_that_merely_lost_positions_are_sources_until_that_is_settled() {
    // Weights, zones, and N, one after the other.
    let changes: [fn(&mut Layout); 4] = [
        |layout| layout.members[4].weight = 5,
        |layout| layout.members[0].zone = "y".to_owned(),
        |layout| (layout.replicas, layout.write_quorum, layout.read_quorum) = (4, 3, 2),
        |layout| (layout.replicas, layout.write_quorum, layout.read_quorum) = (2, 2, 1),
    ];
    let layouts = (2..).zip(changes).map(|(version, change)| five(version, change));
    let layouts: Vec<_> = [five(1, |_| ())].into_iter().chain(layouts).collect();
    let each: Vec<_> = layouts.iter().map(|layout| after([layout.clone()])).collect();
    let now = after(layouts.clone());
    let settled = after(layouts.into_iter().chain([five(6, |layout| {
        changes[3](layout);
        layout.settled = 6;
    })]));
    let places = |layouts: &[Arc<Placement>], id: &ObjectId, node: &str| {
        layouts.iter().any(|layout| layout.replicas(id).contains(&NodeId::new(node)))
    };
    let mut sources = 0;
    for (one, other) in [("n1", "n2"), ("n2", "n5"), ("n5", "n1")] {
        let [_, to_one, to_other] = shared(&now, one, other);
        for id in some_ids() {
            let (by_one, by_other) = (places(&each[4..], &id, one), places(&each[4..], &id, other));
            assert_eq!(to_one.contains(&id), by_one && places(&each, &id, other));
            assert_eq!(to_other.contains(&id), by_other && places(&each, &id, one));
            sources += usize::from(by_one != by_other && to_one.contains(&id));
        }
        let [compared, ..] = shared(&settled, one, other);
        let both = |id: &ObjectId| places(&each[4..], id, one) && places(&each[4..], id, other);
        assert_eq!(compared, some_ids().filter(both).collect::<Vec<_>>());
    }
    assert!(sources > 0, "somebody is a source of what it does not own");
}

#[test]
fn a_member_that_was_removed_is_nobodys_source() {
    let now = after([five(1, |_| ()), five(2, put_in(MemberState::Removed, "n3"))]);
    for (one, other) in [("n1", "n3"), ("n3", "n1"), ("n1", "n9")] {
        assert_eq!(shared(&now, one, other), [vec![], vec![], vec![]]);
    }
}

#[test]
fn a_history_of_the_same_length_that_knows_another_version_is_learnt_from() {
    let went = |versions: [u64; 2]| {
        let current = CurrentLayout::new(five(versions[0], |_| ()).validated().unwrap());
        current.replace(&five(versions[1], |_| ())).unwrap();
        current
    };
    let (one, other) = (went([1, 3]), went([2, 3]));
    assert_eq!(other.placement().versions(), Versions { in_force: 3, unsettled: vec![2] });
    one.learn(&other.get());
    assert_eq!(one.placement().versions(), Versions { in_force: 3, unsettled: vec![1, 2] });
    assert!(!one.get().is_outdone_by(&other.get()) && other.get().is_outdone_by(&one.get()));
}

#[test]
fn sets_of_positions_are_joined_and_cut() {
    let arcs = |ranges: &[(u64, u64)]| {
        let mut arcs = Arcs::default();
        ranges.iter().for_each(|(first, last)| arcs.push(*first..=*last));
        arcs
    };
    const END: u64 = u64::MAX;
    let (one, other) = (arcs(&[(0, 9), (20, 29), (END - 5, END)]), arcs(&[(5, 19), (25, END - 3)]));
    assert_eq!(one.union(&other), Arcs::all());
    assert_eq!(one.intersection(&other), arcs(&[(5, 9), (25, 29), (END - 5, END - 3)]));
    assert_eq!(one.difference(&other), arcs(&[(0, 4), (20, 24), (END - 2, END)]));
    assert_eq!(other.difference(&one), arcs(&[(10, 19), (30, END - 6)]));
    assert_eq!(Arcs::all().difference(&Arcs::all()), Arcs::default());
    assert_eq!(Arcs::all().difference(&arcs(&[(0, 0)])), arcs(&[(1, END)]));
    assert_eq!(one.union(&Arcs::default()), one);
    assert_eq!(arcs(&[(3, 9)]).union(&arcs(&[(4, 5)])), arcs(&[(3, 9)]));
}
