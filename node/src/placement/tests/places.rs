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
