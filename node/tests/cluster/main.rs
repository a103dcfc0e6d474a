//! Real processes on loopback: the program as an operator meets it.
//!
//! One cluster serves the whole round trip, because `dev` chooses ports that are free
//! when it looks. Only children of this test are ever killed, by process id.
#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "real processes run in real time")]

mod access;
mod backup;
mod connections;
mod descriptors;
mod features;
mod full_disk;
mod git_push;
mod https;
mod identity;
mod layout;
mod members;
mod mirror;
mod monitor;
mod names;
mod output;
mod ports;
mod repair;
mod repositories;
mod rolling;
mod scrub;
mod signals;
mod status_page;
mod store;
mod support;
mod tls;
mod traces;
mod trio;
mod versions;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use support::{Dev, Serve, git, gitstratum, listen, output, run, wait_until};

/// Refs and reachable objects, as git lists them.
fn described(repository: &Path) -> (String, Vec<String>) {
    let refs = git(repository, &["for-each-ref"]);
    let objects = git(repository, &["rev-list", "--objects", "--all"]);
    let mut objects: Vec<String> = objects.lines().map(str::to_owned).collect();
    objects.sort();
    (refs, objects)
}

fn assert_returned(original: &Path, returned: &Path) {
    git(returned, &["fsck", "--full"]);
    assert_eq!(described(original), described(returned));
    assert_eq!(
        fs::read_to_string(original.join("HEAD")).unwrap(),
        fs::read_to_string(returned.join("HEAD")).unwrap()
    );
}

fn bytes_under(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn a_cluster_returns_a_repository_though_a_node_was_killed_half_way() {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("repository");
    support::make_repository(&repository, 900);
    let mut dev = Dev::start(&dir.path().join("dev"));
    let peers = dev.peers();

    // Killed while objects arrive, and started again as `dev` said.
    let import =
        gitstratum(&["import", repository.to_str().unwrap(), "project"], &peers).spawn().unwrap();
    let (pid, victim) = (dev.nodes[2].pid, dev.nodes[2].dir.clone());
    wait_until("some objects are stored", || bytes_under(&victim.join("data")) > 2 << 20);
    support::kill(pid);
    let import = import.wait_with_output().unwrap();
    let said = String::from_utf8(import.stderr).unwrap();
    assert!(import.status.success(), "{said}");
    assert!(said.contains("replica writes failed"), "{said}");
    assert_eq!(String::from_utf8(import.stdout).unwrap(), "project\n");
    dev.wait_for_line("node n3 died");
    let status = run(&["status", "--details"], &peers);
    assert!(status.contains("n3 lacks "), "{status}");
    let config = victim.join("config.toml");
    let restarted = Serve::start(&["--config", config.to_str().unwrap()]);

    let returned = dir.path().join("returned.git");
    run(&["export", "project", returned.to_str().unwrap()], &peers);
    assert_returned(&repository, &returned);

    // A second import finds all of it there, and hints bring the third node what it missed.
    let again = output(&["import", repository.to_str().unwrap(), "project"], &peers);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success() && said.contains("already"), "{said}");
    wait_until("all replicas have all", || {
        output(&["repo", "verify", "project"], &peers).status.success()
    });
    let taken = output(&["export", "project", dir.path().to_str().unwrap()], &peers);
    assert_eq!(taken.status.code(), Some(1), "a directory with something else in it");

    sha256_repositories_too(dir.path(), &peers);
    objects_are_what_git_says(dir.path(), &peers);
    bad_input_changes_nothing(dir.path(), &peers);

    // Asked to stop, everything stops, and soon.
    let began = Instant::now();
    restarted.terminate();
    support::terminate(dev.nodes[1].pid);
    dev.wait_for_line("node n2 died");
    dev.terminate();
    assert!(began.elapsed() < Duration::from_secs(10));
}

fn sha256_repositories_too(dir: &Path, peers: &str) {
    let (repository, returned) = (dir.join("sha256.git"), dir.join("sha256-returned.git"));
    fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "-q", "--bare", "-b", "main", "--object-format=sha256"]);
    let tree = git(&repository, &["mktree"]);
    let commit = git(&repository, &["commit-tree", "-m", "empty", tree.trim()]);
    git(&repository, &["update-ref", "refs/heads/main", commit.trim()]);
    git(&repository, &["symbolic-ref", "refs/heads/pointer", "refs/heads/main"]);
    run(&["import", repository.to_str().unwrap(), "sha256"], peers);
    run(&["export", "sha256", returned.to_str().unwrap()], peers);
    assert_returned(&repository, &returned);
}

fn objects_are_what_git_says(dir: &Path, peers: &str) {
    for (name, len) in [("empty", 0), ("small", 11), ("large", (3 << 20) + 1)] {
        let (file, back) = (dir.join(name), dir.join(format!("{name}.back")));
        fs::write(&file, vec![b'x'; len]).unwrap();
        let path = file.to_str().unwrap();
        let id = run(&["put", path], peers);
        assert_eq!(id, git(dir, &["hash-object", path]), "{name}");
        run(&["get", id.trim(), "-o", back.to_str().unwrap()], peers);
        assert_eq!(fs::read(&file).unwrap(), fs::read(&back).unwrap(), "{name}");
        assert_eq!(output(&["get", id.trim()], peers).stdout, fs::read(&file).unwrap(), "{name}");
    }
}

