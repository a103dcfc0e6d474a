//! How long walks of a million objects take, and how much memory their selection.
//!
//! Ignored unless asked for: `cargo test -p gitstratum-git --release large -- --ignored --nocapture`.

use std::sync::atomic::Ordering;

use gitstratum_core::object::Kind;

use super::fixture::{Known, Random, request};
use crate::walk::select;

/// Commits of a straight history, each with a new blob in one of 30 directories of 30 files, and
/// the trees that this changes.
fn history(commits: usize) -> Known {
    let mut objects = Known::new();
    objects.answer_max = usize::MAX;
    let random = &mut Random::new(1);
    let first = objects.make(Kind::Blob, b"first");
    let names: Vec<String> = (10..40).map(|name| format!("n{name}")).collect();
    let directory: Vec<_> = names.iter().map(|name| ("100644", &name[..], first)).collect();
    let tree = objects.tree(&directory);
    let mut directories = vec![directory; 30];
    let mut root: Vec<_> = names.iter().map(|name| ("40000", &name[..], tree)).collect();
    let mut parent = None;
    for number in 0..commits {
        let (at, file) = (random.below(30), random.below(30));
        let blob = objects.make(Kind::Blob, number.to_string().as_bytes());
        directories[at][file].2 = blob;
        root[at].2 = objects.tree(&directories[at]);
        let tree = objects.tree(&root);
        parent = Some(objects.commit(tree, parent.as_slice(), number as u64));
    }
    objects.number();
    objects
}

#[tokio::test]
#[ignore = "takes a minute and a few gigabytes"]
async fn a_million_objects_are_walked_in_seconds() {
    let objects = history(250_000);
    let newest = objects.nodes.iter().max_by_key(|(_, node)| node.committed_at).unwrap();
    let at = |time| *objects.nodes.iter().find(|(_, node)| node.committed_at == time).unwrap().0;
    for (what, common) in [
        ("all", vec![]),
        ("100,000 commits", vec![at(149_999)]),
        ("1000 commits", vec![at(248_999)]),
        ("one commit", vec![at(249_998)]),
    ] {
        let calls = objects.calls.load(Ordering::Relaxed);
        let begun = tokio::time::Instant::now();
        let request = request(&[*newest.0], &common);
        let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
        let took = begun.elapsed();
        let calls = objects.calls.load(Ordering::Relaxed) - calls;
        println!("{what}: {} objects, {calls} calls, {took:?}", selection.len());
        assert!(took.as_secs() < 60);
    }
}
