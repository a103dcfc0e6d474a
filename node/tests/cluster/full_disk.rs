//! A disk that is full, or takes nothing for another reason: a node starts, serves reads, and
//! says what it does not do.
//!
//! Each test has a small file system of its own, which takes root to mount. Without it they say
//! so and are left out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Serve, files, listen, output, run, wait_until};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file system in memory, unmounted with the test.
pub struct Mounted {
    dir: TempDir,
}

impl Mounted {
    /// One with these options of mount; nothing where that is not allowed, which it says.
    pub fn new(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", options, "none"];
        let mounted = Command::new("mount").args(options).arg(dir.path()).output();
        match mounted {
            Ok(done) if done.status.success() => Some(Mounted { dir }),
            other => {
                println!("left out, because nothing can be mounted here: {other:?}");
                None
            }
        }
    }

    /// A path on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes its options.
    pub fn mount_again(&self, options: &str) {
        let mounted = Command::new("mount").args(["-o", options]).arg(self.dir.path()).status();
        assert!(mounted.unwrap().success());
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut fill = File::create(self.path("fill")).unwrap();
        for bytes in [64 << 10, 4096, 1] {
            while std::io::Write::write_all(&mut fill, &vec![b'x'; bytes]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path("fill")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.dir.path()).status();
    }
}

/// A node with its data on a small file system, its files and its log elsewhere.
struct Node {
    disk: Mounted,
    beside: TempDir,
    address: String,
}

impl Node {
    fn new(options: &str, reserve_bytes: u64) -> Option<Self> {
        let (disk, beside) = (Mounted::new(options)?, tempfile::tempdir().unwrap());
        let address = listen();
        let config = format!(
            "node_id = \"n1\"\nlisten = \"{address}\"\ndata = \"{}\"\n\
             [store]\nreserve_bytes = {reserve_bytes}\n",
            text(&disk.path("data"))
        );
        fs::write(beside.path().join("config.toml"), config).unwrap();
        Some(Node { disk, beside, address })
    }

    fn start(&self) -> Serve {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        Serve::start_logging(
            log.into(),
            &["--config", text(&self.beside.path().join("config.toml"))],
        )
    }

    fn log_path(&self) -> PathBuf {
        self.beside.path().join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    /// Puts so many bytes that nothing compresses.
    fn put(&self, name: &str, len: usize) -> Result<String, String> {
        let file = self.beside.path().join(name);
        let step = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*state >> 56) as u8)
        };
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(131) + u64::from(byte));
        let data: Vec<u8> =
            std::iter::repeat_n((), len).scan(seed, |state, ()| step(state)).collect();
        fs::write(&file, data).unwrap();
        let done = output(&["put", text(&file)], &self.address);
        match done.status.success() {
            true => Ok(String::from_utf8(done.stdout).unwrap().trim().to_owned()),
            false => Err(String::from_utf8(done.stderr).unwrap()),
        }
    }

    fn reads(&self, name: &str, id: &str) -> bool {
        let read = output(&["get", id], &self.address);
        read.stdout == fs::read(self.beside.path().join(name)).unwrap()
    }

    fn refused(&self) -> String {
        let status: Value =
            serde_json::from_str(&run(&["status", "--json"], &self.address)).unwrap();
        status["nodes"][0]["store"]["puts_refused"].as_str().unwrap().to_owned()
    }

    fn row(&self) -> String {
        let table = run(&["status"], &self.address);
        table.lines().find(|line| line.starts_with("n1")).unwrap().to_owned()
    }
}

