//! `dev --demo`: what the cluster is for, shown with a repository and a node that is killed.
//!
//! With the machine's git it is a push, another one while a node is dead, and a clone through a third
//! node; without, the same by import and export. The repository that was named is only read.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gitstratum_catalog::entity::{Node as CatalogNode, NodeState};
use gitstratum_catalog::{Answer, Query};
use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_cluster::transport::Security;
use gitstratum_host::Net;
use tokio::process::Command;
use tokio::time::Instant;

use super::super::catalog::of_client;
use super::super::repositories::{export_to, import_into};
use super::super::{Failure, seeded_by_the_system, show};
use super::secure::Key;
use super::{Node, start_and_say};
use crate::transfer::import::{ImportOptions, describe};

/// The repository's name in the cluster.
const NAME: &str = "demo";
/// What is pushed while a node is dead.
const BRANCH: &str = "refs/heads/pushed-while-a-node-was-dead";
/// How long nodes that were just started have until they agree on names, and how often they are
/// asked whether they do.
const CATALOG_PATIENCE: Duration = Duration::from_secs(30);
const CATALOG_PAUSE: Duration = Duration::from_millis(50);
/// With fewer nodes, one that is killed leaves too few for a majority.
const NODES_TO_SPARE_ONE: usize = 3;

/// Shows it.
pub(super) async fn demo(
    repository: Option<&Path>,
    nodes: &mut [Node],
    data: &Path,
    key: Option<Key>,
) -> Result<(), Failure> {
    let git = Git { key };
    let directory = data.join("demo");
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .map_err(Failure::operation(format!("remove {}", directory.display())))?;
    }
    let directory = std::path::absolute(&directory).map_err(Failure::operation("find --data"))?;
    fs::create_dir_all(&directory)
        .map_err(Failure::operation(format!("make {}", directory.display())))?;
    let repository = repository.map(std::path::absolute).transpose();
    let repository = repository.map_err(Failure::operation("find the repository"))?;
    let urls: Option<Vec<String>> =
        nodes.iter().map(|node| Some(format!("{}{NAME}.git", node.url()?))).collect();
    wait_for_catalog(nodes).await?;
    let has_git = git.run(&directory, &["--version"]).await.is_ok();
    match (urls.filter(|_| has_git), repository) {
        (Some(urls), repository) => {
            with_git(&git, repository.as_deref(), nodes, data, &directory, &urls).await
        }
        (None, Some(repository)) => without_git(&repository, nodes, data, &directory).await,
        (None, None) => Err(Failure::Usage(
            "--demo: without the git program a repository has to be named, as in --demo REPO"
                .to_owned(),
        )),
    }
}

/// Waits until the nodes that were just started agree on names, and each of them takes part. Who does
/// not in time is found out by whoever asks it.
pub(super) async fn wait_for_catalog(nodes: &[Node]) -> Result<(), Failure> {
    let catalog = of_client(connect(nodes).await?)?;
    let until = Instant::now() + CATALOG_PATIENCE;
    loop {
        match catalog.ask(&Query::Nodes).await {
            Ok(Answer::Nodes(found)) if all_take_part(&found, nodes.len()) => return Ok(()),
            Ok(_) if Instant::now() >= until => return Ok(()),
            Err(error) if Instant::now() >= until => return Err(Failure::from(error)),
            Ok(_) | Err(_) => tokio::time::sleep(CATALOG_PAUSE).await,
        }
    }
}

/// Whether so many follow, and enough of them vote that one can be spared.
fn all_take_part(found: &[(String, CatalogNode)], count: usize) -> bool {
    let in_state = |state| found.iter().filter(|(_, node)| node.state == state).count();
    let (voters, learners) = (in_state(NodeState::Voter), in_state(NodeState::Learner));
    // Of two, one votes.
    let wanted = if count < NODES_TO_SPARE_ONE { 1 } else { NODES_TO_SPARE_ONE };
    voters >= wanted && voters + learners >= count
}

pub(super) async fn connect(nodes: &[Node]) -> Result<Client, Failure> {
    let peers: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
    let rng = seeded_by_the_system()?;
    let security = match nodes.first() {
        Some(node) => node.tls.security(false).await?,
        None => Security::Plain,
    };
    let options = ClientOptions { security, ..ClientOptions::default() };
    Ok(Client::connect(Net::new(), &peers, rng, options).await?)
}

async fn with_git(
    git: &Git,
    repository: Option<&Path>,
    nodes: &mut [Node],
    data: &Path,
    directory: &Path,
    urls: &[String],
) -> Result<(), Failure> {
    let work = directory.join("work.git");
    match repository {
        Some(repository) => {
            git.run(directory, &["clone", "-q", "--mirror", text(repository)?, text(&work)?])
                .await?;
        }
        None => make_small(git, &work).await?,
    }
    let first = nodes[0].id.clone();
    git.run(&work, &["push", "-q", "--mirror", &urls[0]]).await?;
    let refs = git.run(&work, &["for-each-ref"]).await?.lines().count();
    show(&format!("demo: pushed {refs} refs to {} (node {first})\n", urls[0]))?;

    let dead = kill_last(nodes).await?;
    // On top of HEAD, or on nothing where that is nowhere yet.
    let (tree, parent) =
        match git.run(&work, &["rev-parse", "-q", "--verify", "HEAD^{commit}"]).await {
            Ok(head) => (git.run(&work, &["rev-parse", "HEAD^{tree}"]).await?, Some(head)),
            Err(_) => (git.run(&work, &["mktree"]).await?, None),
        };
    let mut commit = vec!["commit-tree", tree.trim(), "-m", "Pushed while a node was dead"];
    commit.extend(parent.iter().flat_map(|parent| ["-p", parent.trim()]));
    let commit = git.run(&work, &commit).await?;
    git.run(&work, &["update-ref", BRANCH, commit.trim()]).await?;
    git.run(&work, &["push", "-q", &urls[0], BRANCH]).await?;
    show(&format!("demo: pushed {BRANCH}, {}\n", while_dead(dead.as_deref())))?;

    let other = urls.len().min(2) - 1;
    let clone = directory.join("clone.git");
    git.run(directory, &["clone", "-q", "--mirror", &urls[other], text(&clone)?]).await?;
    git.run(&clone, &["fsck", "--full"]).await?;
    let (pushed, cloned) =
        (git.run(&work, &["for-each-ref"]).await?, git.run(&clone, &["for-each-ref"]).await?);
    if pushed != cloned {
        return Err(differ(&work, &clone));
    }
    let node = nodes[other].id.clone();
    let refs = cloned.lines().count();
    show(&format!(
        "demo: cloned through node {node} to {}: `git fsck` finds nothing wrong, and all {refs} refs \
         are equal\n",
        clone.display()
    ))?;
    start_last(nodes, data, dead.is_some()).await
}

