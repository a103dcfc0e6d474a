//! Which comparisons make which range clean.

use std::sync::Arc;

use gitstratum_core::placement::{CurrentLayout, Layout, Member, MemberState};
use gitstratum_host::disk::scratch;

use super::*;
use crate::repair::{DirtyRanges, HintLog, HintOptions};

fn node(name: &str) -> NodeId {
    NodeId::new(name)
}

/// Five nodes, N = 3; n1 drains by the second of two layouts.
fn placement(drains: bool) -> Arc<Placement> {
    let member = |name: &str| Member::active(node(name), format!("{name}:1"), "z".to_owned(), 1);
    let members = ["n1", "n2", "n3", "n4", "n5"].map(member);
    let layout = Layout::first((3, 2, 2), members.into()).validated().unwrap();
    let current = CurrentLayout::new(layout.clone());
    if drains {
        let mut next = Layout { version: 2, ..layout };
        next.members[0].state = MemberState::Draining;
        current.replace(&next).unwrap();
    }
    current.placement()
}

fn peers() -> BTreeSet<NodeId> {
    ["n1", "n3", "n4", "n5"].map(node).into()
}

/// Marks these ranges in the log of n2, and lists them.
async fn marked(ranges: &[(&str, IdPrefix)]) -> Vec<DirtyRange> {
    let scratch = scratch();
    scratch.disk.create_dir_all("").await.unwrap();
    let log = HintLog::open(&scratch.disk, HintOptions::default(), &[]).await.unwrap();
    let dirty = DirtyRanges::of(&log);
    for (target, prefix) in ranges {
        dirty.mark(&node(target), *prefix).await.unwrap();
    }
    dirty.list()
}

/// Compares with a peer over all that its ranges wait for.
fn compare(ranges: &mut Ranges, peer: &str) -> usize {
    let peer = node(peer);
    let over: Vec<_> = ranges.of(&peer).cloned().collect();
    ranges.compared(&peer, &over);
    over.len()
}

#[tokio::test]
async fn a_range_of_a_peer_is_clean_when_that_peer_was_compared() {
    let listed = marked(&[("n3", IdPrefix::Byte(7))]).await;
    let mut ranges = Ranges::new(node("n2"));
    ranges.follow(listed.clone(), &placement(false), &peers());
    assert_eq!(compare(&mut ranges, "n4"), 0, "of no account");
    assert!(ranges.clean().is_empty());
    assert_eq!(compare(&mut ranges, "n3"), 1);
    assert_eq!(ranges.clean(), listed);
}

/// What n1 lacks is others' by now, and which of them is not asked id by id.
#[tokio::test]
async fn a_range_of_one_that_drains_is_clean_when_every_peer_was_compared() {
    for target in ["n1", "n9"] {
        let listed = marked(&[(target, IdPrefix::Byte(7))]).await;
        let mut ranges = Ranges::new(node("n2"));
        for peer in ["n1", "n3", "n4", "n5"] {
            ranges.follow(listed.clone(), &placement(true), &peers());
            assert!(ranges.clean().is_empty(), "{target}: {peer} is to be compared");
            assert_eq!(compare(&mut ranges, peer), 1);
        }
        assert_eq!(ranges.clean(), listed, "{target}");
    }
}

#[tokio::test]
async fn a_range_that_we_lost_some_of_ourselves_is_clean_for_nobody_before_it_is_for_us() {
    let ours = ("n2", IdPrefix::Byte(7));
    let listed = marked(&[ours, ("n3", IdPrefix::Byte(7)), ("n3", IdPrefix::Byte(8))]).await;
    let mut ranges = Ranges::new(node("n2"));
    let follow = |ranges: &mut Ranges, listed: &[DirtyRange]| {
        ranges.follow(listed.to_vec(), &placement(false), &peers());
    };
    follow(&mut ranges, &listed);
    for peer in ["n3", "n1", "n4", "n5"] {
        compare(&mut ranges, peer);
    }
    let clean = ranges.clean();
    let names: Vec<_> = clean.iter().map(|range| (range.target.as_str(), range.prefix)).collect();
    assert_eq!(names, [("n2", IdPrefix::Byte(7)), ("n3", IdPrefix::Byte(8))]);
    // Now that ours is here again it can be brought to n3.
    let left: Vec<_> = listed.into_iter().filter(|range| !clean.contains(range)).collect();
    follow(&mut ranges, &left);
    assert_eq!(compare(&mut ranges, "n3"), 1);
    assert_eq!(ranges.clean(), left);
}

#[tokio::test]
async fn a_range_that_is_marked_again_is_compared_again() {
    let first = marked(&[("n3", IdPrefix::Byte(7))]).await;
    let again = marked(&[("n3", IdPrefix::Byte(7)), ("n3", IdPrefix::Byte(7))]).await;
    let mut ranges = Ranges::new(node("n2"));
    ranges.follow(first, &placement(false), &peers());
    compare(&mut ranges, "n3");
    ranges.follow(again, &placement(false), &peers());
    assert!(ranges.clean().is_empty());
}
