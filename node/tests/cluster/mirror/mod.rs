//! `mirror`: repositories that follow those of stock git's own server, and of another cluster.

mod backend;
mod follow;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Serve, git, listen, make_repository, output, run, wait_until};
use backend::{Backend, Cut};

/// A node of one, what it mirrors, and where.
struct Mirrored {
    dir: tempfile::TempDir,
    peers: String,
    /// The URL that its repositories are below.
    git: String,
    backend: Backend,
    node: Option<Serve>,
}

impl Mirrored {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (peers, http) = (listen(), listen());
        let config = format!(
            "listen = {peers:?}\ndata = {:?}\n[http]\nlisten = {http:?}\ncreate_on_push = true\n",
            dir.path().join("data")
        );
        fs::write(dir.path().join("config.toml"), config).unwrap();
        fs::create_dir(dir.path().join("remotes")).unwrap();
        let backend = Backend::start(&dir.path().join("remotes"));
        let git = format!("http://{http}");
        let mut mirrored = Mirrored { dir, peers, git, backend, node: None };
        mirrored.serve();
        mirrored
    }

    fn serve(&mut self) {
        let config = self.dir.path().join("config.toml");
        self.node = Some(Serve::start(&["--config", config.to_str().unwrap()]));
        wait_until("it has a leader", || output(&["repo", "list"], &self.peers).status.success());
    }

    /// A bare repository of the remote.
    fn remote(&self, name: &str) -> PathBuf {
        self.dir.path().join("remotes").join(name)
    }

    /// Makes one that has nothing yet.
    fn make_empty(&self, name: &str, format: &str) -> PathBuf {
        let format = format!("--object-format={format}");
        let path = self.remote(name);
        let arguments = ["init", "-q", "--bare", "-b", "main", &format, path.to_str().unwrap()];
        git(self.dir.path(), &arguments);
        path
    }

    /// Makes one with branches, merges and tags.
    fn make(&self, name: &str) -> PathBuf {
        let (work, path) = (self.dir.path().join("work"), self.remote(name));
        make_repository(&work, 40);
        git(self.dir.path(), &["clone", "-q", "--mirror", "work", path.to_str().unwrap()]);
        fs::remove_dir_all(work).unwrap();
        path
    }

    /// Mirrors one under its own name.
    fn mirror(&self, name: &str, more: &[&str]) -> Output {
        let url = format!("{}/{name}", self.backend.url);
        output(&[&["mirror", &url, name], more].concat(), &self.peers)
    }

    /// The same, which has to succeed; what is said of it.
    fn mirrored(&self, name: &str, more: &[&str]) -> String {
        let done = self.mirror(name, more);
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{said}");
        assert_eq!(String::from_utf8(done.stdout).unwrap(), format!("{name}\n"));
        said
    }

    /// The same, which has to fail.
    fn refused(&self, name: &str, more: &[&str]) -> String {
        let done = self.mirror(name, more);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), done.stdout), (Some(1), vec![]), "{said}");
        said
    }

    /// Refs of a repository in the cluster.
    fn refs(&self, name: &str) -> String {
        let clone = self.dir.path().join("shown.git");
        let _ = fs::remove_dir_all(&clone);
        let arguments = ["export", name, clone.to_str().unwrap()];
        run(&arguments, &self.peers);
        git(&clone, &["fsck", "--full", "--strict"]);
        refs(&clone)
    }

    /// What is in the cluster is what is there.
    fn assert_same(&self, name: &str) {
        assert_eq!(self.refs(name), refs(&self.remote(name)));
    }
}

/// Refs and `HEAD` of a repository on disk.
fn refs(repository: &Path) -> String {
    let format = "--format=%(objectname) %(refname)";
    let head = fs::read_to_string(repository.join("HEAD")).unwrap();
    git(repository, &["for-each-ref", format]) + &head
}