async fn without_git(
    repository: &Path,
    nodes: &mut [Node],
    data: &Path,
    directory: &Path,
) -> Result<(), Failure> {
    let client = connect(nodes).await?;
    let options = ImportOptions::default();
    let (before, after) = (NAME.to_owned(), format!("{NAME}-again"));
    import_into(&client, repository, &before, options).await?;
    show(&format!("demo: imported {} as {before}\n", repository.display()))?;
    let dead = kill_last(nodes).await?;
    import_into(&client, repository, &after, options).await?;
    show(&format!("demo: imported it as {after}, {}\n", while_dead(dead.as_deref())))?;
    let returned = directory.join("export.git");
    export_to(&client, &after, &returned).await?;
    let (stored, back) = (describe(repository).await?, describe(&returned).await?);
    if (stored.head, stored.refs) != (back.head, back.refs.clone()) {
        return Err(differ(repository, &returned));
    }
    let refs = back.refs.len();
    show(&format!(
        "demo: exported {after} to {}: HEAD and all {refs} refs are equal\n",
        returned.display()
    ))?;
    start_last(nodes, data, dead.is_some()).await
}

fn differ(one: &Path, other: &Path) -> Failure {
    Failure::Operation(format!("{} differs from {}", other.display(), one.display()))
}

fn while_dead(dead: Option<&str>) -> String {
    match dead {
        Some(node) => format!("while node {node} is dead"),
        None => "with all nodes, since none can be spared".to_owned(),
    }
}

/// Ends the last node as a crash would, if enough are left; says which.
async fn kill_last(nodes: &mut [Node]) -> Result<Option<String>, Failure> {
    if nodes.len() < NODES_TO_SPARE_ONE {
        return Ok(None);
    }
    let node = nodes.last_mut().expect("there are three");
    let Some(mut process) = node.process.take() else { return Ok(None) };
    let killed = process.child.kill().await;
    killed.map_err(Failure::operation(format!("kill node {}", node.id)))?;
    show(&format!("demo: killed node {} (pid {})\n", node.id, process.pid))?;
    Ok(Some(node.id.to_string()))
}

async fn start_last(nodes: &mut [Node], data: &Path, was_killed: bool) -> Result<(), Failure> {
    match nodes.last_mut().filter(|_| was_killed) {
        Some(node) => start_and_say(node, data).await,
        None => Ok(()),
    }
}

/// A bare repository with two commits.
async fn make_small(git: &Git, path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::operation(format!("make {}", path.display())))?;
    git.run(path, &["init", "-q", "--bare"]).await?;
    git.run(path, &["symbolic-ref", "HEAD", "refs/heads/main"]).await?;
    let empty = git.run(path, &["mktree"]).await?;
    let first = git.run(path, &["commit-tree", empty.trim(), "-m", "First"]).await?;
    let arguments = ["commit-tree", empty.trim(), "-p", first.trim(), "-m", "Second"];
    let second = git.run(path, &arguments).await?;
    git.run(path, &["update-ref", "refs/heads/main", second.trim()]).await.map(drop)
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        Failure::Operation(format!("{}: the demo needs a path that is UTF-8", path.display()))
    })
}

/// The machine's git.
struct Git {
    /// By what it is let in, if that takes anything.
    key: Option<Key>,
}

impl Git {
    /// What it says; an error is what it says of that.
    async fn run(&self, directory: &Path, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("git");
        if let Some(Key { secret, authority }) = &self.key {
            command.envs(authority.as_ref().map(|path| ("GIT_SSL_CAINFO", path)));
            // Not on the command line, which every user of the machine can see.
            let header = format!("Authorization: Bearer {}", secret.expose());
            command.env("GIT_CONFIG_COUNT", "1");
            command.env("GIT_CONFIG_KEY_0", "http.extraHeader");
            command.env("GIT_CONFIG_VALUE_0", header);
        }
        let output = command
            .current_dir(directory)
            .args(["-c", "user.name=gitstratum", "-c", "user.email=demo@example.org"])
            // The nodes are on this machine.
            .args(["-c", "http.proxy="])
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(Failure::operation("run git"))?;
        let said = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match output.status.success() {
            true => Ok(said(output.stdout)),
            false => {
                let (verb, reason) = (arguments.first().unwrap_or(&""), said(output.stderr));
                Err(Failure::Operation(format!("git {verb}: {}", reason.trim_end())))
            }
        }
    }
}
