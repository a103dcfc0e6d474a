//! What an export does to a directory that is not new.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gitstratum_core::object::HashAlgorithm;

use super::super::claim::claim;
use super::super::{verify, *};
use super::repository;
use crate::transfer::fixture::{Node, git, objects, references, said, small};

/// Every file and directory, and what is in it.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path.clone());
                found.insert(path, None);
            } else {
                let text = fs::read(&path).unwrap();
                found.insert(path, Some(text));
            }
        }
    }
    found
}

/// Makes the directory what [`contents`] saw.
fn restore(dir: &Path, found: &BTreeMap<PathBuf, Option<Vec<u8>>>) {
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir_all(dir).unwrap();
    // A directory comes before what is in it.
    for (path, text) in found {
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::create_dir(path).unwrap(),
        }
    }
}

/// Files of `objects/pack` that have this extension.
fn packs(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("objects/pack")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// A node that has an imported repository, that repository, and its manifest.
async fn imported() -> (Node, tempfile::TempDir, ObjectId) {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    // Long enough for git to make deltas of it.
    for revision in 0..3 {
        let text = "a line of some length, to be found again\n".repeat(200);
        fs::write(dir.path().join("text"), format!("{text}revision {revision}\n")).unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-q", "-m", "text"]);
    }
    git(dir.path(), &["tag", "-a", "-m", "annotated", "v1"]);
    git(dir.path(), &["symbolic-ref", "refs/heads/pointer", "refs/heads/main"]);
    let manifest = node.store_manifest(dir.path()).await;
    (node, dir, manifest)
}

#[test]
fn a_directory_that_is_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = ["repository 1 a", "repository 2 b"];
    let refused = |path: &Path, id: &str, words: &str| {
        let before = contents(dir.path());
        for error in
            [claim::check_free(path, id).unwrap_err(), claim(path, id).map(|_| ()).unwrap_err()]
        {
            assert!(matches!(error, ExportError::Occupied { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(contents(dir.path()), before);
    };
    claim::check_free(&dir.path().join("new/and/deeper"), one).unwrap();
    claim::check_free(dir.path(), one).unwrap();
    assert!(contents(dir.path()).is_empty(), "a look makes nothing");

    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    refused(dir.path(), one, "not empty");
    refused(&file, one, "is a file");
    refused(&file.join("inside"), one, "is a file");
    git(dir.path(), &["init", "-q", "--bare", "repository"]);
    refused(&dir.path().join("repository"), one, "not empty");

    let ours = dir.path().join("ours");
    drop(claim(&ours, one).unwrap());
    drop(claim(&ours, one).unwrap());
    refused(&ours, other, "something else");
    // Stopped while it said whose it is.
    fs::write(ours.join("gitstratum-export"), &one[..7]).unwrap();
    drop(claim(&ours, one).unwrap());
    refused(&ours, other, "something else");
}

#[test]
fn a_directory_has_one_export_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let id = "repository 1 a";
    let first = claim(dir.path(), id).unwrap();
    let error = claim(dir.path(), id).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("another export is writing to it"), "{error}");
    drop(first);
    drop(claim(dir.path(), id).unwrap());
}

#[tokio::test]
async fn of_two_exports_at_once_one_is_refused_and_the_repository_is_sound() {
    let (node, source, manifest) = imported().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("back.git");
    for _ in 0..4 {
        let (one, other) = tokio::join!(node.export(manifest, &path), node.export(manifest, &path));
        for refused in [one, other].into_iter().filter_map(Result::err) {
            assert!(said(&refused).contains("another export"), "{}", said(&refused));
        }
        git(&path, &["fsck", "--full"]);
        assert_eq!(objects(&path), objects(source.path()));
        assert_eq!(references(&path), references(source.path()));
        fs::remove_dir_all(&path).unwrap();
    }
}

#[tokio::test]
async fn a_finished_export_is_verified_and_left_as_it_is() {
    let (node, source, manifest) = imported().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("back.git");
    let first = node.export(manifest, &path).await.unwrap();
    assert_eq!((first.already_present, first.packs), (0, 1));
    let finished = contents(&path);
    let again = node.export(manifest, &path).await.unwrap();
    assert_eq!((again.already_present, again.packs), (first.objects, 0));
    assert_eq!(contents(&path), finished);

    // What is done to a repository by those who use it.
    fs::write(source.path().join("file"), "four").unwrap();
    git(source.path(), &["commit", "-qam", "four"]);
    let pack = packs(&path, "pack").pop().unwrap();
    let cases: [(&str, &dyn Fn()); 9] = [
        ("main", &|| drop(git(source.path(), &["push", "-q", path.to_str().unwrap(), "main"]))),
        ("refs/heads/new", &|| drop(git(&path, &["branch", "new"]))),
        ("packed-refs", &|| drop(git(&path, &["tag", "-d", "v1"]))),
        ("refs/heads/pointer", &|| {
            drop(git(&path, &["symbolic-ref", "refs/heads/pointer", "refs/heads/x"]))
        }),
        ("HEAD", &|| drop(git(&path, &["symbolic-ref", "HEAD", "refs/heads/x"]))),
        ("config", &|| drop(git(&path, &["config", "core.filemode", "false"]))),
        ("lack", &|| drop(git(&path, &["repack", "-adfq"]))),
        ("lack", &|| fs::remove_file(&pack).unwrap()),
        ("lack", &|| {
            let mut bytes = fs::read(&pack).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::remove_file(&pack).unwrap();
            fs::write(&pack, bytes).unwrap();
        }),
    ];
    for (words, change) in cases {
        change();
        let changed = contents(&path);
        assert_ne!(changed, finished, "{words}");
        let error = said(&node.export(manifest, &path).await.unwrap_err());
        assert!(error.contains("finished") && error.contains(words), "{words}: {error}");
        assert_eq!(contents(&path), changed, "{words}: the export changed something");
        restore(&path, &finished);
    }
}

#[tokio::test]
async fn an_export_that_was_stopped_trusts_no_pack_that_it_did_not_verify() {
    let (node, source, manifest) = imported().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("back.git");
    let objects_all = node.export(manifest, &path).await.unwrap().objects;
    let finished = contents(&path);
    let pack = packs(&path, "pack").pop().unwrap();
    let index = pack.with_extension("idx");
    let (pack_bytes, index_bytes) = (fs::read(&pack).unwrap(), fs::read(&index).unwrap());
    let write = |path: &Path, bytes: &[u8]| {
        let _ = fs::remove_file(path);
        fs::write(path, bytes).unwrap();
    };
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        bytes
    };
    let other = tempfile::tempdir().unwrap();
    repository(other.path(), HashAlgorithm::Sha1);
    let other = fs::read(packs(other.path(), "idx").pop().unwrap()).unwrap();
    let cases: [(&str, &dyn Fn(), bool); 12] = [
        ("nothing", &|| {}, true),
        (
            "a byte of an object",
            &|| write(&pack, &flipped(&pack_bytes, pack_bytes.len() / 2)),
            false,
        ),
        ("the count", &|| write(&pack, &flipped(&pack_bytes, 11)), false),
        ("the first header", &|| write(&pack, &flipped(&pack_bytes, 12)), false),
        ("the sum", &|| write(&pack, &flipped(&pack_bytes, pack_bytes.len() - 1)), false),
        ("the end", &|| write(&pack, &pack_bytes[..pack_bytes.len() - 30]), false),
        ("more behind", &|| write(&pack, &[&pack_bytes[..], b"x"].concat()), false),
        ("all", &|| write(&pack, b""), false),
        ("an id in the index", &|| write(&index, &flipped(&index_bytes, 8 + 1024)), false),
        ("the index of another pack", &|| write(&index, &other), false),
        ("the index", &|| fs::remove_file(&index).unwrap(), false),
        ("the pack", &|| fs::remove_file(&pack).unwrap(), false),
    ];
    for (name, damage, sound) in cases {
        restore(&path, &finished);
        damage();
        fs::remove_file(path.join("HEAD")).unwrap();
        write(&path.join("objects/pack/tmp_pack_gitstratum"), b"begun");
        write(&path.join("objects/pack/tmp_idx_gitstratum"), b"begun");
        let report = node.export(manifest, &path).await.unwrap();
        let present = if sound { objects_all } else { 0 };
        assert_eq!(report.already_present, present, "{name}");
        git(&path, &["fsck", "--full"]);
        assert_eq!(objects(&path), objects(source.path()), "{name}");
        assert_eq!(packs(&path, "pack").len(), 1, "{name}");
        let garbage = git(&path, &["count-objects", "-v"]);
        assert!(garbage.contains("garbage: 0"), "{name}: {garbage}");
    }
}

#[test]
fn packs_of_both_hashes_and_with_large_objects_are_found_sound() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let dir = tempfile::tempdir().unwrap();
        let objects = repository(dir.path(), algorithm);
        let claim = claim(dir.path(), &objects[0].id().to_string()).unwrap();
        assert!(claim.is_finished());
        let finished = verify::finished(&claim, algorithm).unwrap();
        assert!(finished.unsound.is_empty(), "{:?}", finished.unsound);
        assert_eq!(finished.indices.len(), 1);
        for object in objects {
            let id = gix::ObjectId::from_bytes_or_panic(object.id().as_bytes());
            assert!(finished.indices[0].lookup(id).is_some());
        }
    }
}

#[tokio::test]
async fn an_export_that_fails_leaves_nothing_that_git_takes_for_a_repository() {
    let (node, _source, manifest) = imported().await;
    for in_the_way in ["config", "packed-refs", "refs/heads/pointer", "objects/pack/x.pack"] {
        let dir = tempfile::tempdir().unwrap();
        drop(claim(dir.path(), &manifest.to_string()).unwrap());
        fs::create_dir_all(dir.path().join(in_the_way)).unwrap();
        let error = said(&node.export(manifest, dir.path()).await.unwrap_err());
        assert!(error.contains(in_the_way), "{error}");
        assert!(!dir.path().join("HEAD").exists());
        // What was in the way is gone: it goes on.
        fs::remove_dir_all(dir.path().join(in_the_way)).unwrap();
        node.export(manifest, dir.path()).await.unwrap();
        git(dir.path(), &["fsck", "--full"]);
    }
}
