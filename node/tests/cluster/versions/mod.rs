//! Versions: what a program of a version wrote is read by this one, and what a newer one wrote is
//! refused with a clear answer.
//!
//! `tests/fixtures/VERSION` has what a program of that version left on the disk: a node's data
//! directory, a backup, hints, the catalog as text, and what was in all of that. It is written once,
//! with the release, by `record` ([`record`] has the command), and never again.

mod newer;
mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gitstratum_cluster::repair::{HintLog, HintOptions};
use gitstratum_core::placement::NodeId;
use gitstratum_host::Disk;
use serde_json::Value;

use crate::support::{self, Serve, git, listen, output, run, wait_until};

/// Versions whose fixtures are read: this one's and the one before.
const READ: [&str; 1] = ["0.1"];
/// What hints are for that a fixture has.
const ABSENT_NODE: &str = "n9";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Where the fixtures of a version are.
fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// Runs tar, which has to succeed.
fn tar(arguments: &[&str]) {
    let done = Command::new("tar").args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "tar {arguments:?}: {done:?}");
}

/// Unpacks an archive of a fixture into a directory, and says where its contents are.
fn unpacked(version: &str, name: &str, to: &Path) -> PathBuf {
    let archive = fixtures(version).join(format!("{name}.tar.gz"));
    tar(&["-xzf", text(&archive), "-C", text(to)]);
    to.join(name)
}

/// The lines of a text of a fixture.
fn lines(version: &str, name: &str) -> Vec<String> {
    let contents = fs::read_to_string(fixtures(version).join(name)).unwrap();
    contents.lines().map(str::to_owned).collect()
}

/// Where the node of a fixture was reached, as its catalog says: an address of loopback that nothing
/// else here has.
const ADDRESS: &str = "127.73.1.1:7400";

/// The right to serve at [`ADDRESS`], which one test has at a time, of whatever process.
fn address_of_fixtures() -> fs::File {
    let lock = std::env::temp_dir().join("gitstratum-fixtures.lock");
    let lock = fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    lock
}

/// A node alone, on a directory that may be there already.
struct Alone {
    node: Serve,
    peers: String,
    git: String,
}

impl Alone {
    fn start(dir: &Path, data: &Path, listen: &str, more: &str) -> Self {
        let http = support::listen();
        let config = dir.join("node.toml");
        let lines = format!(
            "node_id = \"n1\"\nlisten = \"{listen}\"\ndata = \"{}\"\n[http]\nlisten = \"{http}\"\n{more}",
            text(data)
        );
        fs::write(&config, lines).unwrap();
        let node = Serve::start(&["--config", text(&config)]);
        wait_until("it has a catalog", || output(&["repo", "list"], listen).status.success());
        Alone { node, peers: listen.to_owned(), git: format!("http://{http}/") }
    }
}

/// Repositories by name, each with its refs as `git ls-remote` has them, of all that are listed.
fn refs(node: &Alone, dir: &Path) -> Vec<String> {
    let listed = run(&["repo", "list", "--json"], &node.peers);
    let listed = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut all = Vec::new();
    for repository in listed {
        let name = repository["name"].as_str().unwrap();
        let told = git(dir, &["ls-remote", &format!("{}{name}", node.git)]);
        all.extend(told.lines().map(|line| format!("{name} {}", line.replace('\t', " "))));
    }
    all
}

/// That a node has what a fixture says: refs that clone and are sound, objects, and nothing that was
/// deleted.
fn assert_repositories(version: &str, node: &Alone, dir: &Path) {
    let expected = lines(version, "refs.txt");
    assert_eq!(refs(node, dir), expected);
    let mut names: Vec<&str> =
        expected.iter().map(|line| line.split(' ').next().unwrap()).collect();
    names.dedup();
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let clone = dir.join("clone.git");
        git(dir, &["clone", "-q", "--mirror", &format!("{}{name}", node.git), text(&clone)]);
        git(&clone, &["fsck", "--full", "--strict"]);
        fs::remove_dir_all(&clone).unwrap();
        run(&["repo", "verify", name], &node.peers);
    }
}

