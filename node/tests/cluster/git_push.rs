//! Stock git against a cluster: push to any node, clone from any other, whatever dies.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Dev, Serve, git, kill, make_repository, wait_until};

/// Runs git, which may fail; whether it did not, and what it said.
pub fn try_git(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("git");
    command.current_dir(dir).args(arguments).stdin(Stdio::null());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_TERMINAL_PROMPT", "0");
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What is served of a repository is what the original has.
fn assert_cloned(original: &Path, url: &str, clone: &Path) {
    let parent = clone.parent().unwrap();
    git(parent, &["clone", "-q", "--mirror", url, clone.to_str().unwrap()]);
    git(clone, &["fsck", "--full", "--strict"]);
    let refs = |at: &Path| git(at, &["for-each-ref", "refs/heads", "refs/tags"]);
    assert_eq!(refs(clone), refs(original));
    let objects = |at: &Path| {
        let listed = git(at, &["rev-list", "--objects", "--all"]);
        let mut objects: Vec<String> = listed.lines().map(str::to_owned).collect();
        objects.sort();
        objects
    };
    assert_eq!(objects(clone), objects(original));
}

#[test]
fn what_was_pushed_to_any_node_is_cloned_from_any_other_whatever_dies() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    make_repository(&work, 60);
    let dev = Dev::start(&dir.path().join("data"));
    dev.wait_for_voters();
    let url = |node: usize| format!("{}team/project.git", dev.nodes[node].git);
    let all = ["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"];
    git(&work, &[&["push", "-q", &url(0)], &all[..]].concat());
    for node in 0..3 {
        assert_cloned(&work, &url(node), &dir.path().join(format!("clone-{node}")));
    }
    let mut restarted = Vec::new();
    // One dies; pushes to the others go on, once they know who leads.
    for round in 0..3 {
        let (killed, alive) = (round, [(round + 1) % 3, (round + 2) % 3]);
        let config = dev.nodes[killed].dir.join("config.toml");
        kill(dev.nodes[killed].pid);
        let branch = format!("refs/heads/without-{killed}");
        let (parent, words) = (["-p", "HEAD"], ["-m", "another round"]);
        let commit =
            git(&work, &[&["commit-tree", "HEAD^{tree}"], &parent[..], &words[..]].concat());
        git(&work, &["update-ref", &branch, commit.trim()]);
        wait_until("a push goes to one that is alive", || {
            let (is_ok, said) = try_git(&work, &["push", "-q", &url(alive[0]), &branch]);
            // Whatever it is, it is told, and soon.
            assert!(is_ok || said.contains("remote") || said.contains("503"), "{said}");
            is_ok
        });
        for node in alive {
            assert_cloned(&work, &url(node), &dir.path().join(format!("round-{round}-{node}")));
        }
        let node = Serve::start(&["--config", config.to_str().unwrap()]);
        // It may not know the others yet.
        let clone = dir.path().join(format!("back-{killed}"));
        wait_until("the node that is back serves", || {
            try_git(dir.path(), &["ls-remote", &url(killed)]).0
        });
        assert_cloned(&work, &url(killed), &clone);
        restarted.push(node);
    }
    restarted.into_iter().for_each(Serve::terminate);
    dev.terminate();
}

#[test]
fn stock_git_finds_what_it_expects_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(&dir.path().join("data"));
    dev.wait_for_voters();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/git-clients");
    let create =
        format!("{} repo create {{name}} --object-format {{format}}", crate::support::PROGRAM);
    let checked = Command::new(script)
        // The others are asked of gitstratum-git's own server, which has the same protocol.
        .args([dev.nodes[1].git.trim_end_matches('/'), "--create", &create, "--version", "2"])
        .env("GITSTRATUM_PEERS", dev.peers())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&checked.stdout);
    let failed: Vec<&str> = printed.lines().filter(|line| !line.starts_with("ok")).collect();
    assert!(checked.status.success(), "{}", failed.join("\n"));
    assert!(printed.lines().count() > 60, "{printed}");
    dev.terminate();
}

#[test]
fn without_a_quorum_a_push_is_refused_soon_and_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    make_repository(&work, 5);
    let dev = Dev::start(&dir.path().join("data"));
    dev.wait_for_voters();
    let url = format!("{}project", dev.nodes[2].git);
    git(&work, &["push", "-q", &url, "HEAD:refs/heads/main"]);
    kill(dev.nodes[0].pid);
    kill(dev.nodes[1].pid);
    let began = std::time::Instant::now();
    let (is_ok, said) = try_git(&work, &["push", "-q", &url, "HEAD:refs/heads/other"]);
    assert!(!is_ok, "{said}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(said.contains("no majority") || said.contains("leader"), "{said}");
    dev.terminate();
}
