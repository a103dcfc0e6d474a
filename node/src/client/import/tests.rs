//! Repositories made by git, read by the readers, without a cluster.
#![allow(clippy::disallowed_methods, reason = "readers block, and no schedule is simulated here")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::super::manifest::Head;
use super::large::Large;
use super::*;

fn git(dir: &Path, arguments: &[&str]) -> String {
    git_with(dir, arguments, b"")
}

/// Runs git apart from the user's configuration and the clock.
fn git_with(dir: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "1600000000 +0000")
        .env("GIT_COMMITTER_DATE", "1600000000 +0000")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Bytes that do not compress, so that large objects stay large.
fn noise(len: usize, mut state: u64) -> Vec<u8> {
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

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
    let (_, files) = source::open(dir)?;
    let plan = Arc::new(Plan::new(files)?);
    let (items, mut read) = mpsc::channel(1);
    let reading = {
        let plan = plan.clone();
        std::thread::spawn(move || read::run(&plan, &plan::Cursor::default(), &items))
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
    let (_, files) = source::open(dir.path()).unwrap();
    let ids = Plan::new(files).unwrap().sorted_ids();
    let expected: Vec<String> = expected(dir.path()).into_keys().collect();
    let listed: Vec<String> = ids.chunks(20).map(hex::encode).collect();
    assert_eq!(listed, expected);
    for id in &listed {
        assert!(plan::contains(&ids, &id.parse().unwrap()));
    }
    assert!(!plan::contains(&ids, &ObjectId::from_bytes(&[0x55; 20]).unwrap()));
}

#[test]
fn references_are_read_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), "sha1");
    git(dir.path(), &["branch", "packed"]);
    git(dir.path(), &["pack-refs", "--all"]);
    git(dir.path(), &["branch", "loose"]);
    git(dir.path(), &["symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/loose"]);
    let (manifest, _) = source::open(&dir.path().join(".git")).unwrap();
    let id = |name: &str| git(dir.path(), &["rev-parse", name]).trim().to_owned();
    let found: Vec<(String, String)> = manifest
        .refs
        .iter()
        .map(|reference| match &reference.target {
            Target::Id(id) => (reference.name.to_string(), id.to_string()),
            Target::Symbolic(name) => (reference.name.to_string(), name.to_string()),
        })
        .collect();
    let expected = [
        ("refs/heads/loose", id("main")),
        ("refs/heads/main", id("main")),
        ("refs/heads/packed", id("main")),
        ("refs/remotes/origin/HEAD", "refs/heads/loose".to_owned()),
        ("refs/tags/v1", id("v1")),
    ];
    assert_eq!(found, expected.map(|(name, target)| (name.to_owned(), target)));
    assert_eq!(manifest.head, Head::Ref("refs/heads/main".into()));

    git(dir.path(), &["checkout", "-q", "--detach"]);
    let (manifest, _) = source::open(dir.path()).unwrap();
    assert_eq!(manifest.head, Head::Id(id("HEAD").parse().unwrap()));
    let empty = tempfile::tempdir().unwrap();
    git(empty.path(), &["init", "-q", "-b", "unborn"]);
    let (manifest, _) = source::open(empty.path()).unwrap();
    assert_eq!(manifest.head, Head::Ref("refs/heads/unborn".into()));
}

#[test]
fn an_object_under_the_wrong_id_is_named() {
    for (len, large) in [(5, false), ((1 << 20) + 9, true)] {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        let write = |seed| {
            git_with(dir.path(), &["hash-object", "-w", "--stdin"], &noise(len, seed))
                .trim()
                .to_owned()
        };
        let (one, other) = (write(3), write(4));
        let file = |id: &str| dir.path().join(".git/objects").join(&id[..2]).join(&id[2..]);
        fs::remove_file(file(&one)).unwrap();
        fs::copy(file(&other), file(&one)).unwrap();
        let error = read(dir.path()).unwrap_err();
        let ImportError::Damaged { id, actual, .. } = &error else { panic!("{large}: {error}") };
        assert_eq!((id.to_string(), actual.to_string()), (one, other));
    }
}

#[test]
fn what_is_no_whole_repository_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(source::open(dir.path()), Err(ImportError::Open { .. })));
    sample(dir.path(), "sha1");
    let pack = fs::read_dir(dir.path().join(".git/objects/pack")).unwrap().next().unwrap();
    fs::write(pack.unwrap().path().with_extension("promisor"), "").unwrap();
    assert!(matches!(source::open(dir.path()), Err(ImportError::Unsupported { .. })));
}
