//! Backup and restore: the drill, with stock git, and everything that may be wrong with a directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::full_disk::Mounted;
use crate::repositories::noise;
use crate::support::{Dev, Serve, git, gitstratum, listen, output, run, signal, wait_until};
use crate::{assert_returned, bytes_under};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the program, which has to fail, and returns why.
fn refused(arguments: &[&str], peers: &str, code: i32) -> String {
    let refused = output(arguments, peers);
    let said = said(&refused);
    assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

/// A cluster of one, with Git.
struct One {
    _node: Serve,
    peers: String,
    git: String,
}

impl One {
    fn start(dir: &Path) -> Self {
        let (listen, http) = (listen(), listen());
        let config = format!(
            "node_id = \"n1\"\nlisten = \"{listen}\"\ndata = \"{}\"\n[http]\nlisten = \"{http}\"\n",
            text(&dir.join("data"))
        );
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("config.toml"), config).unwrap();
        let node = Serve::start(&["--config", text(&dir.join("config.toml"))]);
        wait_until("it has a catalog", || output(&["repo", "list"], &listen).status.success());
        One { _node: node, peers: listen, git: format!("http://{http}/") }
    }
}

/// A small repository with a few commits and an annotated tag.
fn make_history(path: &Path) {
    git(path.parent().unwrap(), &["init", "-q", "-b", "main", text(path)]);
    for round in ["one", "two", "three"] {
        fs::write(path.join(round), round.repeat(1000)).unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-q", "-m", round]);
    }
    git(path, &["tag", "-a", "v1", "-m", "first"]);
}

fn clone(url: &str, to: &Path) {
    git(to.parent().unwrap(), &["clone", "-q", "--mirror", url, text(to)]);
}

/// What two servers have under these names is the same, and what Git says of it.
fn assert_same(dir: &Path, one: &str, other: &str) {
    let (original, returned) = (dir.join("one.git"), dir.join("other.git"));
    clone(one, &original);
    clone(other, &returned);
    assert_returned(&original, &returned);
    for clone in [original, returned] {
        fs::remove_dir_all(clone).unwrap();
    }
}

/// Object files of a backup.
fn objects(backup: &Path) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![backup.join("objects")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Stops a process in its midst, and has it asked to end.
fn interrupted(child: Child, is_in_its_midst: impl FnMut() -> bool) -> Output {
    wait_until("it is in its midst", is_in_its_midst);
    // It does not come to its end while it is asked to.
    for name in ["-STOP", "-TERM", "-CONT"] {
        signal(name, child.id());
    }
    child.wait_with_output().unwrap()
}

/// Lines of a catalog's text that are of one of these kinds.
fn lines(catalog: &str, kinds: &[&str]) -> Vec<Value> {
    let records = catalog.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| kinds.contains(&record["kind"].as_str().unwrap())).collect()
}

/// The numbers of repositories by their names, as a catalog's text has them.
fn numbers(catalog: &str) -> Vec<(String, u64)> {
    let named = |record: &Value| {
        let name = record["repository"]["name"].as_str().unwrap().to_owned();
        (name, record["id"].as_u64().unwrap())
    };
    lines(catalog, &["repository"]).iter().map(named).collect()
}

