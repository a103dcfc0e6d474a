//! Test fixture.
//!
//! For tests of import and export: repositories made by git, and a cluster of one real node.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gitstratum_catalog::command::CreateRepository;
use gitstratum_catalog::entity::RepositoryLimits;
use gitstratum_catalog::{CatalogError, Operation};
use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_core::object::{Kind, Object, ObjectId};
use gitstratum_git::repository::whole::{Checked, Report};
use gitstratum_git::service::{Caller, Head, Purpose, Repositories, Repository};
use gitstratum_host::disk::{Scratch, scratch};
use gitstratum_host::{Host, Net};
use gitstratum_store::Store;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;

use super::Progress;
use super::export::repository::{RepositoryReport, export_repository};
use super::export::{ExportError, ExportReport, export};
use super::import::{Described, ImportError, ImportOptions, ImportReport, describe, import};
use super::manifest::{Head as ManifestHead, Manifest, ObjectList, Reference, Target};
use crate::catalog::{CallError, CatalogClient};
use crate::config::{Config, ConfigOverrides};
use crate::git::outside::{Outside, gateway};
use crate::server::{Serving, serve};

/// Pushes of few objects, so that small repositories take several.
pub(super) const FEW: ImportOptions = ImportOptions { force: false, slice_objects: 10 };

/// What a check finds.
struct Found(Vec<String>);

impl Report for Found {
    fn problem(&mut self, line: String) {
        self.0.push(line);
    }

    fn checked(&mut self, _: u64, _: u64) {}
}

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
    /// What it stores.
    pub(super) store: Arc<dyn Store>,
    /// Of the next generator.
    seed: AtomicU64,
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
            http: None,
            node_id: Some("n1".into()),
        };
        let config = Config::from_toml("", "test", overrides).unwrap().config;
        let scratch = scratch();
        let host = Host { net: Net::new(), disk: scratch.disk.clone() };
        let (ready, serving) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let ready = move |serving: Serving| ready.send(serving.store).ok().unwrap();
            let stopped = async { drop(stopped.await) };
            serve(config, host, ChaCha12Rng::seed_from_u64(1), ready, stopped).await.unwrap();
        });
        let store = serving.await.unwrap();
        let rng = ChaCha12Rng::seed_from_u64(2);
        let peers = [listen.to_string()];
        let client = Client::connect(Net::new(), &peers, rng, ClientOptions::default());
        Node {
            client: client.await.unwrap(),
            store,
            seed: AtomicU64::new(10),
            _stop: stop,
            _scratch: scratch,
        }
    }

    /// Pushes all of a repository, in pushes of few objects.
    pub(super) async fn import(&self, dir: &Path, name: &str) -> Result<ImportReport, ImportError> {
        let described = describe(dir).await?;
        let repository = self.repository(name, &described).await;
        import(dir, described, &*repository, FEW, &Unseen).await
    }

    /// The repository of this name, made if there is none.
    pub(super) async fn repository(
        &self,
        name: &str,
        described: &Described,
    ) -> Arc<dyn Repository> {
        let mut catalog = CatalogClient::new(self.client.clone(), "test", &mut self.rng());
        let create = Operation::CreateRepository(CreateRepository {
            name: name.to_owned(),
            object_format: described.object_format,
            default_branch: match &described.head {
                Head::Branch(branch) => branch.clone(),
                Head::Detached(_) => "refs/heads/main".to_owned(),
            },
            description: String::new(),
            limits: RepositoryLimits::default(),
            hidden_refs: Vec::new(),
        });
        loop {
            match catalog.call(create.clone()).await {
                Ok(_) | Err(CallError::Refused(CatalogError::RepositoryExists { .. })) => break,
                // Its group is not founded yet.
                Err(CallError::Asking(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
        let Outside { served, .. } = self.gateway();
        served.open(name, Purpose::Push, &Caller::default()).await.unwrap()
    }

    /// A generator of another seed each time: two callers of the catalog are not to be one.
    fn rng(&self) -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(self.seed.fetch_add(1, Ordering::Relaxed))
    }

    /// A gateway that has read nothing yet.
    pub(super) fn gateway(&self) -> Outside {
        gateway(self.client.clone(), "test", &mut self.rng())
    }

    /// Writes a repository of the catalog to disk.
    pub(super) async fn export_repository(
        &self,
        name: &str,
        dir: &Path,
    ) -> Result<RepositoryReport, ExportError> {
        let whole = self.gateway().served.whole(name).await.unwrap();
        export_repository(&whole, name, dir, &Unseen).await
    }

    /// Checks a repository of the catalog; what is wrong with it.
    pub(super) async fn problems(&self, name: &str) -> (Checked, Vec<String>) {
        let Outside { served, chunks } = self.gateway();
        let whole = served.whole(name).await.unwrap();
        let mut found = Found(Vec::new());
        (whole.check(&*chunks, &mut found).await, found.0)
    }

    /// Stores all objects of a repository one by one, and a manifest, as imports did before there
    /// were names.
    pub(super) async fn store_manifest(&self, dir: &Path) -> ObjectId {
        let described = describe(dir).await.unwrap();
        let algorithm = described.object_format;
        let mut ids = Vec::new();
        for line in objects(dir) {
            let words: Vec<&str> = line.split(' ').collect();
            let kind: Kind = words[1].parse().unwrap();
            let data = git_output(dir, &["cat-file", words[1], words[0]], b"").stdout;
            let object = Object::hash(algorithm, kind, data.into()).unwrap();
            assert_eq!(object.id().to_string(), words[0]);
            ids.push(object.id());
            self.client.put(object).await.unwrap();
        }
        ids.sort();
        let list: Vec<u8> = ids.iter().flat_map(|id| id.as_bytes().to_vec()).collect();
        let list = Object::hash(algorithm, Kind::Blob, list.into()).unwrap();
        let symbolic = git(dir, &["for-each-ref", "--format=%(refname) %(symref)"]);
        let refs = symbolic.lines().map(|line| {
            // What git printed was trimmed.
            let (name, target) = line.split_once(' ').unwrap_or((line, ""));
            let target = match target {
                "" => Target::Id(described.refs[name]),
                target => Target::Symbolic(target.into()),
            };
            Reference { name: name.into(), target }
        });
        let manifest = Manifest {
            algorithm,
            objects: ids.len() as u64,
            missing: 0,
            lists: vec![ObjectList { id: list.id(), count: ids.len() as u64 }],
            head: match &described.head {
                Head::Branch(branch) => ManifestHead::Ref(branch.clone().into()),
                Head::Detached(id) => ManifestHead::Id(*id),
            },
            shallow: Vec::new(),
            refs: refs.collect(),
        };
        let text = Object::hash(algorithm, Kind::Blob, manifest.encode().into()).unwrap();
        let id = text.id();
        for blob in [list, text] {
            self.client.put(blob).await.unwrap();
        }
        id
    }

    pub(super) async fn export(
        &self,
        id: ObjectId,
        dir: &Path,
    ) -> Result<ExportReport, ExportError> {
        export(&self.client, id, dir, &Unseen).await
    }
}

/// An error with its causes, as the command line prints it.
pub(super) fn said(error: &dyn std::error::Error) -> String {
    gitstratum_cluster::wire::status::chain(error)
}
