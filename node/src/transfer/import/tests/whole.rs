//! An import has everything that HEAD and the references reach, or says what is missing.

use std::fs;
use std::path::Path;

use super::super::Warning;
use crate::transfer::fixture::{Node, git, git_output, git_with, loose, references, said, small};

/// Removes the loose object that `name` stands for; its id.
fn remove(dir: &Path, name: &str) -> String {
    let id = git(dir, &["rev-parse", name]);
    fs::remove_file(loose(dir, &id)).unwrap();
    id
}

#[tokio::test]
async fn a_repository_that_lacks_what_its_references_reach_is_refused_by_id() {
    let node = Node::start().await;
    for (name, role) in [
        ("main~1:file", "blob, in "),
        ("main~1^{tree}", "tree, in "),
        ("main~1", "commit, in "),
        ("main", "named by refs/heads/main"),
        ("tagged~1", "commit, in "),
        ("v1", "named by refs/tags/v1"),
        ("v1^{}", "named by refs/heads/apart"),
        ("tree-tag", "named by refs/tags/tree-tag"),
        ("detached", "named by HEAD"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        small(dir);
        git(dir, &["branch", "tagged"]);
        git(dir, &["checkout", "-q", "--orphan", "apart"]);
        git(dir, &["commit", "-qm", "apart"]);
        git(dir, &["tag", "-a", "-m", "v1", "v1"]);
        git(dir, &["tag", "tree-tag", git(dir, &["mktree"]).as_str()]);
        if name == "detached" {
            git(dir, &["checkout", "-q", "--detach"]);
            git(dir, &["commit", "-q", "--allow-empty", "-m", "detached"]);
        }
        let refs = references(dir);
        let id = remove(dir, if name == "detached" { "HEAD" } else { name });
        let error = said(&node.import(dir).await.unwrap_err());
        assert!(error.contains(&id) && error.contains(role), "{name}: {error}");
        assert!(error.contains("--allow-missing"), "{error}");

        let report = node.import_what_is_there(dir).await.unwrap();
        let named = |warning: &Warning| matches!(warning, Warning::Missing { id: missing, .. } if missing.to_string() == id);
        assert!(report.warnings.iter().any(named), "{name}: {:?}", report.warnings);
        let back = tempfile::tempdir().unwrap();
        let exported = node.export(report.manifest, back.path()).await.unwrap();
        assert_eq!(exported.missing, 1, "{name}");
        if !matches!(name, "main" | "v1" | "tree-tag") {
            assert_eq!(references(back.path()), refs, "{name}");
        }
    }
}

#[tokio::test]
async fn what_nothing_reaches_may_refer_to_what_is_missing() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let absent = "1234567890123456789012345678901234567890";
    let tree = format!("100644 blob {absent}\tfile\n40000 tree {absent}\tdir\n");
    let tree = git_with(dir, &["mktree", "--missing"], tree.as_bytes());
    let commit = format!("tree {tree}\nparent {absent}\nauthor a <a> 1 +0000\n\nx\n");
    let write = |kind: &str, data: &[u8]| {
        let arguments = ["hash-object", "-w", "--literally", "-t", kind, "--stdin"];
        git_with(dir, &arguments, data)
    };
    let garbage = write("commit", commit.as_bytes());
    let malformed = [write("tree", b"no tree"), write("commit", b"no commit"), write("tag", b"")];
    node.import(dir).await.unwrap();

    // The same is refused as soon as a reference reaches it.
    for id in malformed {
        let file = dir.join(".git/refs/tags/malformed");
        fs::write(&file, format!("{id}\n")).unwrap();
        let error = said(&node.import(dir).await.unwrap_err());
        assert!(error.contains(&id) && error.contains("do not say what they refer to"), "{error}");
        fs::remove_file(file).unwrap();
    }
    fs::write(dir.join(".git/refs/heads/garbage"), garbage).unwrap();
    let error = said(&node.import(dir).await.unwrap_err());
    assert!(error.contains(absent), "{error}");
}

