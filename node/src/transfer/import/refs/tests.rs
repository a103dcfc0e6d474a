//! References as git lists them, and those that it calls broken.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::transfer::fixture::{git, git_output, said, small};

fn read_at(dir: &Path) -> Result<References, ImportError> {
    read(&Repository::find(dir)?)
}

/// Names and what they point to, as `git for-each-ref` prints them.
fn listed(references: &References) -> Vec<String> {
    let line = |reference: &Reference| match &reference.target {
        Target::Id(id) => format!("{id} {}", reference.name),
        Target::Symbolic(target) => format!("{target} {}", reference.name),
    };
    references.refs.iter().map(line).collect()
}

fn listed_by_git(dir: &Path) -> Vec<String> {
    let format = "--format=%(if)%(symref)%(then)%(symref)%(else)%(objectname)%(end) %(refname)";
    let listed = git_output(dir, &["for-each-ref", format], b"");
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn references_are_those_that_git_lists_and_broken_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let heads = dir.join(".git/refs/heads");
    let head = git(dir, &["rev-parse", "HEAD"]);
    let older = git(dir, &["rev-parse", "HEAD~1"]);
    git(dir, &["branch", "packed", "HEAD~1"]);
    git(dir, &["branch", "packed-and-loose"]);
    git(dir, &["branch", "packed-and-broken"]);
    git(dir, &["tag", "-a", "-m", "annotated", "v1"]);
    git(dir, &["pack-refs", "--all"]);
    let mut packed = fs::read_to_string(dir.join(".git/packed-refs")).unwrap();
    packed.push_str(&format!("{head} HEAD\n{head} outside\n{head} refs/zz/bad..name\n"));
    fs::write(dir.join(".git/packed-refs"), packed).unwrap();
    let file = |name: &str, text: &str| fs::write(heads.join(name), text).unwrap();
    file("packed-and-loose", &format!("{older}\n"));
    file("no-newline", &head);
    file("more-behind", &format!("{head}\tand more\nlines\n"));
    file("upper-case", &format!("{}\n", head.to_ascii_uppercase()));
    file("@", &format!("{head}\n"));
    file("symbolic", "ref:\trefs/heads/main  \n");
    file("symbolic-again", "ref: refs/heads/symbolic\n");
    file("left.lock", &format!("{head}\n"));
    file(".hidden", &format!("{head}\n"));
    symlink("packed-and-loose", heads.join("link")).unwrap();
    fs::create_dir(heads.join("empty-directory")).unwrap();
    for (name, text) in [
        ("packed-and-broken", ""),
        ("garbage", "garbage\n"),
        ("short", &head[..39]),
        ("longer", &format!("{head}0\n")),
        ("zeros", &"0".repeat(40)),
        ("two-dots..", &head),
        ("to-no-name", "ref: refs/heads/a..b\n"),
        ("to-nothing-outside", "ref: NOWHERE\n"),
    ] {
        file(name, text);
    }
    symlink("nothing", heads.join("link-to-nothing")).unwrap();
    symlink("itself", heads.join("itself")).unwrap();
    let dangling = [("circle-a", "circle-b"), ("circle-b", "circle-a"), ("dangling", "nothing")];
    for (name, to) in dangling {
        file(name, &format!("ref: refs/heads/{to}\n"));
    }

    let read = read_at(dir).unwrap();
    let mut found = listed(&read);
    // Git lists these nowhere; they are kept, as git keeps them, and named.
    found.retain(|line| !dangling.iter().any(|(name, _)| line.ends_with(&format!("/{name}"))));
    let mut by_git = listed_by_git(dir);
    // Git prints where this one ends; it is kept as it is.
    let again = "refs/heads/symbolic refs/heads/symbolic-again";
    let at = by_git.iter().position(|line| line.ends_with("/symbolic-again")).unwrap();
    by_git[at] = again.to_owned();
    by_git.retain(|line| !line.ends_with(" outside"));
    assert_eq!(found, by_git);
    let named = |warning: &Warning| match warning {
        Warning::BrokenRef { name, .. } => format!("broken {name}"),
        Warning::DanglingRef { name, .. } => format!("dangling {name}"),
        Warning::OutsideRefs { name } => format!("outside {name}"),
        other => panic!("{other:?}"),
    };
    let mut warnings: Vec<String> = read.warnings.iter().map(named).collect();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "broken refs/heads/garbage",
            "broken refs/heads/itself",
            "broken refs/heads/link-to-nothing",
            "broken refs/heads/longer",
            "broken refs/heads/packed-and-broken",
            "broken refs/heads/short",
            "broken refs/heads/to-no-name",
            "broken refs/heads/to-nothing-outside",
            "broken refs/heads/two-dots..",
            "broken refs/heads/zeros",
            "broken refs/zz/bad..name",
            "dangling refs/heads/circle-a",
            "dangling refs/heads/circle-b",
            "dangling refs/heads/dangling",
            "outside outside",
        ]
    );
}