#[test]
fn with_no_byte_free_a_node_starts_serves_reads_and_says_that_it_takes_no_puts() {
    let Some(node) = Node::new("size=24m", 4 << 20) else { return };
    let serve = node.start();
    assert!(node.row().ends_with("ok"), "{}", node.row());
    let small = node.put("small", 300).unwrap();
    let large = node.put("large", 3 << 20).unwrap();
    node.disk.fill();
    let row = node.row();
    assert!(row.contains("takes no puts: the disk is full: 0 bytes are free"), "{row}");
    let mut tried = 0;
    let mut refuses = |len| {
        tried += 1;
        let put = node.put(&format!("refused-{tried}"), len);
        put.is_err_and(|words| words.contains("the disk is full"))
    };
    // A put within a second goes by what room there was then.
    wait_until("small puts are refused", || refuses(100));
    assert!(refuses(2 << 20));
    serve.terminate();
    // Whatever was left is taken by others meanwhile.
    node.disk.fill();

    for stops in 0..2 {
        let serve = node.start();
        assert!(node.reads("small", &small) && node.reads("large", &large));
        assert!(node.row().contains("takes no puts: the disk is full"), "{}", node.row());
        assert!(node.refused().contains("bytes are free"));
        assert!(refuses(100));
        let told = node.log().matches("takes no puts").count();
        assert_eq!(told, 2 + stops, "once by each process:\n{}", node.log());
        match stops {
            0 => serve.terminate(),
            _ => serve.kill(),
        }
    }
    // Killed, it looks for a torn tail, and finds none.
    let serve = node.start();
    assert!(node.reads("small", &small));
    node.disk.make_room();
    wait_until("it takes puts", || node.refused().is_empty());
    assert!(node.row().ends_with("ok"), "{}", node.row());
    assert_eq!(node.log().matches("takes puts again").count(), 1, "{}", node.log());
    let later = node.put("later", 1000).unwrap();
    assert!(node.reads("later", &later));
    serve.terminate();
    assert!(run(&["store", "verify", text(&node.disk.path("data"))], "").contains("all sound"));
}

#[test]
fn a_tail_that_a_crash_tore_is_voided_with_no_byte_free() {
    let Some(node) = Node::new("size=24m", 0) else { return };
    let serve = node.start();
    let kept = node.put("kept", 500).unwrap();
    serve.kill();
    let segment = &files(&node.disk.path("data/segments"), ".seg")[0];
    let torn = File::options().write(true).open(segment).unwrap();
    // Zeros are written ahead of the records: half of another one stands there.
    std::os::unix::fs::FileExt::write_all_at(&torn, b"RECO", 700).unwrap();
    node.disk.fill();
    let serve = node.start();
    assert!(node.reads("kept", &kept));
    assert!(node.log().contains("cutting what is behind the last record"), "{}", node.log());
    // Where those zeros were, there was room.
    node.disk.make_room();
    node.disk.fill();
    assert!(node.row().contains("takes no puts: the disk is full"), "{}", node.row());
    serve.terminate();
}

#[test]
fn with_no_inode_free_a_node_starts_and_says_so() {
    let Some(node) = Node::new("size=24m,nr_inodes=64", 0) else { return };
    let serve = node.start();
    let kept = node.put("kept", 500).unwrap();
    serve.terminate();
    for n in 0.. {
        if File::create(node.disk.path(&format!("empty-{n}"))).is_err() {
            break;
        }
    }
    let serve = node.start();
    assert!(node.reads("kept", &kept));
    assert!(node.row().contains("takes no puts: no inode is free"), "{}", node.row());
    // A large object takes its file, and for a moment those that note its name.
    for n in 0..6 {
        fs::remove_file(node.disk.path(&format!("empty-{n}"))).unwrap();
    }
    wait_until("it takes puts", || node.refused().is_empty());
    node.put("later", 2 << 20).unwrap();
    serve.terminate();
}

#[test]
fn on_a_read_only_file_system_a_node_that_was_stopped_starts_and_serves_reads() {
    let Some(node) = Node::new("size=24m", 0) else { return };
    let serve = node.start();
    let kept = node.put("kept", 500).unwrap();
    serve.terminate();
    node.disk.mount_again("remount,ro");
    let serve = node.start();
    assert!(node.reads("kept", &kept));
    assert!(node.row().contains("the file system is read-only"), "{}", node.row());
    assert!(node.put("refused", 100).unwrap_err().contains("the file system is read-only"));
    serve.terminate();
    node.disk.mount_again("remount,rw");
    let serve = node.start();
    node.put("later", 100).unwrap();
    serve.terminate();
}

#[test]
fn a_new_directory_on_a_full_disk_is_refused_with_the_cause_and_is_new_again_later() {
    let Some(node) = Node::new("size=16m", 0) else { return };
    node.disk.fill();
    let config = node.beside.path().join("config.toml");
    let refused = output(&["init", "--config", text(&config)], "");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("No space left on device") && words.contains("data"), "{words}");
    node.disk.make_room();
    let serve = node.start();
    node.put("first", 100).unwrap();
    serve.terminate();
}