#[tokio::test]
async fn submodules_shallow_clones_and_alternates_are_whole() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    fs::create_dir(&original).unwrap();
    small(&original);
    let gitlink = "160000,1234567890123456789012345678901234567890,sub";
    git(&original, &["update-index", "--add", "--cacheinfo", gitlink]);
    git(&original, &["commit", "-qm", "a submodule"]);
    node.there_and_back(&original).await;

    let url = format!("file://{}", original.display());
    git(dir.path(), &["clone", "-q", "--depth=2", &url, "shallow"]);
    let shallow = dir.path().join("shallow");
    let report = node.there_and_back(&shallow).await;
    let back = tempfile::tempdir().unwrap();
    node.export(report.manifest, back.path()).await.unwrap();
    assert_eq!(git(back.path(), &["rev-list", "--all"]), git(&shallow, &["rev-list", "--all"]));
    // Without the file that says so, the parents are missing.
    fs::remove_file(shallow.join(".git/shallow")).unwrap();
    let error = said(&node.import(&shallow).await.unwrap_err());
    assert!(error.contains("commit, in"), "{error}");

    // An alternate of an alternate by a relative path, and back again.
    git(dir.path(), &["clone", "-q", "--shared", "original", "one"]);
    git(dir.path(), &["init", "-q", "two"]);
    let two = dir.path().join("two");
    let alternates = |name: &str| dir.path().join(name).join(".git/objects/info/alternates");
    fs::write(alternates("two"), "# a comment\n../../../one/.git/objects\n\n").unwrap();
    fs::write(alternates("original"), "../../../two/.git/objects\n").unwrap();
    let head = git(&original, &["rev-parse", "HEAD"]);
    git(&two, &["update-ref", "refs/heads/main", &head]);
    let report = node.import(&two).await.unwrap();
    assert_eq!(
        report.objects,
        git(&original, &["rev-list", "--all", "--objects"]).lines().count() as u64
    );

    // One that is gone is named, and what it had is missing.
    fs::write(alternates("two"), "/nowhere/objects\n").unwrap();
    let error = said(&node.import(&two).await.unwrap_err());
    assert!(error.contains(&head), "{error}");
    let report = node.import_what_is_there(&two).await.unwrap();
    let gone = |warning: &Warning| matches!(warning, Warning::NoAlternate { directory, .. } if directory == Path::new("/nowhere/objects"));
    assert!(report.warnings.iter().any(gone), "{:?}", report.warnings);
}

#[tokio::test]
async fn a_partial_clone_is_refused_until_it_has_everything() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    fs::create_dir(&original).unwrap();
    small(&original);
    git(&original, &["config", "uploadpack.allowFilter", "true"]);
    git(&original, &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", original.display());
    git(dir.path(), &["clone", "-q", "--filter=blob:none", "--bare", &url, "partial"]);
    let partial = dir.path().join("partial");
    let error = said(&node.import(&partial).await.unwrap_err());
    assert!(error.contains("partial clone") && error.contains("blob, in"), "{error}");
    // Git fetches what it is asked for.
    for line in git(&original, &["rev-list", "--all", "--objects"]).lines() {
        git(&partial, &["cat-file", "-p", &line[..40]]);
    }
    let report = node.import(&partial).await.unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[tokio::test]
async fn what_is_missing_is_found_in_a_tree_that_goes_in_parts_too() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    git(dir, &["init", "-q", "-b", "main"]);
    let blob = git_with(dir, &["hash-object", "-w", "--stdin"], b"blob");
    let absent = "1234567890123456789012345678901234567890";
    let lines: String =
        (0..30_000).map(|at| format!("100644 blob {blob}\tsome file {at:06}\n")).collect();
    for (last, whole) in [(blob.as_str(), true), (absent, false)] {
        let lines = format!("{lines}100644 blob {last}\tzzz\n");
        let tree = git_with(dir, &["mktree", "--missing"], lines.as_bytes());
        let commit = git(dir, &["commit-tree", "-m", "large", &tree]);
        git(dir, &["update-ref", "refs/heads/main", &commit]);
        let imported = node.import(dir).await;
        match imported {
            Ok(report) => assert!(whole && report.large_objects == 1),
            Err(error) => assert!(!whole && said(&error).contains(absent), "{}", said(&error)),
        }
    }
}

#[tokio::test]
async fn a_hundred_missing_objects_are_three_examples_and_a_count() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    git(dir, &["init", "-q", "-b", "main"]);
    for number in 0..100 {
        fs::write(dir.join(format!("file{number}")), format!("{number}")).unwrap();
    }
    git(dir, &["add", "."]);
    git(dir, &["commit", "-qm", "many"]);
    for line in git(dir, &["ls-tree", "-r", "HEAD"]).lines() {
        let id = line.split_whitespace().nth(2).unwrap();
        fs::remove_file(loose(dir, id)).unwrap();
    }
    let error = said(&node.import(dir).await.unwrap_err());
    assert!(error.contains(", and 97 more like these;"), "{error}");
    assert_eq!(error.matches("blob, in").count(), 3, "{error}");
    let fsck = git_output(dir, &["fsck", "--full"], b"");
    assert_eq!(String::from_utf8(fsck.stdout).unwrap().matches("missing blob").count(), 100);
}