#[test]
fn a_cluster_that_was_backed_up_while_it_was_pushed_to_comes_back_on_one_node() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let (work, backup) = (dir.join("work"), dir.join("backup"));
    let backup_text = text(&backup);
    make_history(&work);
    let dev = Dev::start(&dir.join("dev"));
    dev.wait_for_voters();
    let peers = dev.peers();
    let at = |node: usize, name: &str| format!("{}{name}", dev.nodes[node].git);
    let all = ["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"];
    git(&work, &[&["push", "-q", &at(0, "team/project")], &all[..]].concat());
    git(&work, &["push", "-q", &at(1, "gone"), "HEAD:refs/heads/main"]);
    run(&["repo", "delete", "gone"], &peers);
    run(&["repo", "fork", "team/project", "fork"], &peers);
    git(&work, &["push", "-q", &at(2, "fork"), "HEAD:refs/heads/forked"]);
    // So large that it takes a moment.
    fs::write(dir.join("noise"), noise(14 << 20)).unwrap();
    let blob = git(&work, &["hash-object", "-w", text(&dir.join("noise"))]);
    git(&work, &["push", "-q", &at(0, "large"), &format!("{}:refs/tags/noise", blob.trim())]);
    run(&["token", "create", "ci", "--scope", "write", "--prefix", "team"], &peers);
    run(&["put", text(&dev.nodes[0].dir.join("config.toml"))], &peers);

    // Interrupted, it leaves no position; given again, it fetches the rest.
    let taking = gitstratum(&["backup", backup_text, "--jobs", "1"], &peers).spawn().unwrap();
    let ended = interrupted(taking, || objects(&backup).len() > 1);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(said(&ended).contains("interrupted; give the same command again"), "{ended:?}");
    assert!(said(&output(&["backup", "list", backup_text], "")).contains("no backup in it came"));
    assert!(refused(&["restore", backup_text], &peers, 1).contains("no backup in it came"));
    let there = objects(&backup).len();

    // Pushes go on meanwhile.
    let (is_taken, busy) = (AtomicBool::new(false), dir.join("busy"));
    git(dir, &["clone", "-q", &at(0, "team/project"), text(&busy)]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !is_taken.load(Ordering::SeqCst) || round < 3 {
                git(&busy, &["commit", "-q", "--allow-empty", "-m", "busy"]);
                git(&busy, &["push", "-q", &at(round % 3, "busy"), "HEAD:refs/heads/main"]);
                round += 1;
            }
        });
        let taken = output(&["backup", backup_text], &peers);
        is_taken.store(true, Ordering::SeqCst);
        let said = said(&taken);
        assert!(taken.status.success(), "{said}");
        assert!(said.contains("objects that were put without a name"), "{said}");
        let summary = said.lines().find(|line| line.contains("of the catalog, in")).unwrap();
        let words: Vec<&str> = summary.split([' ', ',', ';']).collect();
        let number = |before: &str| -> usize {
            let at = words.iter().position(|word| *word == before).unwrap();
            words[..at].iter().rev().find_map(|word| word.parse().ok()).unwrap()
        };
        let (of, new) = (number("chunks"), number("them"));
        assert_eq!(of, objects(&backup).len());
        assert!(new + there <= of + 1 && new < of, "{there} were there: {said}");
    });
    // The next one has what came since, and the one before stays until it is forgotten.
    let commit = git(&work, &["commit-tree", "-p", "HEAD", "-m", "later", "HEAD^{tree}"]);
    let later = format!("{}:refs/heads/later", commit.trim());
    git(&work, &["push", "-q", &at(0, "team/project"), &later]);
    let position = run(&["backup", backup_text, "--verify"], &peers);
    let listed = run(&["backup", "list", backup_text], "");
    assert!(listed.lines().count() == 3 && listed.contains(position.trim()), "{listed}");
    let sound = run(&["backup", "verify", backup_text], "");
    assert!(sound.contains("is sound: 2 positions"), "{sound}");
    let catalog = backup.join("positions").join(position.trim()).join("catalog.jsonl");
    let catalog = fs::read_to_string(catalog).unwrap();

    // Restored into one node: interrupted, nothing has a name; given again, everything has.
    let one = One::start(&dir.join("one"));
    let arguments = ["restore", backup_text, "--jobs", "1"];
    let data = dir.join("one/data");
    let before = bytes_under(&data);
    let restoring = gitstratum(&arguments, &one.peers).spawn().unwrap();
    let ended = interrupted(restoring, || bytes_under(&data) > before + (2 << 20));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(run(&["repo", "list"], &one.peers), "");
    let held = refused(&["repo", "undelete", "team/project"], &one.peers, 1);
    assert!(held.contains("is being restored and not whole yet"), "{held}");
    let left_out = output(&["backup", text(&dir.join("halfway"))], &one.peers);
    assert!(said(&left_out).contains("team/project is not in it"), "{left_out:?}");
    assert_eq!(run(&arguments, &one.peers), "team/project\nfork\nlarge\nbusy\n");
    assert!(said(&output(&arguments, &one.peers)).contains("are there already"));

    for name in ["team/project", "fork"] {
        assert_same(dir, &at(1, name), &format!("{}{name}", one.git));
        run(&["repo", "verify", name], &one.peers);
    }
    run(&["repo", "verify", "large"], &one.peers);
    let restored = run(&["catalog", "dump"], &one.peers);
    let kinds = ["ref", "pack", "token"];
    assert_eq!(lines(&restored, &kinds), lines(&catalog, &kinds));
    assert_eq!(numbers(&restored), numbers(&catalog));
    // What was pushed meanwhile is there whole, as it was at some moment.
    let returned = dir.join("busy.git");
    clone(&format!("{}busy", one.git), &returned);
    git(&returned, &["fsck", "--full"]);
    let head = git(&returned, &["rev-parse", "refs/heads/main"]);
    git(&busy, &["merge-base", "--is-ancestor", head.trim(), "HEAD"]);
    run(&["repo", "undelete", "gone"], &one.peers);
    run(&["repo", "verify", "gone"], &one.peers);
    // A restored cluster is pushed to, forked and backed up like any other.
    git(&work, &["push", "-q", &format!("{}fork", one.git), "HEAD:refs/heads/more"]);
    run(&["backup", text(&dir.join("again"))], &one.peers);

    wrong_input_changes_nothing(dir, &peers, &one);
    one_repository_comes_back_beside_others(dir, &dev, &peers);
    dev.terminate();
}

