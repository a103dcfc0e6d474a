//! What may come into force after what, and who hears of it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::*;
use super::three;

fn version(version: u64) -> Layout {
    Layout { version, ..three() }
}

fn in_force() -> CurrentLayout {
    CurrentLayout::new(version(5).validated().unwrap())
}

#[test]
fn a_newer_layout_comes_into_force_for_every_clone() {
    let ours = in_force();
    let theirs = ours.clone();
    assert_eq!(ours.replace(&version(7)), Ok(true));
    assert_eq!(theirs.version(), 7);
}

#[test]
fn a_version_that_goes_back_is_refused_and_changes_nothing() {
    let layout = in_force();
    let refused = layout.replace(&version(4)).unwrap_err();
    assert_eq!(refused, LayoutRefused::Older { given: 4, in_force: 5 });
    assert_eq!(layout.version(), 5);
}

#[test]
fn the_same_layout_is_taken_twice_in_whatever_order_it_is_written() {
    let mut shuffled = version(5);
    shuffled.members.rotate_left(1);
    assert_eq!(in_force().replace(&shuffled), Ok(false));
}

#[test]
fn one_version_never_has_two_contents() {
    #[track_caller]
    fn refused(change: impl FnOnce(&mut Layout), expected: &str) {
        let layout = in_force();
        let before = layout.get();
        let mut changed = version(5);
        change(&mut changed);
        let refused = layout.replace(&changed).unwrap_err();
        let expected = LayoutRefused::Different { version: 5, difference: expected.to_owned() };
        assert_eq!(refused, expected);
        assert_eq!(layout.get(), before);
    }
    refused(|l| l.write_quorum = 3, "cluster.write_quorum is 2, not 3");
    refused(|l| l.members[0].weight = 2, "node n3 is described otherwise");
    refused(|l| l.members.push(super::member("n4", "d", 1)), "node n4 is not in it");
    refused(
        |l| {
            l.members.pop();
            (l.replicas, l.write_quorum, l.read_quorum) = (2, 2, 1);
        },
        "cluster.replicas is 3, not 2",
    );
}

#[test]
fn a_layout_that_cannot_be_never_comes_into_force() {
    let layout = in_force();
    let refused = layout.replace(&Layout { write_quorum: 0, ..version(6) }).unwrap_err();
    assert!(matches!(refused, LayoutRefused::Wrong(_)), "{refused}");
    assert_eq!(layout.version(), 5);
}

#[test]
fn who_waits_is_woken_by_a_newer_version_and_by_nothing_else() {
    let layout = in_force();
    let mut waiting = pin!(layout.changed_since(5));
    let mut poll = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    layout.replace(&version(5)).unwrap();
    layout.replace(&version(4)).unwrap_err();
    assert!(poll().is_pending());
    layout.replace(&version(6)).unwrap();
    let Poll::Ready(newer) = poll() else { panic!("a newer layout is in force") };
    assert_eq!(newer.version, 6);
}

#[test]
fn who_comes_late_does_not_wait() {
    let layout = in_force();
    let waiting = pin!(layout.changed_since(4));
    let polled = waiting.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(newer) if newer.version == 5));
}

fn of(cluster: &str, layout: Layout) -> Layout {
    layout.of_cluster(&ClusterId::parse(cluster).unwrap()).unwrap()
}

#[test]
fn another_clusters_layout_never_comes_into_force_however_new_it_is() {
    let layout = CurrentLayout::new(of("ours", version(5)).validated().unwrap());
    let before = layout.get();
    for version in [version(4), version(5), version(6), version(700)] {
        let refused = layout.replace(&of("theirs", version)).unwrap_err();
        let words = "cluster.id: it belongs to cluster theirs, not to ours";
        assert_eq!(refused.to_string(), words);
    }
    layout.learn(&of("theirs", version(6)));
    assert_eq!(layout.get(), before);
}