#[test]
fn a_node_serves_the_directory_of_this_version_and_of_the_one_before() {
    for version in READ {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        let data = unpacked(version, "node", dir);
        run(&["store", "verify", text(&data)], "");
        let _address = address_of_fixtures();
        let node = Alone::start(dir, &data, ADDRESS, "");
        assert_repositories(version, &node, dir);
        let objects = lines(version, "objects.txt");
        assert!(objects.len() > 4, "{objects:?}");
        for line in objects {
            let (what, id) = line.split_once(' ').unwrap();
            let got = dir.join("got");
            let taken = output(&["get", id, "-o", text(&got)], &node.peers);
            assert_eq!(taken.status.success(), what == "held", "{line}: {taken:?}");
            if what == "held" {
                assert_eq!(git(dir, &["hash-object", text(&got)]).trim(), id);
                fs::remove_file(&got).unwrap();
            }
        }
        let tokens = run(&["token", "list"], &node.peers);
        assert!(tokens.contains("ci of version"), "{tokens}");

        // What this version adds to it is read again, too.
        let work = dir.join("work");
        git(dir, &["clone", "-q", &format!("{}team/project", node.git), text(&work)]);
        git(&work, &["commit", "-q", "--allow-empty", "-m", "later"]);
        git(&work, &["push", "-q", "origin", "HEAD:refs/heads/later"]);
        let before = refs(&node, dir);
        node.node.terminate();
        let node = Alone::start(dir, &data, ADDRESS, "");
        assert_eq!(refs(&node, dir), before);
        assert_eq!(before.len(), lines(version, "refs.txt").len() + 1);
        node.node.terminate();
        run(&["store", "verify", text(&data)], "");
    }
}

#[test]
fn a_backup_of_this_version_and_of_the_one_before_is_restored() {
    for version in READ {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        let backup = unpacked(version, "backup", dir);
        run(&["backup", "verify", text(&backup)], "");
        let node = Alone::start(dir, &dir.join("data"), &listen(), "");
        run(&["restore", text(&backup)], &node.peers);
        assert_repositories(version, &node, dir);
    }
}

#[test]
fn the_catalogs_text_of_this_version_and_of_the_one_before_is_loaded() {
    for version in READ {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        let catalog = unpacked(version, "catalog", dir);
        let dump = catalog.join("catalog.jsonl");
        let cluster = fs::read_to_string(catalog.join("cluster")).unwrap();
        let data = dir.join("data");
        let address = listen();
        let init = ["init", "--data", text(&data), "--id", "n1", "--cluster", &cluster];
        run(&[&init[..], &["--address", &address]].concat(), "");
        run(&["catalog", "load", text(&dump), "--data", text(&data)], "");
        // All but who is a member, where, and what happened with that.
        let kept = |text: &str| -> Vec<String> {
            let is_kept = |line: &&str| {
                ["repository", "ref", "pack", "token"]
                    .iter()
                    .any(|kind| line.starts_with(&format!("{{\"kind\":\"{kind}\"")))
            };
            text.lines().filter(is_kept).map(str::to_owned).collect()
        };
        let loaded = kept(&run(&["catalog", "dump", "--data", text(&data)], ""));
        assert!(loaded.len() > 300, "{}", loaded.len());
        assert_eq!(loaded, kept(&fs::read_to_string(&dump).unwrap()));
    }
}

#[tokio::test]
async fn hints_of_this_version_and_of_the_one_before_are_held() {
    for version in READ {
        let scratch = tempfile::tempdir().unwrap();
        let hints = unpacked(version, "hints", scratch.path());
        let absent = NodeId::new(ABSENT_NODE);
        let log = HintLog::open(&Disk::new(hints), HintOptions::default(), &[]).await.unwrap();
        let held = log.oldest(&absent, usize::MAX);
        let held: Vec<_> =
            held.iter().map(|hint| format!("{} {:?}", hint.id, hint.class)).collect();
        assert_eq!(held, lines(version, "hints.txt"));
        assert_eq!(held.len(), 4);
    }
}
