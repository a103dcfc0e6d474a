//! Exports of repositories of the catalog, and what a check of them finds.

use std::fs;

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_git::pack::file_index;

use crate::transfer::fixture::{Node, git, noise, said, small};

#[tokio::test]
async fn an_export_that_was_stopped_begins_anew_and_a_finished_one_is_left_alone() {
    let (node, source, dir) =
        (Node::start().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(source.path());
    node.import(source.path(), "project").await.unwrap();
    let path = dir.path().join("back.git");
    let first = node.export_repository("project", &path).await.unwrap();
    assert_eq!((first.packs, first.refs), (1, 1));
    let error = said(&node.export_repository("project", &path).await.unwrap_err());
    assert!(error.contains("finished"), "{error}");

    fs::remove_file(path.join("HEAD")).unwrap();
    fs::write(path.join("objects/pack/tmp_pack_gitstratum"), b"begun").unwrap();
    fs::write(path.join("objects/pack/pack-of-before.pack"), b"begun").unwrap();
    assert_eq!(node.export_repository("project", &path).await.unwrap(), first);
    git(&path, &["fsck", "--full"]);
    let garbage = git(&path, &["count-objects", "-v"]);
    assert!(garbage.contains("garbage: 0"), "{garbage}");

    let mine = dir.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("file"), "mine").unwrap();
    let error = said(&node.export_repository("project", &mine).await.unwrap_err());
    assert!(error.contains("not empty"), "{error}");
    assert_eq!(fs::read_dir(&mine).unwrap().count(), 1);
}

#[tokio::test]
async fn gits_own_index_of_an_exported_pack_has_the_same_bytes() {
    let (node, source, dir) =
        (Node::start().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(source.path());
    node.import(source.path(), "project").await.unwrap();
    node.export_repository("project", dir.path()).await.unwrap();
    let packs = fs::read_dir(dir.path().join("objects/pack")).unwrap();
    let mut packs = packs.map(|entry| entry.unwrap().path());
    let pack = packs.find(|path| path.extension().unwrap() == "pack").unwrap();
    let theirs = dir.path().join("theirs.idx");
    git(dir.path(), &["index-pack", "-o", theirs.to_str().unwrap(), pack.to_str().unwrap()]);
    assert_eq!(fs::read(theirs).unwrap(), fs::read(pack.with_extension("idx")).unwrap());
    let empty = file_index::encode(HashAlgorithm::Sha1, &mut [], &[0; 20]);
    assert_eq!(empty.len(), 8 + 1024 + 40);
}

/// Chunks that a node has.
async fn chunks(node: &Node, name: &str) -> Vec<ObjectId> {
    let whole = node.gateway().served.whole(name).await.unwrap();
    whole.chunks().await.unwrap()
}

#[tokio::test]
async fn a_check_finds_a_chunk_that_is_gone_and_what_that_makes_of_the_repository() {
    let (node, source) = (Node::start().await, tempfile::tempdir().unwrap());
    small(source.path());
    // Too much for one record, so that body and meta are chunks of their own.
    fs::write(source.path().join("large"), noise(3 << 20, 5)).unwrap();
    git(source.path(), &["add", "."]);
    git(source.path(), &["commit", "-q", "-m", "large"]);
    node.import(source.path(), "project").await.unwrap();
    let (checked, problems) = node.problems("project").await;
    assert_eq!((problems, checked.problems), (vec![], 0));
    assert_eq!((checked.objects, checked.refs), (12, 1));
    let all = chunks(&node, "project").await;
    assert_eq!(checked.chunks, all.len() as u64);
    assert!(all.len() >= 5, "{all:?}");

    let last = *all.last().unwrap();
    node.store.delete(&[last]).await.unwrap();
    let (checked, problems) = node.problems("project").await;
    assert_eq!(checked.problems, problems.len() as u64);
    assert!(problems[0].contains(&format!("chunk {last} is not on n1")), "{problems:?}");
    assert!(problems[1].contains("lost"), "its objects cannot be read: {problems:?}");
    let error =
        said(&node.export_repository("project", &source.path().join("x")).await.unwrap_err());
    assert!(error.contains("lost"), "{error}");
}
