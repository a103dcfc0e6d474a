//! Test fixture.
//!
//! For tests of import and export: repositories made by git, and a cluster of one real node.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_core::object::ObjectId;
use gitstratum_host::disk::{Scratch, scratch};
use gitstratum_host::{Host, Net};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;

use super::Progress;
use super::export::{ExportError, ExportReport, export};
use super::import::{ImportError, ImportOptions, ImportReport, import};
use crate::config::{Config, ConfigOverrides};
use crate::server::{Serving, serve};

/// What git says; it has to succeed.
pub(super) fn git(dir: &Path, arguments: &[&str]) -> String {
    git_with(dir, arguments, b"")
}

/// The same, with standard input.
pub(super) fn git_with(dir: &Path, arguments: &[&str], input: &[u8]) -> String {
    let output = git_output(dir, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Runs git apart from the user's configuration and the clock.
pub(super) fn git_output(dir: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0"])
        .args(["-c", "protocol.file.allow=always"])
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
    child.wait_with_output().unwrap()
}

/// A repository of three commits to one file, with a work tree; loose objects only.
pub(super) fn small(dir: &Path) {
    git(dir, &["init", "-q", "-b", "main"]);
    for text in ["one", "two", "three"] {
        std::fs::write(dir.join("file"), text).unwrap();
        git(dir, &["add", "."]);
        git(dir, &["commit", "-q", "-m", text]);
    }
}

/// The file of a loose object.
pub(super) fn loose(dir: &Path, id: &str) -> PathBuf {
    dir.join(".git/objects").join(&id[..2]).join(&id[2..])
}

/// Every object that git finds, sorted.
pub(super) fn objects(dir: &Path) -> Vec<String> {
    let listed = git(dir, &["cat-file", "--batch-all-objects", "--batch-check"]);
    listed.lines().map(str::to_owned).collect()
}

/// Every reference that git lists, symbolic ones as such, and HEAD.
pub(super) fn references(dir: &Path) -> String {
    let format = "--format=%(if)%(symref)%(then)%(symref)%(else)%(objectname)%(end) %(refname)";
    let head = std::fs::read_to_string(dir.join("HEAD"));
    let head = head.or_else(|_| std::fs::read_to_string(dir.join(".git/HEAD"))).unwrap();
    git(dir, &["for-each-ref", format]) + "\n" + &head
}

/// Bytes that do not compress, so that large objects stay large.
pub(super) fn noise(len: usize, mut state: u64) -> Vec<u8> {
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Progress that nobody looks at.
pub(super) struct Unseen;

impl Progress for Unseen {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn end(&self) {}
}

/// A node of one, and a client of it.
pub(super) struct Node {
    pub(super) client: Client,
    /// Dropping it stops the node.
    _stop: oneshot::Sender<()>,
    _scratch: Scratch,
}

impl Node {
    pub(super) async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let overrides = ConfigOverrides {
            data: Some("unused".into()),
            listen: Some(listen),
            node_id: Some("n1".into()),
            ..ConfigOverrides::default()
        };
        let config = Config::from_toml("", "test", overrides).unwrap().config;
        let scratch = scratch();
        let host = Host { net: Net::new(), disk: scratch.disk.clone() };
        let (ready, serving) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let ready = move |serving: Serving| ready.send(serving.address).unwrap();
            let stopped = async { drop(stopped.await) };
            serve(config, host, ChaCha12Rng::seed_from_u64(1), ready, stopped).await.unwrap();
        });
        serving.await.unwrap();
        let rng = ChaCha12Rng::seed_from_u64(2);
        let peers = [listen.to_string()];
        let client = Client::connect(Net::new(), &peers, rng, ClientOptions::default());
        Node { client: client.await.unwrap(), _stop: stop, _scratch: scratch }
    }

    pub(super) async fn import(&self, dir: &Path) -> Result<ImportReport, ImportError> {
        import(&self.client, dir, ImportOptions::default(), &Unseen).await
    }

    pub(super) async fn import_what_is_there(
        &self,
        dir: &Path,
    ) -> Result<ImportReport, ImportError> {
        import(&self.client, dir, ImportOptions { allow_missing: true }, &Unseen).await
    }

    pub(super) async fn export(
        &self,
        id: ObjectId,
        dir: &Path,
    ) -> Result<ExportReport, ExportError> {
        export(&self.client, id, dir, &Unseen).await
    }

    /// Imports a repository, exports it, and compares the two as git sees them.
    pub(super) async fn there_and_back(&self, dir: &Path) -> ImportReport {
        let report = self.import(dir).await.unwrap();
        let back = tempfile::tempdir().unwrap();
        self.export(report.manifest, back.path()).await.unwrap();
        assert_eq!(objects(back.path()), objects(dir));
        assert_eq!(references(back.path()), references(dir));
        git(back.path(), &["fsck", "--full"]);
        report
    }
}

/// An error with its causes, as the command line prints it.
pub(super) fn said(error: &dyn std::error::Error) -> String {
    gitstratum_cluster::wire::status::chain(error)
}
