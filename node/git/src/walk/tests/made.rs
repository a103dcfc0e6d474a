//! Walks over objects that are made here: depth, damage, cancellation.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use gitstratum_core::object::{Kind, ObjectId};

use super::fixture::{Known, request};
use crate::service::{Filter, PackRequest, RepositoryError, Shallow};
use crate::walk::pace::Pace;
use crate::walk::select::{Marking, select_by};
use crate::walk::selection::Seen;
use crate::walk::trees::{Entry, TreeWalk};
use crate::walk::{Objects, select};

const TREE: &str = "40000";
const FILE: &str = "100644";

/// A commit whose tree has 10,000 others in each other.
fn deep(objects: &mut Known, bottom: &str, parents: &[ObjectId]) -> ObjectId {
    let blob = objects.make(Kind::Blob, bottom.as_bytes());
    let mut tree = objects.tree(&[(FILE, "file", blob)]);
    for _ in 0..10_000 {
        tree = objects.tree(&[(TREE, "d", tree)]);
    }
    let commit = objects.commit(tree, parents, 1);
    objects.number();
    commit
}

#[tokio::test]
async fn trees_ten_thousand_deep_are_walked_without_a_deep_stack() {
    let mut objects = Known::new();
    let first = deep(&mut objects, "one", &[]);
    let second = deep(&mut objects, "two", &[first]);
    for (common, edges) in [(&[][..], 0), (&[first], 10_002)] {
        for marking in [Marking::All, Marking::AlongPaths] {
            let request = request(&[second], common);
            let selection =
                select_by(&objects, &request, &[], &|_| {}, Some(marking)).await.unwrap();
            let all = 10_003 * (2 - common.len());
            assert_eq!((selection.len(), selection.edges().count()), (all, edges), "{marking:?}");
        }
    }
}

#[tokio::test]
async fn a_small_change_opens_no_more_trees_than_it_changes() {
    let mut objects = Known::new();
    let blob = objects.make(Kind::Blob, b"data");
    let names: Vec<String> = (1000..2000).map(|name| name.to_string()).collect();
    let mut root = Vec::new();
    for name in &names {
        root.push((TREE, &name[..], objects.tree(&[(FILE, name, blob)])));
    }
    let tree = objects.tree(&root);
    let had = objects.commit(tree, &[], 1);
    root[500].2 = objects.tree(&[(FILE, "new", blob)]);
    let tree = objects.tree(&root);
    let want = objects.commit(tree, &[had], 2);
    objects.number();
    objects.answer_max = 1;
    let selection = select(&objects, &request(&[want], &[had]), &[], &|_| {}).await.unwrap();
    assert_eq!(selection.len(), 3);
    assert!(selection.client_has(&root[400].2) && selection.client_has(&blob));
    let calls = objects.calls.load(Ordering::Relaxed);
    assert!(calls < 20, "{calls} calls");
}

/// A commit with trees that have each other twice: 40 of them, and 2^40 paths.
fn doubled(objects: &mut Known, bottom: &str, parents: &[ObjectId]) -> ObjectId {
    let blob = objects.make(Kind::Blob, bottom.as_bytes());
    let mut tree = objects.tree(&[(FILE, "file", blob)]);
    for _ in 0..40 {
        tree = objects.tree(&[(TREE, "a", tree), (TREE, "b", tree)]);
    }
    let commit = objects.commit(tree, parents, 1);
    objects.number();
    commit
}

