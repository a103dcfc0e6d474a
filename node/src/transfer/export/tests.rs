//! What is written, read by git.

mod directory;
mod repositories;

use std::fs;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};

use super::super::manifest::{Head, Reference, Target};
use super::pack::{Entry, PackWriter};
use super::*;
use crate::transfer::fixture::git;

fn blob(algorithm: HashAlgorithm, data: Vec<u8>) -> Object {
    Object::hash(algorithm, Kind::Blob, data.into()).unwrap()
}

/// A repository of some blobs and nothing else; their ids.
fn repository(dir: &Path, algorithm: HashAlgorithm) -> Vec<Object> {
    let lens = [0, 1, 15, 16, 17, 2047, 2048, 300_000];
    let objects: Vec<_> = lens.iter().map(|len| blob(algorithm, vec![b'x'; *len])).collect();
    let claim = claim::claim(dir, &objects[0].id().to_string()).unwrap();
    layout::begin(&claim).unwrap();
    let mut writer = PackWriter::new(dir, algorithm).unwrap();
    for object in &objects[1..] {
        writer.add(&Entry::new(object)).unwrap();
    }
    let parts = objects[0].data().clone();
    assert!(writer.add_large(objects[0].head(), std::iter::once(parts)).unwrap());
    assert_eq!(writer.finish().unwrap(), 1);
    let manifest = Manifest {
        algorithm,
        objects: objects.len() as u64,
        missing: 0,
        lists: vec![],
        head: Head::Ref("refs/heads/main".into()),
        shallow: vec![],
        refs: vec![
            Reference { name: "refs/tags/blob".into(), target: Target::Id(objects[3].id()) },
            Reference {
                name: "refs/tags/pointer".into(),
                target: Target::Symbolic("refs/tags/blob".into()),
            },
        ],
    };
    layout::finish(&claim, &(&manifest).into()).unwrap();
    objects
}

#[test]
fn git_agrees_with_pack_index_and_references() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let dir = tempfile::tempdir().unwrap();
        let objects = repository(dir.path(), algorithm);
        git(dir.path(), &["fsck", "--full", "--strict"]);
        let packs = dir.path().join("objects/pack");
        let mut files = fs::read_dir(packs).unwrap().map(|entry| entry.unwrap().path());
        let pack = files.find(|path| path.extension().unwrap() == "pack").unwrap();
        git(dir.path(), &["verify-pack", pack.to_str().unwrap()]);
        // Git's own index of the pack has the same bytes as ours.
        let theirs = dir.path().join("theirs.idx");
        let arguments = ["index-pack", "--strict", "-o", theirs.to_str().unwrap()];
        git(dir.path(), &[&arguments[..], &[pack.to_str().unwrap()]].concat());
        assert_eq!(fs::read(theirs).unwrap(), fs::read(pack.with_extension("idx")).unwrap());
        for object in &objects {
            let size = git(dir.path(), &["cat-file", "-s", &object.id().to_string()]);
            assert_eq!(size, object.size_bytes().to_string());
        }
        let refs = git(dir.path(), &["for-each-ref", "--format=%(objectname) %(refname)"]);
        let id = objects[3].id();
        assert_eq!(refs, format!("{id} refs/tags/blob\n{id} refs/tags/pointer"));
    }
}

#[test]
fn a_large_object_that_breaks_off_leaves_the_pack_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let object = blob(HashAlgorithm::Sha1, vec![7; 1000]);
    layout::begin(&claim::claim(dir.path(), "repository 1 a").unwrap()).unwrap();
    let mut writer = PackWriter::new(dir.path(), HashAlgorithm::Sha1).unwrap();
    let parts = [Bytes::from(vec![7; 999])];
    let whole = blob(HashAlgorithm::Sha1, vec![8; 2000]);
    writer.add(&Entry::new(&whole)).unwrap();
    assert!(!writer.add_large(object.head(), parts.into_iter()).unwrap());
    let other = blob(HashAlgorithm::Sha1, vec![9; 10]);
    writer.add(&Entry::new(&other)).unwrap();
    assert_eq!(writer.finish().unwrap(), 1);
    let packs = dir.path().join("objects/pack");
    let mut files = fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path());
    let index = files.find(|path| path.extension().unwrap() == "idx").unwrap();
    let listed = git(dir.path(), &["verify-pack", "-v", index.to_str().unwrap()]);
    assert!(listed.contains(&whole.id().to_string()) && listed.contains(&other.id().to_string()));
    assert!(!listed.contains(&object.id().to_string()));
}