fn bad_input_changes_nothing(dir: &Path, peers: &str) {
    let absent = "0123456789012345678901234567890123456789";
    let first = peers.split(',').next().unwrap();
    let twice = format!("{first},{first}");
    let missing = dir.join("missing");
    let path = missing.to_str().unwrap();
    for (arguments, peers, code, words) in [
        (vec!["has", absent], peers, 1, "not found"),
        (vec!["get", absent], peers, 1, "not found"),
        (vec!["get", "0123"], peers, 2, "object id"),
        (vec!["put", path], peers, 1, "missing"),
        (vec!["put", "-t", "twig", "x"], peers, 2, "unknown object kind"),
        (vec!["status"], &twice, 2, "--peers"),
        (vec!["status"], "nowhere", 2, "--peers"),
        (vec!["status"], "127.0.0.1:1", 1, "refused"),
        (vec!["import", dir.to_str().unwrap(), "x"], peers, 1, "Git repository"),
        (vec!["export", absent, path], peers, 1, "not found"),
        (vec!["export", "no/such", path], peers, 1, "no repository named no/such"),
        (vec!["repo", "verify", "no/such"], peers, 1, "no repository named no/such"),
        (vec!["repo", "fork", "no/such", "x"], peers, 1, "no repository named no/such"),
    ] {
        let refused = output(&arguments, peers);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(!missing.exists());
}

#[test]
fn a_wrong_configuration_is_refused_by_field_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("config.toml"), dir.path().join("data"));
    let text = format!(
        "node_id = \"n1\"\nlisten = \"127.0.0.1:1\"\ndata = {data:?}\n\
         [cluster]\nversion = 1\nreplicas = 1\nwrite_quorum = 2\nread_quorum = 1\n\
         [[node]]\nid = \"n1\"\naddress = \"127.0.0.1:1\"\n"
    );
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    for arguments in [&["check-config", path][..], &["serve", "--config", path]] {
        let refused = output(arguments, "");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("cluster.write_quorum"), "{said}");
    }
    assert!(!data.exists());
    assert_eq!(output(&["serve", "--no-such-flag"], "").status.code(), Some(2));
}

#[test]
fn a_port_or_a_directory_in_use_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let refused = |arguments: &[&str], words: &str| {
        let refused = output(arguments, "");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(&["init", "--data", data, "--listen", &address, "--id", "n1"], "");
    let before = bytes_under(Path::new(data));
    refused(&["serve", "--data", data], &address);
    assert_eq!(bytes_under(Path::new(data)), before);

    let running = Serve::start(&["--data", data, "--listen", &listen(), "--node-id", "n1"]);
    refused(&["serve", "--data", data, "--listen", &listen(), "--node-id", "n1"], "in use");
    running.terminate();
    let before = bytes_under(Path::new(data));
    refused(&["serve", "--data", data, "--listen", &listen(), "--node-id", "n2"], "n1");
    assert_eq!(bytes_under(Path::new(data)), before);
}

#[test]
fn a_store_is_made_in_an_empty_directory_only_and_never_inside_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let refused = |data: &str, words: &[&str]| {
        let before = bytes_under(dir.path());
        for command in ["init", "serve"] {
            let refused = output(&[command, "--data", data, "--listen", &listen()], "");
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(1), "{said}");
            for word in words.iter().chain(&[data]) {
                assert!(said.contains(word), "{word:?} is not in {said}");
            }
        }
        assert_eq!(bytes_under(dir.path()), before, "something was written");
    };
    let (file, photos) = (path("file"), path("photos"));
    fs::write(&file, "hi").unwrap();
    fs::create_dir(&photos).unwrap();
    for name in ["a", "b", "c", "d", "lost+found"] {
        fs::write(dir.path().join("photos").join(name), "x").unwrap();
    }
    refused(&photos, &["\"a\", \"b\", \"c\" and 1 more", "empty or a new directory"]);
    refused(&file, &[]);

    // A fresh file system is as good as an empty directory.
    let data = path("data");
    fs::create_dir_all(dir.path().join("data/lost+found")).unwrap();
    let address = listen();
    let serve = |data: &str| Serve::start(&["--data", data, "--listen", &address]);
    let node = serve(&data);
    let id = run(&["put", &file], &address);
    run(&["snapshot", "monday"], &address);
    for inside in ["data/segments", "data/new/deep", "data/snapshots", "data/snapshots/monday"] {
        refused(&path(inside), &["inside the data directory", "of node n1"]);
    }
    let dev = output(&["dev", "--data", &path("data/dev")], "");
    assert_eq!(dev.status.code(), Some(1), "{dev:?}");
    node.terminate();
    for inside in ["data/segments", "data/snapshots/monday"] {
        refused(&path(inside), &["of node n1"]);
    }
    let node = serve(&data);
    assert_eq!(run(&["get", id.trim()], &address), "hi");
    node.terminate();
    // What lost the file that says whose it is does not pass for new.
    fs::remove_file(dir.path().join("data/node")).unwrap();
    refused(&data, &["\"large\"", "no file named node"]);
    // And what an interrupted first start left is no obstacle.
    let again = path("again");
    fs::create_dir(&again).unwrap();
    for name in ["lock", "catching-up", "catching-up.tmp", "node.tmp"] {
        fs::write(dir.path().join("again").join(name), "").unwrap();
    }
    serve(&again).terminate();
}