#[tokio::test]
async fn trees_with_more_paths_than_could_be_followed_are_opened_once() {
    let mut objects = Known::new();
    let first = doubled(&mut objects, "one", &[]);
    let second = doubled(&mut objects, "two", &[first]);
    for filter in [None, Some(Filter::BlobNone), Some(Filter::TreeDepth(30))] {
        let sent = match &filter {
            None => 43,
            Some(Filter::TreeDepth(depth)) => 1 + *depth as usize,
            _ => 42,
        };
        let request = PackRequest { filter, ..request(&[second], &[first]) };
        let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
        assert_eq!(selection.len(), sent, "{:?}", request.filter);
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_is_bounded() {
    let mut objects = Known::new();
    let blobs: Vec<ObjectId> = (0..10).map(|number| objects.make(Kind::Blob, &[number])).collect();
    let names: Vec<String> = (0..10).map(|name| name.to_string()).collect();
    let entries = names.iter().zip(&blobs).map(|(name, blob)| (FILE, &name[..], *blob));
    let entries: Vec<_> = entries.collect();
    let tree = objects.tree(&entries);
    for (stack_max, fits) in [(10, true), (9, false)] {
        let mut walk = TreeWalk::new(&objects, Seen::new(objects.algorithm()), None);
        walk.stack_max = stack_max;
        let root = Entry::root(walk.seen.name(&tree, Kind::Tree).unwrap(), 0);
        let walked = walk.walk(vec![root], &|_| tree, &mut Pace::quiet()).await;
        assert_eq!(walked.is_ok(), fits, "{stack_max}: {walked:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_needs_it() {
    let mut whole = Known::new();
    let blob = whole.make(Kind::Blob, b"data");
    let inner = whole.tree(&[(FILE, "file", blob)]);
    let tree = whole.tree(&[(TREE, "dir", inner)]);
    let parent = whole.commit(tree, &[], 1);
    let child = whole.commit(inner, &[parent], 2);
    let tag = whole.make(Kind::Tag, format!("object {child}\ntype commit\ntag v\n").as_bytes());
    whole.number();
    let cases = [
        (blob, format!("tree {inner} needs blob {blob}, which is not there")),
        (inner, format!("commit {child} needs tree {inner}, which is not there")),
        (tree, format!("commit {parent} needs tree {tree}, which is not there")),
        (parent, format!("commit {child} needs commit {parent}, which is not there")),
        (child, format!("tag {tag} needs object {child}, which is not there")),
        (tag, format!("not our ref {tag}")),
    ];
    for (missing, expected) in cases {
        let mut objects = Known::new();
        let left = whole.objects.iter().filter(|(id, _)| **id != missing);
        left.for_each(|(id, (kind, data))| objects.insert(*id, *kind, data.clone()));
        objects.number();
        let error = select(&objects, &request(&[tag], &[]), &[], &|_| {}).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn an_object_of_another_kind_than_its_tree_says_is_damage() {
    let mut objects = Known::new();
    let blob = objects.make(Kind::Blob, b"data");
    let inner = objects.tree(&[(FILE, "file", blob)]);
    for (entry, needs, is) in
        [((TREE, "d", blob), "tree", "blob"), ((FILE, "f", inner), "blob", "tree")]
    {
        let tree = objects.tree(&[entry]);
        let commit = objects.commit(tree, &[], 1);
        objects.number();
        let error = select(&objects, &request(&[commit], &[]), &[], &|_| {}).await.unwrap_err();
        let expected = format!("tree {tree} needs {needs} {}, which is a {is}", entry.2);
        assert_eq!(error.to_string(), expected);
        assert!(matches!(error, RepositoryError::Damaged(_)));
    }
}

#[tokio::test]
async fn what_a_client_has_and_the_repository_lacks_is_passed_by() {
    let mut objects = Known::new();
    let blob = objects.make(Kind::Blob, b"data");
    let tree = objects.tree(&[(FILE, "file", blob)]);
    let absent: ObjectId = "12".repeat(20).parse().unwrap();
    // Its history was collected, and so was a part of its tree.
    let broken = objects.tree(&[(FILE, "file", blob), (TREE, "gone", absent)]);
    let had = objects.commit(broken, &[absent], 1);
    let want = objects.commit(tree, &[had], 2);
    objects.number();
    let request = request(&[want], &[had, absent]);
    let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
    let sent: Vec<ObjectId> = selection.iter().map(|object| object.id).collect();
    assert_eq!(sent, [want, tree]);
    assert!(selection.client_has(&had) && selection.client_has(&blob));
}

#[tokio::test]
async fn a_partial_client_is_not_taken_to_have_what_its_filter_leaves_out() {
    let mut objects = Known::new();
    let blob = objects.make(Kind::Blob, b"data");
    let inner = objects.tree(&[(FILE, "file", blob)]);
    let had = objects.commit(inner, &[], 1);
    let tree = objects.tree(&[(TREE, "dir", inner)]);
    let want = objects.commit(tree, &[had], 2);
    objects.number();
    for (filter, bases) in [
        (None, [true, true]),
        (Some(Filter::BlobNone), [true, false]),
        (Some(Filter::TreeDepth(1)), [false, false]),
    ] {
        let request = PackRequest { filter, ..request(&[want], &[had]) };
        let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
        assert_eq!([inner, blob].map(|id| selection.client_has(&id)), bases, "{request:?}");
    }
}

#[tokio::test]
async fn a_tree_is_opened_again_where_it_stands_higher_up() {
    let mut objects = Known::new();
    let blob = objects.make(Kind::Blob, b"data");
    let inner = objects.tree(&[(FILE, "file", blob)]);
    let outer = objects.tree(&[(TREE, "inner", inner)]);
    let above = objects.tree(&[(TREE, "outer", outer)]);
    // The file is at 4 by the first way, and at 3 by the second.
    let root = objects.tree(&[(TREE, "above", above), (TREE, "outer", outer)]);
    let commit = objects.commit(root, &[], 1);
    objects.number();
    for (limit, expected) in [(3, false), (4, true)] {
        let filter = Some(Filter::TreeDepth(limit));
        let request = PackRequest { filter, ..request(&[commit], &[]) };
        let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
        assert_eq!(selection.contains(&blob), expected, "{limit}");
        assert_eq!(selection.len(), 5 + usize::from(expected), "{limit}");
    }
}

#[tokio::test]
async fn a_client_that_deepens_is_not_sent_again_what_its_old_boundary_has() {
    let mut objects = Known::new();
    let blob = objects.make(Kind::Blob, b"data");
    let tree = objects.tree(&[(FILE, "file", blob)]);
    let parent = objects.commit(tree, &[], 1);
    let child = objects.commit(tree, &[parent], 2);
    objects.number();
    let shallow = Shallow { shallow: vec![parent], unshallow: vec![child] };
    let request =
        PackRequest { client_shallow: vec![child], shallow, ..request(&[child], &[child]) };
    let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
    let sent: Vec<ObjectId> = selection.iter().map(|object| object.id).collect();
    assert_eq!(sent, [parent]);
    assert!(selection.client_has(&tree));
}

#[tokio::test]
async fn a_long_walk_tells_how_far_it_is_and_lets_others_run() {
    let mut objects = Known::new();
    let commit = deep(&mut objects, "one", &[]);
    let steps = AtomicU64::new(0);
    let progress = |count| steps.store(count, Ordering::Relaxed);
    let request = request(&[commit], &[]);
    let mut walk = Box::pin(select(&objects, &request, &[], &progress));
    assert!(walk.as_mut().now_or_never().is_none(), "it gives way though nothing made it wait");
    let early = steps.load(Ordering::Relaxed);
    assert!((1000..5000).contains(&early), "{early}");
    walk.await.unwrap();
    assert_eq!(steps.load(Ordering::Relaxed), 10_003);
}
