//! Writes the fixtures of this version: once, when it is released.
//!
//! ```sh
//! cargo test -p gitstratum --test cluster record_the_fixtures -- --ignored
//! cargo test -p gitstratum --test node record_the_conversation -- --ignored
//! ```
//!
//! What is there is not written over: a fixture is what a program left that is out of our hands.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use gitstratum_cluster::repair::{HintLog, HintOptions};
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{Missed, ReasonClass};
use gitstratum_host::Disk;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions};

use super::{ABSENT_NODE, ADDRESS, Alone, address_of_fixtures, fixtures, refs, tar, text};
use crate::repositories::noise;
use crate::support::{git, run};

/// Small segments and snapshots, so that there are several of each.
fn settings(compression: &str) -> String {
    format!(
        "[store]\nsegment_bytes = 65536\ncompression = \"{compression}\"\n[catalog]\nsnapshot_bytes = \
         65536\n"
    )
}

fn pack(to: &Path, from: &Path, name: &str) {
    // Sparse files are short in it, and the same contents give the same bytes.
    let archive = to.join(format!("{name}.tar.gz"));
    let arguments = ["--sort=name", "--owner=0", "--group=0", "-czSf", text(&archive)];
    tar(&[&arguments[..], &["-C", text(from), name]].concat());
}

/// Puts files; returns their ids.
fn put(node: &Alone, dir: &Path, contents: &[Vec<u8>]) -> Vec<String> {
    let paths: Vec<_> = (0..contents.len()).map(|n| dir.join(format!("object-{n}"))).collect();
    paths.iter().zip(contents).for_each(|(path, contents)| fs::write(path, contents).unwrap());
    let arguments: Vec<_> =
        ["put"].into_iter().chain(paths.iter().map(|path| text(path))).collect();
    run(&arguments, &node.peers).lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "writes the fixtures of this version"]
fn record_the_fixtures() {
    let mut numbers = env!("CARGO_PKG_VERSION").split('.');
    let version = format!("{}.{}", numbers.next().unwrap(), numbers.next().unwrap());
    let to = fixtures(&version);
    assert!(!to.join("node.tar.gz").exists(), "{to:?} is there, and is not written over");
    fs::create_dir_all(&to).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let data = dir.join("node");

    let _address = address_of_fixtures();
    let node = Alone::start(dir, &data, ADDRESS, &settings("zstd"));
    let work = dir.join("work");
    git(dir, &["init", "-q", "-b", "main", text(&work)]);
    for round in ["one", "two", "three"] {
        fs::write(work.join(round), round.repeat(500)).unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "-q", "-m", round]);
    }
    git(&work, &["tag", "-a", "v1", "-m", "first"]);
    for name in ["team/project", "many/refs", "gone/soon"] {
        run(&["repo", "create", name], &node.peers);
    }
    let url = |name: &str| format!("{}{name}", node.git);
    let all = ["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"];
    git(&work, &[&["push", "-q", &url("team/project")], &all[..]].concat());
    // What nothing compresses.
    fs::write(work.join("large"), noise(8_000)).unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "large"]);
    git(&work, &["push", "-q", &url("team/project"), "HEAD:refs/heads/main"]);
    // So many refs, with so long names, that the catalog writes a snapshot.
    let branch = |n: u32| format!("HEAD:refs/heads/{}/{n}", "branch".repeat(20));
    for round in 0..4 {
        let branches: Vec<_> = (round * 100..(round + 1) * 100).map(branch).collect();
        let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
        git(&work, &[&["push", "-q", &url("many/refs")], &branches[..]].concat());
    }
    run(&["repo", "fork", "team/project", "team/fork"], &node.peers);
    git(&work, &["push", "-q", &url("team/fork"), "HEAD~1:refs/heads/forked"]);
    git(&work, &["push", "-q", &url("gone/soon"), "HEAD:refs/heads/main"]);
    run(&["repo", "delete", "gone/soon"], &node.peers);
    run(&["repo", "set", "team/fork", "--public", "true", "--description", "words"], &node.peers);
    let sha256 = dir.join("sha256");
    git(dir, &["init", "-q", "-b", "main", "--object-format=sha256", text(&sha256)]);
    git(&sha256, &["commit", "-q", "--allow-empty", "-m", "one"]);
    run(&["repo", "create", "team/sha256", "--object-format", "sha256"], &node.peers);
    git(&sha256, &["push", "-q", &url("team/sha256"), "HEAD:refs/heads/main"]);
    let token = ["token", "create", "ci of version 0.1", "--scope", "write", "--prefix", "team"];
    run(&token, &node.peers);
    let mut ids = put(&node, dir, &[b"".into(), b"small".into(), b"words ".repeat(5000)]);
    ids.extend(put(&node, dir, &[b"a large object ".repeat(100_000), b"to be deleted".into()]));
    let deleted: ObjectId = ids.pop().unwrap().parse().unwrap();
    // The other codecs, in segments of their own.
    let mut node = node;
    for compression in ["lz4", "none"] {
        node.node.terminate();
        node = Alone::start(dir, &data, ADDRESS, &settings(compression));
        let words = |n: u32| format!("{compression} {n} ").repeat(2500).into_bytes();
        ids.extend(put(&node, dir, &(0..3).map(words).collect::<Vec<_>>()));
    }
    fs::write(to.join("refs.txt"), refs(&node, dir).join("\n") + "\n").unwrap();
    run(&["backup", text(&dir.join("backup"))], &node.peers);
    let catalog = dir.join("catalog");
    fs::create_dir(&catalog).unwrap();
    run(&["catalog", "dump", "-o", text(&catalog.join("catalog.jsonl"))], &node.peers);
    node.node.terminate();
    let named = fs::read_to_string(data.join("cluster")).unwrap();
    let cluster = named.lines().find_map(|line| line.strip_prefix("id ")).unwrap();
    fs::write(catalog.join("cluster"), cluster).unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always);
        let store = SegmentStore::open(Disk::new(data.clone()), options).await.unwrap();
        store.delete(&[deleted]).await.unwrap();
        store.close().await;
    });
    let held = ids.iter().map(|id| format!("held {id}\n"));
    let objects: String = held.chain([format!("deleted {deleted}\n")]).collect();
    fs::write(to.join("objects.txt"), objects).unwrap();
    let hints = runtime.block_on(hints(&dir.join("hints")));
    fs::write(to.join("hints.txt"), hints).unwrap();
    for name in ["node", "backup", "catalog", "hints"] {
        pack(&to, dir, name);
    }
}

/// Writes a log of hints, and says what is still held.
async fn hints(dir: &Path) -> String {
    let (disk, target) = (Disk::new(dir.to_owned()), NodeId::new(ABSENT_NODE));
    disk.create_dir_all("").await.unwrap();
    let log = HintLog::open(&disk, HintOptions::default(), &[]).await.unwrap();
    let classes = [
        ReasonClass::Unreachable,
        ReasonClass::TimedOut,
        ReasonClass::DiskFull,
        ReasonClass::ShuttingDown,
    ];
    let missed = classes.map(|class| {
        let data = Bytes::from(format!("missed, {class:?}"));
        let id = Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap().id();
        Missed { node_id: target.clone(), id, class, reason: "words".to_owned() }
    });
    log.record(missed.to_vec(), 3).await.unwrap();
    let held = log.oldest(&target, usize::MAX);
    log.close().await;
    held.iter().map(|hint| format!("{} {:?}\n", hint.id, hint.class)).collect()
}
