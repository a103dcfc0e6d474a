//! A server on a port of its own, and git to speak to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use gitstratum_core::metrics::Samples;
use gitstratum_core::trace::RequestIds;
use gitstratum_git::http::GitServer;
use gitstratum_git::service::Repositories;
use gitstratum_host::Net;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::directory::Directory;

/// Whether git is there. Without it there is nothing to test, which is printed.
pub fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok();
    if !found {
        println!("skipped: git is not installed");
    }
    found
}

/// A server, and a directory for clients.
pub struct Server {
    pub address: SocketAddr,
    pub server: Arc<GitServer>,
    pub options: Arc<Mutex<Vec<String>>>,
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Server {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Directory::new(&directory.path().join("served"));
        let options = repositories.options.clone();
        Self::begin(Arc::new(repositories), directory, options).await
    }

    /// One that serves these.
    pub async fn of(repositories: Arc<dyn Repositories>) -> Self {
        Self::begin(repositories, tempfile::tempdir().unwrap(), Arc::default()).await
    }

    /// Another one that serves these, for the same clients.
    pub async fn again(mut self, repositories: Arc<dyn Repositories>) -> Self {
        drop(self.stop.take());
        self.running.take().unwrap().await.unwrap();
        Self::begin(repositories, self.directory, self.options).await
    }

    async fn begin(
        repositories: Arc<dyn Repositories>,
        directory: TempDir,
        options: Arc<Mutex<Vec<String>>>,
    ) -> Self {
        let server = GitServer::new(repositories, RequestIds::default());
        let listener = Net::new().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.clone().run(listener, async {
            let _ = stopped.await;
        }));
        let (stop, running) = (Some(stop), Some(running));
        Server { address, server, options, directory, stop, running }
    }

    /// Stops, once what is in flight has finished.
    pub async fn stop(mut self) -> Samples {
        drop(self.stop.take());
        self.running.take().unwrap().await.unwrap();
        self.samples()
    }

    pub fn samples(&self) -> Samples {
        Samples::registered_by(|registry| self.server.register(registry))
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where a repository is that is served.
    pub fn served(&self, name: &str) -> PathBuf {
        self.path("served").join(format!("{name}.git"))
    }

    /// Runs git in a directory of the clients'; what it printed, and whether it succeeded.
    pub async fn git(&self, at: &str, arguments: &[&str]) -> (bool, String) {
        let (at, arguments) = (self.path(at), arguments.iter().map(|&word| word.to_owned()));
        let arguments: Vec<_> = arguments.collect();
        tokio::task::spawn_blocking(move || git(&at, &arguments)).await.unwrap()
    }

    /// As [`Server::git`], which must succeed; what it printed.
    pub async fn ok(&self, at: &str, arguments: &[&str]) -> String {
        let (is_ok, printed) = self.git(at, arguments).await;
        assert!(is_ok, "git {arguments:?}: {printed}");
        printed.trim_end().to_owned()
    }

    /// Makes a repository with so many commits on `main`, each of one file.
    pub async fn make(&self, at: &str, commits: usize, format: &str) {
        std::fs::create_dir_all(self.path(at)).unwrap();
        let format = format!("--object-format={format}");
        self.ok(at, &["init", "-q", "-b", "main", &format]).await;
        for number in 0..commits {
            self.commit(at, &format!("file-{number}")).await;
        }
    }

    /// Adds a commit with a file of this name.
    pub async fn commit(&self, at: &str, file: &str) {
        let contents = format!("{file}\n").repeat(200);
        std::fs::write(self.path(at).join(file), contents).unwrap();
        self.ok(at, &["add", "."]).await;
        self.ok(at, &["commit", "-q", "-m", file]).await;
    }
}

fn git(at: &Path, arguments: &[String]) -> (bool, String) {
    let output = Command::new("git")
        .current_dir(at)
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "gc.auto=0"])
        .args(["-c", "maintenance.auto=false"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}
