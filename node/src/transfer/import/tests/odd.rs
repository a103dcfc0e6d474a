//! Odd repositories: each is followed as git follows it, or refused by name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use gitstratum_core::object::{HashAlgorithm, Kind, Object};

use super::super::Warning;
use super::super::opened::Opened;
use crate::transfer::export::write_pack;
use crate::transfer::fixture::{
    Node, git, git_output, git_with, loose, objects, references, said, small,
};

/// What is done to a repository before it is imported.
type Change<'c> = &'c dyn Fn(&Path);
/// The same to a `.git`, with a place for what is taken away from it.
type Move<'m> = &'m dyn Fn(&Path, &Path);

/// A repository in a directory of its own.
fn repository() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    fs::create_dir(&path).unwrap();
    small(&path);
    (dir, path)
}

/// Moves `from` to `to` and leaves a symbolic link behind.
fn link_away(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
    symlink(to, from).unwrap();
}

#[test]
fn formats_and_extensions_are_refused_where_git_refuses_them() {
    let sha1 = "[core]\nrepositoryformatversion = ";
    for (config, refused) in [
        ("", ""),
        ("[extensions]\nobjectformat = sha256\nanything = 1\n", ""),
        (&format!("{sha1}0\n[extensions]\nanything = 1\npreciousObjects = true\n"), ""),
        (&format!("{sha1}1\n[Extensions]\nNoop = 1\nnoop-v1 = 1\npartialClone = origin\n"), ""),
        (&format!("{sha1}1\n[extensions]\nworktreeConfig = true\nrefStorage = files\n"), ""),
        (&format!("{sha1}2\n"), "core.repositoryformatversion is 2"),
        (&format!("{sha1}1\n[extensions]\nanything = 1\n"), "extensions.anything is unknown"),
        (&format!("{sha1}1\n[extensions \"sub\"]\nnoop = 1\n"), "extensions.sub.noop is unknown"),
        (&format!("{sha1}0\n[extensions]\nobjectFormat = sha1\n"), "needs core.repositoryf"),
        (&format!("{sha1}0\n[extensions]\nnoop-v1 = 1\n"), "needs core.repositoryf"),
        (&format!("{sha1}1\n[extensions]\nobjectFormat = md5\n"), "unknown hash"),
        (&format!("{sha1}x\n"), "core.repositoryformatversion is x"),
        ("[core]\nbare = maybe\n", "core.bare is no boolean"),
        (
            &format!("{sha1}0\n[extensions]\npreciousObjects = maybe\n"),
            "preciousobjects is no bool",
        ),
        ("[core\n", "config"),
    ] {
        let (_dir, path) = repository();
        fs::write(path.join(".git/config"), config).unwrap();
        let by_git = git_output(&path, &["rev-parse", "--verify", "refs/heads/main"], b"");
        assert_eq!(by_git.status.success(), refused.is_empty(), "{config}: {by_git:?}");
        match Opened::open(&path) {
            Ok(_) => assert!(refused.is_empty(), "{config} was accepted"),
            Err(error) => {
                let error = said(&error);
                assert!(!refused.is_empty() && error.contains(refused), "{config}: {error}");
            }
        }
    }
}

#[test]
fn what_an_import_cannot_carry_is_refused_by_name() {
    let reftable = |path: &Path| {
        fs::remove_dir_all(path.join(".git")).unwrap();
        git(path, &["init", "-q", "--ref-format=reftable"]);
    };
    let cases: [(&str, Change, &str); 9] = [
        ("reftable", &reftable, "git refs migrate"),
        (
            "a second hash",
            &|path| {
                let text = "[core]\nrepositoryformatversion = 1\n[extensions]\n\
                            objectFormat = sha256\ncompatObjectFormat = sha1\n";
                fs::write(path.join(".git/config"), text).unwrap();
            },
            "compatObjectFormat",
        ),
        (
            "grafts",
            &|path| {
                let head = git(path, &["rev-parse", "HEAD"]);
                fs::create_dir_all(path.join(".git/info")).unwrap();
                fs::write(path.join(".git/info/grafts"), format!("# cut\n{head}\n")).unwrap();
            },
            "--convert-graft-file",
        ),
        (
            "a symbolic reference to HEAD",
            &|path| drop(git(path, &["symbolic-ref", "refs/heads/current", "HEAD"])),
            "refs/heads/current is symbolic and leads to HEAD",
        ),
        (
            "a symbolic reference out of refs/",
            &|path| {
                let head = git(path, &["rev-parse", "HEAD"]);
                fs::write(path.join(".git/ORIG_HEAD"), head).unwrap();
                fs::write(path.join(".git/refs/heads/orig"), "ref: ORIG_HEAD\n").unwrap();
            },
            "leads to ORIG_HEAD",
        ),
        (
            "a name of 6,000 bytes",
            &|path| {
                let head = git(path, &["rev-parse", "HEAD"]);
                let name = "y".repeat(200) + "/";
                let text = format!("{head} refs/heads/{}z\n", name.repeat(30));
                fs::write(path.join(".git/packed-refs"), text).unwrap();
            },
            "bytes, more than 4096",
        ),
        (
            "references without an end",
            &|path| symlink("..", path.join(".git/refs/heads/loop")).unwrap(),
            "refs/heads/loop is a symbolic link to a directory that it lies in",
        ),
        (
            "a directory of objects that leads to itself",
            &|path| symlink("ff", path.join(".git/objects/ff")).unwrap(),
            "objects/ff",
        ),
        (
            "packed references that were cut off",
            &|path| {
                git(path, &["pack-refs", "--all"]);
                let file = path.join(".git/packed-refs");
                let text = fs::read(&file).unwrap();
                fs::write(&file, &text[..text.len() - 1]).unwrap();
            },
            "packed-refs: its last line does not end",
        ),
    ];
    for (name, change, words) in cases {
        let (_dir, path) = repository();
        // Else the change to the directory fails, not the import.
        let _ = fs::remove_dir(path.join(".git/objects/ff"));
        change(&path);
        match Opened::open(&path) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => assert!(said(&error).contains(words), "{name}: {}", said(&error)),
        }
    }
}