/// Adds a commit of these words to a branch of a bare repository; its id.
fn commit(repository: &Path, branch: &str, words: &str) -> String {
    let blob = repository.join("words");
    fs::write(&blob, words).unwrap();
    let blob = git(repository, &["hash-object", "-w", "words"]);
    fs::write(repository.join("tree"), format!("100644 blob {}\twords\n", blob.trim())).unwrap();
    let tree = std::process::Command::new("git")
        .current_dir(repository)
        .arg("mktree")
        .stdin(fs::File::open(repository.join("tree")).unwrap())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let name = format!("refs/heads/{branch}");
    let listed = git(repository, &["for-each-ref", "--format=%(objectname)", &name]);
    let mut arguments = vec!["commit-tree", tree.trim(), "-m", words];
    if !listed.is_empty() {
        arguments.extend(["-p", listed.trim()]);
    }
    let commit = git(repository, &arguments).trim().to_owned();
    git(repository, &["update-ref", &name, &commit]);
    commit
}

/// The objects that a run says came.
fn objects(said: &str) -> u64 {
    let words = said.split(" objects, ").next().unwrap();
    words.rsplit(' ').next().unwrap().parse().unwrap()
}

/// All that a mirror has to follow, against a server of either protocol.
fn follows(is_old: bool) {
    let mirrored = Mirrored::start();
    mirrored.backend.set(|behaviour| behaviour.is_old = is_old);
    let remote = mirrored.make("project");
    let all = git(&remote, &["cat-file", "--batch-all-objects", "--batch-check"]);
    let said = mirrored.mirrored("project", &[]);
    assert_eq!(objects(&said), all.lines().count() as u64, "{said}");
    mirrored.assert_same("project");
    assert!(mirrored.backend.take_fetches()[0].contains("want "));

    // Where both are equal nothing is sent, and nothing asked for.
    let said = mirrored.mirrored("project", &[]);
    assert!(said.contains("already") && mirrored.backend.take_fetches().is_empty(), "{said}");

    // A commit more: it alone comes, with its tree and file.
    let old = git(&remote, &["rev-parse", "main"]);
    commit(&remote, "main", "more");
    git(&remote, &["tag", "-a", "-m", "annotated", "v2", "main"]);
    git(&remote, &["tag", "light", "main"]);
    git(&remote, &["update-ref", "refs/notes/odd", "main"]);
    let said = mirrored.mirrored("project", &[]);
    assert!(said.contains("3 refs are new, 1 moved, 0 deleted"), "{said}");
    assert_eq!(objects(&said), 4, "{said}");
    mirrored.assert_same("project");

    // History that is rewritten is followed, because the remote still knows the old one; so is a
    // branch that goes back, for which nothing has to come.
    let rewritten = git(&remote, &["commit-tree", "main^{tree}", "-m", "anew", "-p", old.trim()]);
    git(&remote, &["update-ref", "refs/heads/main", rewritten.trim()]);
    let said = mirrored.mirrored("project", &[]);
    // The commit, and what git does not leave out for a commit that is no parent.
    assert!(said.contains("1 moved") && (1..=3).contains(&objects(&said)), "{said}");
    git(&remote, &["update-ref", "refs/heads/main", old.trim()]);
    let said = mirrored.mirrored("project", &[]);
    assert!(said.contains("1 moved") && objects(&said) == 0, "{said}");
    mirrored.assert_same("project");

    // Deletions are followed when that is asked for. HEAD moves, and its old branch may go.
    git(&remote, &["branch", "-m", "main", "trunk"]);
    git(&remote, &["tag", "-d", "light"]);
    let said = mirrored.mirrored("project", &[]);
    assert!(said.contains("2 refs that project has and the remote has not"), "{said}");
    assert!(said.contains("HEAD of project points to refs/heads/trunk now"), "{said}");
    assert!(mirrored.refs("project").contains("refs/heads/main\n"));
    let said = mirrored.mirrored("project", &["--prune"]);
    assert!(said.contains("2 deleted"), "{said}");
    mirrored.assert_same("project");
    // All at once, with names in the way of each other.
    git(&remote, &["branch", "-m", "trunk", "other"]);
    git(&remote, &["update-ref", "-d", "refs/notes/odd"]);
    git(&remote, &["update-ref", "refs/notes/odd/deeper", "other"]);
    mirrored.mirrored("project", &["--prune"]);
    mirrored.assert_same("project");
    run(&["repo", "verify", "project"], &mirrored.peers);
}