fn wrong_input_changes_nothing(dir: &Path, peers: &str, one: &One) {
    let (backup, empty) = (dir.join("backup"), dir.join("empty"));
    let backup = text(&backup);
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("x"), "x").unwrap();
    for (arguments, peers, words) in [
        (vec!["restore", backup], peers, "the cluster is not empty: it has "),
        (vec!["restore", backup, "--at", "then"], peers, "there is no position then"),
        (vec!["restore", backup, "--repository", "no"], peers, "has no repository named no"),
        (vec!["restore", backup, "--repository", "fork"], peers, "has a repository named fork"),
        (vec!["restore", text(&empty)], peers, "it is no backup"),
        (vec!["backup", text(&empty)], peers, "not empty, and no backup"),
        (vec!["backup", "verify", text(&empty)], "", "it is no backup"),
        (vec!["backup", backup], &one.peers, "it is a backup of cluster"),
        (vec!["backup", backup, "--repository", "no"], peers, "no repository named no"),
    ] {
        let said = refused(&arguments, peers, 1);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    refused(&["backup"], peers, 2);
    refused(&["restore", backup, "--as", "x"], peers, 2);
    let wrong = ["restore", backup, "--repository", "fork", "--as", "x.git"];
    assert!(refused(&wrong, peers, 2).contains("--as: \"x.git\" cannot be a name"));
    refused(&["backup", backup, "--repository", "fork", "--keep", "1"], peers, 2);
    refused(&["backup", "prune", backup, "--keep", "0"], "", 2);

    let marker = dir.join("backup/gitstratum-backup.json");
    let lock = File::options().write(true).open(&marker).unwrap();
    lock.lock().unwrap();
    for arguments in [&["backup", backup][..], &["restore", backup], &["backup", "verify", backup]]
    {
        assert!(refused(arguments, peers, 1).contains("it is in use"));
    }
    drop(lock);
    let newer = fs::read_to_string(&marker).unwrap().replace("\"format\":1", "\"format\":2");
    let original = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, newer).unwrap();
    assert!(refused(&["restore", backup], peers, 1).contains("has format 2"));
    fs::write(&marker, original).unwrap();
    full(peers);
}

