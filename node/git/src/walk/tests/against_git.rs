//! Selection against `git rev-list --objects` over random histories.

use std::collections::BTreeSet;

use gitstratum_core::object::{Kind, ObjectId};

use super::fixture::{Clocks, Disk, Known, Random, ids, request};
use crate::service::{Filter, PackRequest};
use crate::walk::select::{Marking, select_by};
use crate::walk::{Selection, select};

/// What is selected when the whole boundary is looked at.
async fn selected(objects: &Known, request: &PackRequest) -> Selection {
    select_by(objects, request, &[], &|_| {}, Some(Marking::All)).await.unwrap()
}

fn in_pack(selection: &Selection) -> BTreeSet<ObjectId> {
    let all: BTreeSet<ObjectId> = selection.iter().map(|object| object.id).collect();
    assert_eq!(all.len(), selection.len(), "no object is in a pack twice");
    all
}

/// Everything that objects of a pack link to is in it, or at the client.
fn assert_closed(objects: &Known, selection: &Selection, common: &[ObjectId]) {
    let client = objects.closure(common, &BTreeSet::new());
    let sent = in_pack(selection);
    for id in &sent {
        for link in objects.links(id) {
            assert!(sent.contains(&link) || client.contains(&link), "{id} lacks {link}");
        }
    }
    for edge in selection.edges() {
        assert!(client.contains(&edge) && selection.client_has(&edge), "{edge} may be no base");
        assert!(!selection.contains(&edge), "{edge} is sent");
    }
}

/// What clients want and have in one request of a test.
fn tips(random: &mut Random, disk: &Disk) -> (Vec<ObjectId>, Vec<ObjectId>) {
    let all: Vec<ObjectId> = [&disk.commits[..], &disk.tags].concat();
    let (wants, common) = (1 + random.below(3), random.below(4));
    (random.some(&all, wants), random.some(&all, common))
}

#[tokio::test]
async fn a_pack_has_what_rev_list_says_in_its_order() {
    for seed in 0..8 {
        let disk = Disk::random(seed, 60, Clocks::Right);
        let objects = disk.objects();
        let random = &mut Random::new(seed);
        for _ in 0..12 {
            let (wants, common) = tips(random, &disk);
            let listed = disk.rev_list(&["--objects"], &wants, &common);
            let selection = selected(&objects, &request(&wants, &common)).await;
            let expected = ids(&listed);
            let context = format!("seed {seed}: {wants:?} not {common:?}");
            let listed = expected.iter().copied().collect();
            objects.assert_same(&in_pack(&selection), &listed, &context);
            assert_closed(&objects, &selection, &common);
            let of_kind = |kinds: &[Kind]| -> Vec<ObjectId> {
                let ids = expected.iter().filter(|id| kinds.contains(&objects.objects[id].0));
                ids.copied().collect()
            };
            let order: Vec<ObjectId> = selection.iter().map(|object| object.id).collect();
            let commits = of_kind(&[Kind::Commit]);
            assert_eq!(order[..commits.len()], commits, "{context}");
            let others = of_kind(&[Kind::Tree, Kind::Blob]);
            assert_eq!(order[order.len() - others.len()..], others, "{context}");
        }
    }
}

#[tokio::test]
async fn a_pack_of_few_commits_has_what_pack_objects_packs() {
    let mut larger = 0;
    for seed in 0..8 {
        let disk = Disk::random(seed, 60, Clocks::Right);
        let objects = disk.objects();
        let random = &mut Random::new(seed);
        for _ in 0..8 {
            let (wants, common) = (random.some(&disk.commits, 2), random.some(&disk.commits, 2));
            let request = request(&wants, &common);
            let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
            assert_closed(&objects, &selection, &common);
            let sent = in_pack(&selection);
            let context = format!("seed {seed}: {wants:?} not {common:?}");
            objects.assert_same(&sent, &disk.pack_objects(&wants, &common), &context);
            let exact = in_pack(&selected(&objects, &request).await);
            assert!(sent.is_superset(&exact), "{context}");
            larger += usize::from(sent.len() > exact.len());
        }
    }
    assert!(larger > 0, "nothing was moved");
}

/// Git's name hash of a whole path.
fn name_hash(path: &str) -> u32 {
    let letters = path.bytes().filter(|byte| !byte.is_ascii_whitespace());
    letters.fold(0, |hash: u32, byte| (hash >> 2).wrapping_add(u32::from(byte) << 24))
}