#[test]
fn a_mirror_follows_all_that_happens_to_a_remote() {
    follows(false);
}

#[test]
fn a_mirror_follows_a_server_that_knows_the_original_protocol_alone() {
    follows(true);
}

#[test]
fn refs_that_hosts_keep_for_themselves_come_where_they_are_asked_for() {
    let mirrored = Mirrored::start();
    let remote = mirrored.make_empty("project", "sha1");
    commit(&remote, "main", "one");
    git(&remote, &["update-ref", "refs/pull/1/head", "main"]);
    git(&remote, &["update-ref", "refs/gitstratum/import/x", "main"]);
    git(&remote, &["tag", "v1", "main"]);
    let names = |name: &str| {
        let refs = mirrored.refs(name);
        let names = refs.lines().filter_map(|line| line.split_once(' ')?.1.strip_prefix("refs/"));
        names.map(|name| name.split('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let url = format!("{}/project", mirrored.backend.url);
    run(&["mirror", &url, "usual"], &mirrored.peers);
    assert_eq!(names("usual"), ["heads", "tags", "heads"], "the last is HEAD");
    run(&["mirror", &url, "all", "--all"], &mirrored.peers);
    assert_eq!(names("all"), ["heads", "pull", "tags", "heads"]);
    let chosen = ["--refs", "refs/pull/*/head", "--refs", "refs/tags/v*", "--prune"];
    run(&[&["mirror", &url, "chosen"], &chosen[..]].concat(), &mirrored.peers);
    assert_eq!(names("chosen")[..2], ["pull", "tags"]);
    // What is not followed is not pruned either.
    run(&["mirror", &url, "all", "--refs", "refs/heads/*", "--prune"], &mirrored.peers);
    assert_eq!(names("all"), ["heads", "pull", "tags", "heads"]);
}

#[test]
fn empty_remotes_and_those_of_sha_256_are_followed_too() {
    let mirrored = Mirrored::start();
    for (name, format) in [("new", "sha1"), ("new-sha256", "sha256")] {
        let remote = mirrored.make_empty(name, format);
        git(&remote, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
        let said = mirrored.mirrored(name, &[]);
        assert!(said.contains("all 0 refs"), "{said}");
        mirrored.assert_same(name);
        for words in ["one", "two"] {
            commit(&remote, "trunk", words);
            mirrored.mirrored(name, &[]);
            mirrored.assert_same(name);
        }
    }
    // A detached HEAD is followed, and back.
    let remote = mirrored.remote("new");
    let first = git(&remote, &["rev-parse", "trunk~1"]);
    fs::write(remote.join("HEAD"), &first).unwrap();
    mirrored.mirrored("new", &[]);
    mirrored.assert_same("new");
    git(&remote, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    mirrored.mirrored("new", &[]);
    mirrored.assert_same("new");
}

#[test]
fn a_remote_that_breaks_off_in_the_middle_leaves_nothing_half_there() {
    let mirrored = Mirrored::start();
    let remote = mirrored.make("project");
    let before = |words: &str, cut: Cut| {
        mirrored.backend.set(|behaviour| behaviour.cut = Some(cut));
        let said = mirrored.refused("project", &[]);
        assert!(said.contains(words), "{cut:?}: {said}");
    };
    for len in [0, 9, 20, 3000, 20_000] {
        before("the connection broke", Cut::Break(len));
        before("ends in the middle", Cut::End(len));
    }
    assert_eq!(mirrored.refs("project").lines().count(), 1, "HEAD alone is there");
    mirrored.backend.set(|behaviour| behaviour.cut = None);
    mirrored.mirrored("project", &[]);
    mirrored.assert_same("project");
    let there = mirrored.refs("project");
    commit(&remote, "main", "more");
    before("the connection broke", Cut::Break(100));
    assert_eq!(mirrored.refs("project"), there);
    mirrored.backend.set(|behaviour| behaviour.cut = None);
    mirrored.mirrored("project", &[]);
    mirrored.assert_same("project");
    run(&["repo", "verify", "project"], &mirrored.peers);
}