/// A directory on a file system without room.
fn full(peers: &str) {
    let Some(disk) = Mounted::new("size=4m") else { return };
    let backup = disk.path("backup");
    let said = refused(&["backup", text(&backup)], peers, 1);
    assert!(said.contains("the file system is full: make room there"), "{said}");
    assert!(!objects(&backup).is_empty() && !backup.join("positions").exists());
    assert_eq!(fs::read_dir(backup.join("unfinished")).unwrap().count(), 0);
    disk.mount_again("remount,size=200m");
    run(&["backup", text(&backup)], peers);
    assert!(run(&["backup", "verify", text(&backup)], "").contains("is sound: 1 positions"));
}

fn one_repository_comes_back_beside_others(dir: &Path, dev: &Dev, peers: &str) {
    let backup = dir.join("backup");
    let backup_text = text(&backup);
    let url = |name: &str| format!("{}{name}", dev.nodes[0].git);
    let restore = ["restore", backup_text, "--repository", "team/project", "--as", "copy"];

    // A file that is damaged, and one that is missing, are found before anything has a name.
    let files = objects(&backup);
    let largest = files.iter().max_by_key(|file| file.metadata().unwrap().len()).unwrap();
    let sound = fs::read(largest).unwrap();
    let mut bytes = sound.clone();
    bytes[sound.len() / 2] ^= 1;
    fs::write(largest, &bytes).unwrap();
    let found = output(&["backup", "verify", backup_text], "");
    let lines = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(1));
    assert!(lines.lines().count() == 1 && lines.contains("is damaged"), "{lines}");
    fs::remove_file(&files[0]).unwrap();
    let fresh = One::start(&dir.join("fresh"));
    let said_here = refused(&["restore", backup_text], &fresh.peers, 1);
    assert!(
        said_here.contains("2 of ") && said_here.contains("Nothing was restored"),
        "{said_here}"
    );
    assert_eq!(run(&["repo", "list", "--deleted"], &fresh.peers), "");
    let healed = output(&["backup", backup_text, "--verify"], peers);
    assert!(said(&healed).contains("1 files were damaged, and are sound again"), "{healed:?}");
    run(&["backup", "verify", backup_text], "");

    assert_eq!(run(&restore, peers), "copy\n");
    assert_same(dir, &url("team/project"), &url("copy"));
    run(&["repo", "verify", "copy"], peers);
    assert!(said(&output(&restore, peers)).contains("are there already"));
    // One that was deleted comes back by its name, and into a cluster that never had it.
    assert_eq!(run(&["restore", backup_text, "--repository", "gone"], peers), "gone\n");
    run(&["restore", backup_text, "--repository", "fork"], &fresh.peers);
    assert_same(dir, &url("fork"), &format!("{}fork", fresh.git));

    // A backup of one repository alone is in the list, and is no backup of all.
    run(&["backup", backup_text, "--repository", "copy"], peers);
    let only = run(&["backup", "list", backup_text], "");
    assert!(only.lines().last().unwrap().ends_with("copy"), "{only}");
    run(&["restore", backup_text, "--repository", "copy"], &fresh.peers);
    let alone = dir.join("alone");
    run(&["backup", text(&alone), "--repository", "copy"], peers);
    let said_here = refused(&["restore", text(&alone)], &fresh.peers, 1);
    assert!(said_here.contains("some repositories only"), "{said_here}");

    // What is forgotten takes its files with it, and what is kept lacks nothing.
    run(&["repo", "delete", "large", "--keep-days", "0"], peers);
    wait_until("it is gone", || {
        run(&["repo", "list", "--deleted"], peers).matches("large").count() == 0
    });
    let kept = run(&["backup", backup_text, "--keep", "1"], peers);
    assert_eq!(run(&["backup", "list", backup_text], "").lines().count(), 2);
    let few = objects(&backup).len();
    assert!(few > 0 && few < files.len() / 2, "{few} of {}", files.len());
    let sound = run(&["backup", "verify", backup_text], "");
    assert!(sound.contains("1 positions"), "{kept}: {sound}");
}