#[test]
fn what_is_no_repository_says_why() {
    let cases: [(Change, &str); 6] = [
        (&|path| fs::remove_dir_all(path.join(".git")).unwrap(), "there is no HEAD"),
        (
            &|path| fs::write(path.join(".git/HEAD"), "ref: config\n").unwrap(),
            "neither a reference",
        ),
        (&|path| fs::write(path.join(".git/HEAD"), "").unwrap(), "neither a reference"),
        (&|path| fs::remove_dir_all(path.join(".git/refs")).unwrap(), "no directory"),
        (
            &|path| {
                fs::rename(path.join(".git/HEAD"), path.join("away")).unwrap();
                symlink("../away", path.join(".git/HEAD")).unwrap();
            },
            "leads out of refs/",
        ),
        (
            &|path| {
                fs::remove_dir_all(path.join(".git")).unwrap();
                fs::write(path.join(".git"), "gitdir: nowhere\n").unwrap();
            },
            "nowhere",
        ),
    ];
    for (change, words) in cases {
        let (_dir, path) = repository();
        change(&path);
        let by_git = git_output(&path, &["--git-dir=.git", "rev-parse", "HEAD"], b"");
        assert!(!by_git.status.success(), "{words}: git takes it for a repository");
        let error = Opened::open(&path).map(|_| ()).unwrap_err();
        assert!(said(&error).contains(words), "{}", said(&error));
    }
}

#[tokio::test]
async fn symbolic_links_in_a_repository_are_followed_as_git_follows_them() {
    let node = Node::start().await;
    let cases: [(&str, Move); 9] = [
        ("objects", &|git_dir, away| link_away(&git_dir.join("objects"), away)),
        ("refs", &|git_dir, away| link_away(&git_dir.join("refs"), away)),
        ("refs/heads/x", &|git_dir, away| link_away(&git_dir.join("refs/heads/x"), away)),
        ("a reference", &|git_dir, away| link_away(&git_dir.join("refs/heads/main"), away)),
        ("a directory of objects", &|git_dir, away| {
            fs::create_dir(away).unwrap();
            for entry in fs::read_dir(git_dir.join("objects")).unwrap() {
                let path = entry.unwrap().path();
                link_away(&path, &away.join(path.file_name().unwrap()));
            }
        }),
        ("loose objects", &|git_dir, away| {
            fs::create_dir(away).unwrap();
            for id in git(git_dir, &["rev-list", "--all", "--objects"]).lines() {
                let file = git_dir.join("objects").join(&id[..2]).join(&id[2..40]);
                link_away(&file, &away.join(&id[..40]));
            }
        }),
        ("packs", &|git_dir, away| {
            git(git_dir, &["repack", "-adq"]);
            fs::create_dir(away).unwrap();
            for entry in fs::read_dir(git_dir.join("objects/pack")).unwrap() {
                let path = entry.unwrap().path();
                link_away(&path, &away.join(path.file_name().unwrap()));
            }
        }),
        ("packed references", &|git_dir, away| {
            git(git_dir, &["pack-refs", "--all"]);
            link_away(&git_dir.join("packed-refs"), away);
        }),
        ("the repository", &|git_dir, away| link_away(git_dir, away)),
    ];
    for (name, change) in cases {
        let (dir, path) = repository();
        git(&path, &["branch", "x/a"]);
        let before = (objects(&path), references(&path));
        change(&path.join(".git"), &dir.path().join("away"));
        assert_eq!((objects(&path), references(&path)), before, "{name}: git differs");
        node.there_and_back(&path).await;
    }
    // HEAD as it was made long ago, packed or not.
    for pack in [false, true] {
        let (_dir, path) = repository();
        if pack {
            git(&path, &["pack-refs", "--all"]);
        }
        fs::remove_file(path.join(".git/HEAD")).unwrap();
        symlink("refs/heads/main", path.join(".git/HEAD")).unwrap();
        let report = node.import(&path).await.unwrap();
        let back = tempfile::tempdir().unwrap();
        node.export(report.manifest, back.path()).await.unwrap();
        assert_eq!(git(back.path(), &["symbolic-ref", "HEAD"]), "refs/heads/main");
    }
}