#[tokio::test]
async fn objects_have_the_name_hash_of_their_first_path() {
    let disk = Disk::random(5, 80, Clocks::Right);
    let objects = disk.objects();
    let wants = &disk.commits[79..];
    let listed = disk.rev_list(&["--objects"], wants, &[]);
    let selection = selected(&objects, &request(wants, &[])).await;
    let paths = listed.lines().filter_map(|line| line.split_once(' ').map(|(_, path)| path));
    let expected: Vec<u32> = paths.map(name_hash).collect();
    assert!(expected.len() > 50);
    let others = selection.iter().filter(|object| object.kind != Kind::Commit);
    assert_eq!(others.map(|object| object.name_hash).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn filters_leave_out_what_gits_leave_out() {
    let filters = [
        ("blob:none", Filter::BlobNone),
        ("blob:limit=0", Filter::BlobLimit(0)),
        ("blob:limit=700", Filter::BlobLimit(700)),
        ("tree:0", Filter::TreeDepth(0)),
        ("tree:1", Filter::TreeDepth(1)),
        ("tree:2", Filter::TreeDepth(2)),
        ("tree:3", Filter::TreeDepth(3)),
    ];
    for seed in 0..6 {
        let disk = Disk::random(seed, 40, Clocks::Right);
        let objects = disk.objects();
        let random = &mut Random::new(seed);
        for (name, filter) in filters.iter().chain(&filters) {
            let (wants, common) = tips(random, &disk);
            let listed =
                disk.rev_list(&["--objects", &format!("--filter={name}")], &wants, &common);
            let request = PackRequest { filter: Some(filter.clone()), ..request(&wants, &common) };
            let found = in_pack(&selected(&objects, &request).await);
            let context = format!("seed {seed} {name} {wants:?} not {common:?}");
            objects.assert_same(&found, &ids(&listed).into_iter().collect(), &context);
        }
    }
}

#[tokio::test]
async fn what_is_wanted_by_its_own_id_is_sent_whatever_the_filter() {
    let disk = Disk::random(3, 40, Clocks::Right);
    let objects = disk.objects();
    let of_kind = |kind| {
        let found = objects.objects.iter().filter(move |(_, (found, _))| *found == kind);
        found.map(|(id, _)| *id).collect::<Vec<_>>()
    };
    let (trees, blobs) = (of_kind(Kind::Tree), of_kind(Kind::Blob));
    let random = &mut Random::new(3);
    for (name, filter) in [
        ("blob:none", Filter::BlobNone),
        ("blob:limit=5", Filter::BlobLimit(5)),
        ("tree:0", Filter::TreeDepth(0)),
        ("tree:1", Filter::TreeDepth(1)),
        ("tree:2", Filter::TreeDepth(2)),
    ] {
        for (from, count) in [(&blobs, 5), (&trees, 1)] {
            let wants = random.some(from, count);
            let request = PackRequest { filter: Some(filter.clone()), ..request(&wants, &[]) };
            let found = in_pack(&selected(&objects, &request).await);
            let listed = disk.rev_list(&["--objects", &format!("--filter={name}")], &wants, &[]);
            let listed = ids(&listed).into_iter().collect();
            objects.assert_same(&found, &listed, &format!("{name} {wants:?}"));
            assert!(wants.iter().all(|want| found.contains(want)), "{name}");
        }
        // Also where the client has a commit with it.
        let wants = random.some(&blobs, 5);
        let request = PackRequest {
            filter: Some(filter.clone()),
            ..request(&[&wants[..], &disk.commits[39..]].concat(), &disk.commits[30..39])
        };
        let found = in_pack(&selected(&objects, &request).await);
        assert!(wants.iter().all(|want| found.contains(want)), "{name}");
    }
}

/// The ancestors of commits, themselves included.
fn ancestors(objects: &Known, from: &[ObjectId]) -> BTreeSet<ObjectId> {
    let mut seen = BTreeSet::new();
    let mut stack = from.to_vec();
    while let Some(id) = stack.pop() {
        if seen.insert(id) {
            stack.extend(&objects.nodes[&id].parents);
        }
    }
    seen
}

#[tokio::test]
async fn with_wrong_clocks_generations_keep_packs_exact_and_without_them_packs_are_whole() {
    let mut larger = 0;
    for seed in 0..12 {
        let disk = Disk::random(seed, 60, Clocks::Wrong);
        let mut objects = disk.objects();
        let random = &mut Random::new(seed);
        for _ in 0..10 {
            let (wants, common) = (random.some(&disk.commits, 2), random.some(&disk.commits, 2));
            let had = ancestors(&objects, &common);
            let expected: BTreeSet<ObjectId> =
                ancestors(&objects, &wants).difference(&had).copied().collect();
            for generations in [true, false] {
                objects.generations = generations;
                let selection = selected(&objects, &request(&wants, &common)).await;
                assert_closed(&objects, &selection, &common);
                let commits = selection.iter().filter(|object| object.kind == Kind::Commit);
                let commits: BTreeSet<ObjectId> = commits.map(|object| object.id).collect();
                match generations {
                    true => assert_eq!(commits, expected, "seed {seed}"),
                    false => assert!(commits.is_superset(&expected), "seed {seed}"),
                }
                larger += usize::from(commits != expected);
            }
        }
    }
    assert!(larger > 0, "no clock was wrong enough to matter");
}

#[tokio::test]
async fn annotated_tags_come_along_with_what_they_peel_to() {
    let disk = Disk::random(8, 50, Clocks::Right);
    let objects = disk.objects();
    let tags = disk.peeled_tags();
    assert_eq!(tags.len(), 6);
    for want in &disk.commits {
        let request = PackRequest { include_tag: true, ..request(&[*want], &disk.commits[..2]) };
        let selection = select(&objects, &request, &tags, &|_| {}).await.unwrap();
        let sent = in_pack(&selection);
        for (tag, peeled) in &tags {
            assert_eq!(sent.contains(tag), sent.contains(peeled), "{want}: {tag} of {peeled}");
        }
        assert_closed(&objects, &selection, &disk.commits[..2]);
    }
}