#[test]
fn a_layout_that_names_no_cluster_is_of_the_one_in_force() {
    let layout = CurrentLayout::new(of("ours", version(5)).validated().unwrap());
    assert_eq!(layout.replace(&version(5)), Ok(false));
    assert_eq!(layout.replace(&version(6)), Ok(true));
    assert_eq!(layout.get().cluster, Some(ClusterId::parse("ours").unwrap()));
    assert_eq!(layout.get().previous[0].cluster, None, "it is that of the whole");
}

#[test]
fn a_history_of_another_cluster_is_refused() {
    let earlier = of("theirs", version(4)).validated().unwrap();
    let mixed = Layout { previous: vec![earlier.into()], ..of("ours", version(5)) };
    let refused = mixed.validated().unwrap_err().to_string();
    let words = "previous[0].cluster.id: it belongs to cluster theirs, not to ours";
    assert_eq!(refused, words);
}

#[test]
fn who_knows_no_cluster_yet_learns_it_once() {
    let layout = in_force();
    assert_eq!(layout.cluster(), None);
    layout.replace(&of("first", version(6))).unwrap();
    assert_eq!(layout.cluster().unwrap().as_str(), "first");
    layout.replace(&of("second", version(7))).unwrap_err();
}

#[test]
fn what_is_applied_is_one_step_and_what_others_hold_may_be_several() {
    let layout = in_force();
    for given in [7, 8, u64::MAX] {
        let refused = layout.check_step(&version(given)).unwrap_err();
        assert_eq!(refused, LayoutRefused::Gap { given, in_force: 5 });
        assert!(refused.to_string().ends_with("so the next change is version 6"), "{refused}");
    }
    // An older one is refused as what it is, whoever brings it.
    for given in [1, 5, 6] {
        layout.check_step(&version(given)).unwrap();
    }
    assert_eq!(layout.replace(&version(7)), Ok(true));
    layout.check_step(&version(8)).unwrap();
}

#[test]
fn what_is_applied_makes_up_no_history() {
    let layout = in_force();
    layout.replace(&version(6)).unwrap();
    let with = |earlier: &[u64]| {
        let previous = earlier.iter().map(|earlier| Arc::new(version(*earlier)));
        Layout { previous: previous.collect(), ..version(7) }
    };
    layout.check_step(&with(&[])).unwrap();
    layout.check_step(&with(&[5, 6])).unwrap();
    let refused = layout.check_step(&with(&[2, 5, 6])).unwrap_err();
    assert_eq!(refused, LayoutRefused::UnknownHistory { given: 7, version: 2 });
    // A peer that holds it says so, and then it is known.
    layout.replace(&Layout { version: 6, previous: with(&[2, 5]).previous, ..version(6) }).unwrap();
    layout.check_step(&with(&[2, 5, 6])).unwrap();
}

#[test]
fn no_layout_is_so_far_ahead_that_no_other_can_follow() {
    let layout = in_force();
    let far = i64::MAX as u64;
    let refused = layout.replace(&version(far)).unwrap_err();
    assert_eq!(refused, LayoutRefused::TooFarAhead { given: far, in_force: 5 });
    assert_eq!(layout.version(), 5);
}

#[test]
fn who_waits_for_a_version_is_told_when_it_is_there_or_was_asked_for_in_vain() {
    let mut context = Context::from_waker(Waker::noop());
    let layout = in_force();
    let under_way = layout.begin_round();
    let mut waiting = pin!(layout.is_shown(7));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert_eq!(layout.behind(), Some(7), "whoever asks is told what for");
    layout.forget(7);
    drop(under_way);
    assert!(waiting.as_mut().poll(&mut context).is_pending(), "that round began before");
    assert_eq!(layout.behind(), Some(7), "and may have forgotten it");
    drop(layout.begin_round());
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(false));

    let mut waiting = pin!(layout.is_shown(7));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    layout.replace(&version(6)).unwrap();
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    layout.replace(&version(8)).unwrap();
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(true));
}