#[tokio::test]
async fn an_object_that_is_there_twice_is_counted_once() {
    let node = Node::start().await;
    let (dir, path) = repository();
    let [once, twice] = ["once", "twice"].map(|text| {
        Object::hash(HashAlgorithm::Sha1, Kind::Blob, text.as_bytes().to_vec().into()).unwrap()
    });
    // Twice in one pack, in two packs, loose and packed, and in an alternate.
    write_pack(&path.join(".git"), &[&twice, &once, &twice]);
    write_pack(&path.join(".git"), &[&once]);
    git_with(&path, &["hash-object", "-w", "--stdin"], b"once");
    git(dir.path(), &["clone", "-q", "--bare", "r", "other.git"]);
    let alternates = path.join(".git/objects/info/alternates");
    fs::write(alternates, "../../../other.git/objects\n../../../r/.git/objects\n").unwrap();
    git(&path, &["fsck", "--full"]);
    let report = node.there_and_back(&path).await;
    assert_eq!(report.objects, objects(&path).len() as u64);
    assert_eq!(report.objects, 11);
}

#[tokio::test]
async fn an_object_that_is_damaged_in_one_place_is_taken_from_another() {
    let node = Node::start().await;
    let (_dir, path) = repository();
    let blob = git(&path, &["rev-parse", "HEAD:file"]);
    let kept = fs::read(loose(&path, &blob)).unwrap();
    git(&path, &["repack", "-adq"]);
    // Packs come first, so the pack is damaged.
    let pack = fs::read_dir(path.join(".git/objects/pack")).unwrap();
    let mut pack = pack.map(|entry| entry.unwrap().path());
    let pack = pack.find(|path| path.extension().unwrap() == "pack").unwrap();
    let listed = git(&path, &["verify-pack", "-v", pack.to_str().unwrap()]);
    let line = listed.lines().find(|line| line.starts_with(&blob)).unwrap();
    let offset: usize = line.split_whitespace().last().unwrap().parse().unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    bytes[offset + 6] ^= 0xff;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let error = said(&node.import(&path).await.unwrap_err());
    assert!(error.contains(&blob) && error.contains(pack.to_str().unwrap()), "{error}");

    let file = loose(&path, &blob);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, kept).unwrap();
    let report = node.import(&path).await.unwrap();
    let id = blob.parse().unwrap();
    assert_eq!(report.warnings, [Warning::DamagedCopy { id, path: pack }]);
    let back = tempfile::tempdir().unwrap();
    node.export(report.manifest, back.path()).await.unwrap();
    git(back.path(), &["fsck", "--full"]);
}

#[tokio::test]
async fn linked_work_trees_and_submodules_are_followed_to_their_repository() {
    let node = Node::start().await;
    let (dir, path) = repository();
    let head = git(&path, &["rev-parse", "HEAD"]);
    git(&path, &["worktree", "add", "-q", "-b", "linked", "../linked", "HEAD~1"]);
    let linked = dir.path().join("linked");
    for (tree, name) in [(&path, "of-main"), (&linked, "of-linked")] {
        git(tree, &["update-ref", &format!("refs/worktree/{name}"), &head]);
        git(tree, &["update-ref", &format!("refs/bisect/{name}"), &head]);
    }
    for (tree, branch) in [(&path, "main"), (&linked, "linked")] {
        let report = node.import(tree).await.unwrap();
        let back = tempfile::tempdir().unwrap();
        node.export(report.manifest, back.path()).await.unwrap();
        let format = "--format=%(objectname) %(refname)";
        assert_eq!(
            git(back.path(), &["for-each-ref", format]),
            git(tree, &["for-each-ref", format])
        );
        assert_eq!(git(back.path(), &["symbolic-ref", "--short", "HEAD"]), branch);
    }
    git(dir.path(), &["init", "-q", "-b", "main", "super"]);
    let outer = dir.path().join("super");
    git(&outer, &["submodule", "--quiet", "add", path.to_str().unwrap(), "inner"]);
    let report = node.import(&outer.join("inner")).await.unwrap();
    let back = tempfile::tempdir().unwrap();
    node.export(report.manifest, back.path()).await.unwrap();
    assert_eq!(git(back.path(), &["rev-parse", "main"]), head);
    // What the alternate of a `.git` file, itself, and the file alone lead to is the same.
    assert_eq!(node.import(&outer.join("inner/.git")).await.unwrap().manifest, report.manifest);
}

#[tokio::test]
async fn replaced_objects_and_empty_repositories_come_back() {
    let node = Node::start().await;
    let (dir, path) = repository();
    git(&path, &["replace", "HEAD", "HEAD~1"]);
    git(&path, &["notes", "add", "-m", "a note", "HEAD~1"]);
    fs::write(path.join("file"), "stashed").unwrap();
    git(&path, &["stash", "-q"]);
    node.there_and_back(&path).await;
    git(dir.path(), &["init", "-q", "--bare", "-b", "unborn", "empty.git"]);
    node.there_and_back(&dir.path().join("empty.git")).await;
}
