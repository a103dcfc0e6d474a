//! Git moves objects between loose files and packs, or prunes them, while they are imported.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gitstratum_core::object::ObjectId;

use super::super::opened::Opened;
use super::super::places::Places;
use super::super::plan::Plan;
use super::super::repository::Repository;
use super::super::send::Sender;
use crate::transfer::fixture::{Node, git, git_with, objects, small};

/// Ids that `Opened` sends when `meanwhile` happens between listing and reading.
async fn sent(node: &Node, dir: &Path, meanwhile: impl FnOnce()) -> Vec<String> {
    let mut opened = Opened::open(dir).unwrap();
    meanwhile();
    let mut sender = Sender::new(node.client.clone(), None);
    let ids = Arc::new(opened.transfer(&mut sender).await.unwrap());
    opened.proven_whole(&ids, Default::default()).await.unwrap();
    let ids: Vec<ObjectId> =
        ids.raw().chunks(20).map(|raw| ObjectId::from_bytes(raw).unwrap()).collect();
    for (id, holders) in ids.iter().zip(node.client.has(ids.clone()).await) {
        assert_eq!(holders.unwrap().len(), 1, "{id} is listed and was not sent");
    }
    ids.iter().map(ToString::to_string).collect()
}

fn ids(dir: &Path) -> Vec<String> {
    objects(dir).iter().map(|line| line[..40].to_owned()).collect()
}

/// Takes a pack away from its repository and stores its objects one by one.
fn explode(dir: &Path) {
    let packs = dir.join(".git/objects/pack");
    for entry in fs::read_dir(&packs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            let pack = fs::read(&path).unwrap();
            let away = tempfile::tempdir().unwrap();
            git(away.path(), &["init", "-q"]);
            let mut moved = Vec::new();
            git_with(away.path(), &["unpack-objects", "-q"], &pack);
            for id in ids(away.path()) {
                let from = crate::transfer::fixture::loose(away.path(), &id);
                let to = crate::transfer::fixture::loose(dir, &id);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, &to).unwrap();
                moved.push(id);
            }
            fs::remove_file(path.with_extension("idx")).unwrap();
            fs::remove_file(&path).unwrap();
        }
    }
}

#[tokio::test]
async fn objects_that_git_moves_between_listing_and_reading_are_all_sent() {
    let node = Node::start().await;
    for round in 0..4 {
        // Each has objects of its own, which no other round has stored.
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        small(dir);
        fs::write(dir.join("file"), format!("round {round}")).unwrap();
        git(dir, &["commit", "-qam", "packed"]);
        git(dir, &["repack", "-dq"]);
        fs::write(dir.join("file"), format!("four, in round {round}")).unwrap();
        git(dir, &["commit", "-qam", "four"]);
        // Nothing refers to it, so only where it is tells that it is there.
        let text = format!("unreachable in round {round}");
        git_with(dir, &["hash-object", "-w", "--stdin"], text.as_bytes());
        let before = ids(dir);
        let sent = sent(&node, dir, || match round {
            0 => drop(git(dir, &["repack", "-adfq", "--keep-unreachable"])),
            1 => drop(git(dir, &["repack", "-Adfq"])),
            2 => explode(dir),
            _ => {
                git(dir, &["repack", "-adfq", "--keep-unreachable"]);
                explode(dir);
            }
        });
        assert_eq!(sent.await, before, "round {round}");
    }
}

#[tokio::test]
async fn what_git_prunes_meanwhile_is_left_out() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let garbage = git_with(dir, &["hash-object", "-w", "--stdin"], b"unreachable");
    let before = ids(dir);
    let sent = sent(&node, dir, || drop(git(dir, &["gc", "-q", "--prune=now"]))).await;
    let left: Vec<String> = before.into_iter().filter(|id| *id != garbage).collect();
    assert_eq!(sent, left);
}

/// Listing and opening are many steps; git takes its own in between. What holds at any moment is
/// seen by many listings while git repacks again and again.
#[test]
fn no_listing_lacks_what_was_there_all_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    for number in 0..60 {
        let text = format!("object {number}");
        git_with(dir, &["hash-object", "-w", "--stdin"], text.as_bytes());
    }
    let all: BTreeSet<String> = ids(dir).into_iter().collect();
    let ended = AtomicBool::new(false);
    let listings = std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..12 {
                if round % 2 == 0 {
                    git(dir, &["repack", "-adfq", "--keep-unreachable"]);
                    git(dir, &["prune-packed"]);
                } else {
                    explode(dir);
                }
            }
            ended.store(true, Ordering::SeqCst);
        });
        let mut listings = 0;
        while !ended.load(Ordering::SeqCst) {
            let repository = Repository::find(dir).unwrap();
            let mut places = Places::find(&repository, &mut Vec::new()).unwrap();
            let loose = places.list().unwrap();
            let plan = Plan::all(repository.algorithm, &places, &loose).unwrap();
            let listed: BTreeSet<String> = plan.ids().raw().chunks(20).map(hex::encode).collect();
            let lacking: Vec<_> = all.difference(&listed).collect();
            assert!(lacking.is_empty(), "listing {listings} lacks {lacking:?}");
            listings += 1;
        }
        listings
    });
    assert!(listings > 12, "{listings} listings are too few to show anything");
}
