//! Repositories made by git, read by the readers, without a cluster.
#![allow(clippy::disallowed_methods, reason = "readers block, and no schedule is simulated here")]

mod moving;
mod odd;
mod whole;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use tokio::sync::mpsc;

use super::large::Large;
use super::plan::Cursor;
use super::read::Pass;
use super::*;
use crate::transfer::fixture::{git, git_with, noise};

/// A repository with packed deltas, loose objects, and large blobs of every sort.
fn sample(dir: &Path, format: &str) {
    git(dir, &["init", "-q", "-b", "main", "--object-format", format]);
    let mut text = "a line of some length, to be found again\n".repeat(200);
    for revision in 0..8 {
        text.push_str(&format!("revision {revision}\n"));
        fs::write(dir.join("text"), &text).unwrap();
        fs::write(dir.join("large"), noise((1 << 20) + 77, 1)).unwrap();
        // Grows by a little each time, so Git keeps all but one revision as deltas.
        fs::write(dir.join("growing"), noise((1 << 20) + 100 * revision, 5)).unwrap();
        git(dir, &["add", "."]);
        git(dir, &["commit", "-q", "-m", &format!("revision {revision}")]);
    }
    git(dir, &["tag", "-a", "-m", "annotated", "v1"]);
    git(dir, &["repack", "-adfq"]);
    fs::write(dir.join("loose-large"), noise((1 << 20) + 1, 2)).unwrap();
    fs::write(dir.join("loose"), "small").unwrap();
    git(dir, &["add", "."]);
    git(dir, &["commit", "-q", "-m", "loose"]);
}

/// What the readers give: kind and size by id, after hashing large ones again.
fn read(dir: &Path) -> Result<BTreeMap<String, (Kind, u64)>, ImportError> {
    let opened = Opened::open(dir)?;
    let pass = Arc::new(Pass {
        plan: opened.plan,
        earlier: Vec::new(),
        places: opened.places,
        shallow: opened.shallow,
        cursor: Cursor::default(),
        learnt: Mutex::default(),
    });
    let (items, mut read) = mpsc::channel(1);
    let reading = {
        let pass = pass.clone();
        std::thread::spawn(move || read::run(&pass, &items))
    };
    let mut objects = BTreeMap::new();
    let mut result = Ok(());
    while let Some(item) = read.blocking_recv() {
        let heads = match item {
            Ok(Item::Batch(batch)) => batch.iter().map(Object::head).collect(),
            Ok(Item::Large(large)) => {
                result = result.and(check_large(&large));
                vec![large.head]
            }
            Err(error) => {
                result = Err(error);
                vec![]
            }
        };
        for head in heads {
            let before = objects.insert(head.id.to_string(), (head.kind, head.size_bytes));
            assert!(before.is_none(), "{} came twice", head.id);
        }
    }
    reading.join().unwrap();
    let learnt = pass.learnt.lock().unwrap();
    assert!(learnt.gone.is_empty() && learnt.absent.is_empty() && learnt.malformed.is_empty());
    result.map(|()| objects)
}

fn check_large(large: &Large) -> Result<(), ImportError> {
    let (parts, mut came) = mpsc::channel(1);
    let sending = {
        let large = large.clone();
        std::thread::spawn(move || large.send(&parts))
    };
    let mut bytes = 0;
    while let Some(part) = came.blocking_recv() {
        assert!(part.len() <= limits::PART_BYTES_MAX);
        bytes += part.len() as u64;
    }
    let sent = sending.join().unwrap();
    assert_eq!(sent.is_ok(), bytes == large.head.size_bytes, "a part was held back");
    sent
}

/// What git says of the same repository.
fn expected(dir: &Path) -> BTreeMap<String, (Kind, u64)> {
    let listed = git(dir, &["cat-file", "--batch-all-objects", "--batch-check", "--unordered"]);
    let object = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        (words[0].to_owned(), (words[1].parse().unwrap(), words[2].parse().unwrap()))
    };
    listed.lines().map(object).collect()
}

#[test]
fn every_object_is_read_once_whatever_holds_it() {
    for format in ["sha1", "sha256"] {
        let dir = tempfile::tempdir().unwrap();
        sample(dir.path(), format);
        let expected = expected(dir.path());
        assert_eq!(read(dir.path()).unwrap(), expected);

        // The same objects through alternates, from a bare clone with one commit more.
        let clone = tempfile::tempdir().unwrap();
        let original = dir.path().to_str().unwrap();
        git(clone.path(), &["clone", "-q", "--shared", "--bare", original, "."]);
        git(clone.path(), &["commit-tree", "-m", "more", "HEAD^{tree}"]);
        let more = read(clone.path()).unwrap();
        assert_eq!(more.len(), expected.len() + 1);

        // Loose and packed at once, and in two packs.
        git(dir.path(), &["repack", "-q"]);
        git(dir.path(), &["repack", "-aq"]);
        assert_eq!(read(dir.path()).unwrap(), expected);
    }
}

#[test]
fn ids_are_sorted_and_found() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), "sha1");
    let opened = Opened::open(dir.path()).unwrap();
    let ids = opened.plan.ids();
    let expected: Vec<String> = expected(dir.path()).into_keys().collect();
    let listed: Vec<String> = ids.raw().chunks(20).map(hex::encode).collect();
    assert_eq!(listed, expected);
    for (at, id) in listed.iter().enumerate() {
        assert_eq!(ids.position(&id.parse().unwrap()), Some(at));
    }
    assert!(!ids.contains(&ObjectId::from_bytes(&[0x55; 20]).unwrap()));
}

#[test]
fn an_object_under_the_wrong_id_is_named() {
    for (len, large) in [(5, false), ((1 << 20) + 9, true)] {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        let write =
            |seed| git_with(dir.path(), &["hash-object", "-w", "--stdin"], &noise(len, seed));
        let (one, other) = (write(3), write(4));
        let file = |id: &str| dir.path().join(".git/objects").join(&id[..2]).join(&id[2..]);
        fs::remove_file(file(&one)).unwrap();
        fs::copy(file(&other), file(&one)).unwrap();
        let error = read(dir.path()).unwrap_err();
        let ImportError::Damaged { id, actual, .. } = &error else { panic!("{large}: {error}") };
        assert_eq!((id.to_string(), actual.to_string()), (one, other));
    }
}