#[test]
fn a_link_whose_text_is_a_name_is_a_symbolic_reference() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    symlink("refs/heads/main", dir.join(".git/refs/heads/old-style")).unwrap();
    let line = "refs/heads/main refs/heads/old-style".to_owned();
    assert!(listed(&read_at(dir).unwrap()).contains(&line));
    assert_eq!(git(dir, &["symbolic-ref", "refs/heads/old-style"]), "refs/heads/main");
}

#[test]
fn pipes_among_references_are_passed_over_and_no_one_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let made = std::process::Command::new("mkfifo").arg(dir.join(".git/refs/heads/pipe")).status();
    assert!(made.unwrap().success());
    assert_eq!(listed(&read_at(dir).unwrap()), listed_by_git(dir));
}

#[test]
fn names_are_valid_where_git_says_so() {
    for name in [
        "refs/heads/a",
        "refs/heads/@",
        "refs/heads/a@b",
        "refs/heads/-",
        "refs/heads/HEAD",
        "refs/heads/ä",
        "refs/heads/a.lock",
        "refs/heads/a.lock/b",
        "refs/heads/.a",
        "refs/heads/a.",
        "refs/heads/a./b",
        "refs/heads/a..b",
        "refs/heads/a b",
        "refs/heads/a~",
        "refs/heads/a^",
        "refs/heads/a:b",
        "refs/heads/a?",
        "refs/heads/a*",
        "refs/heads/a[",
        "refs/heads/a\\",
        "refs/heads/a@{b",
        "refs/heads//a",
        "refs/heads/a/",
        "refs/heads/a\u{7f}",
        "refs/heads/a\tb",
        "refs/a",
        "refs/heads/{",
        "refs/heads/a]",
        "refs/heads/a'b\"",
    ] {
        let git = std::process::Command::new("git").args(["check-ref-format", name]).status();
        assert_eq!(check_name(name.as_bytes()).is_ok(), git.unwrap().success(), "{name}");
    }
}

#[test]
fn packed_references_that_git_cannot_read_are_refused_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let head = git(dir, &["rev-parse", "HEAD"]);
    for (text, words) in [
        (format!("{head} refs/heads/a\n\n"), "line 2"),
        (format!("{head} refs/heads/a\nnonsense\n"), "line 2"),
        (format!("^{head}\n{head} refs/heads/a\n"), "line 1"),
        (format!("{head}\n"), "line 1"),
        (format!("{head} refs/heads/a\n# comment\n"), "line 2"),
        (format!("{head} refs/heads/a\n{head} refs/heads/b"), "does not end"),
    ] {
        fs::write(dir.join(".git/packed-refs"), &text).unwrap();
        let by_git = git_output(dir, &["for-each-ref"], b"");
        assert!(!by_git.status.success(), "git reads {text:?}");
        let error = said(&read_at(dir).map(|_| ()).unwrap_err());
        assert!(error.contains("packed-refs") && error.contains(words), "{text:?}: {error}");
    }
    let text = format!("{head} refs/heads/a\n{head} refs/heads/a\n");
    fs::write(dir.join(".git/packed-refs"), text).unwrap();
    let error = said(&read_at(dir).map(|_| ()).unwrap_err());
    assert!(error.contains("a second time"), "{error}");
}
