//! Imports of repositories that git made, into a node of one; returned by export, and compared by git.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use gitstratum_core::object::HashAlgorithm;
use gitstratum_git::service::{
    Depth, PackRequest, PackSink, ProgressSink, PushOutcome, PushRequest, Shallow,
};

use super::*;
use crate::transfer::fixture::{FEW, Node, Unseen, git, noise, objects, references, said, small};
use crate::transfer::push::PushError;

/// Branches, merges, tags of all kinds, deltas in packs, and loose objects.
fn rich(dir: &Path) {
    small(dir);
    for revision in 0..6 {
        let text = "a line of some length, to be found again\n".repeat(300);
        fs::create_dir_all(dir.join("deep/er")).unwrap();
        fs::write(dir.join("deep/er/text"), format!("{text}revision {revision}\n")).unwrap();
        git(dir, &["add", "."]);
        git(dir, &["commit", "-q", "-m", "text"]);
        if revision == 2 {
            git(dir, &["branch", "side"]);
            git(dir, &["repack", "-adq"]);
        }
    }
    git(dir, &["checkout", "-q", "side"]);
    fs::write(dir.join("side"), noise(5_000, 1)).unwrap();
    git(dir, &["add", "."]);
    git(dir, &["commit", "-q", "-m", "side"]);
    git(dir, &["checkout", "-q", "main"]);
    git(dir, &["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    git(dir, &["tag", "-a", "-m", "annotated", "v1"]);
    git(dir, &["tag", "-a", "-m", "of a tag", "v1-again", "v1"]);
    git(dir, &["tag", "light", "side"]);
    git(dir, &["tag", "blob", "HEAD:file"]);
    git(dir, &["tag", "tree", "HEAD:deep"]);
    git(dir, &["update-ref", "refs/notes/odd", "HEAD~3"]);
    git(dir, &["symbolic-ref", "refs/heads/pointer", "refs/heads/side"]);
}

/// Refs as the objects that they lead to, and HEAD.
fn led_to(dir: &Path) -> String {
    let format = "--format=%(objectname) %(refname)";
    let head = references(dir);
    git(dir, &["for-each-ref", format]) + "\n" + head.lines().last().unwrap()
}

async fn assert_returned(node: &Node, name: &str, source: &Path) {
    let back = tempfile::tempdir().unwrap();
    node.export_repository(name, back.path()).await.unwrap();
    git(back.path(), &["fsck", "--full"]);
    assert_eq!(objects(back.path()), objects(source));
    assert_eq!(led_to(back.path()), led_to(source));
}

#[tokio::test]
async fn all_of_a_repository_comes_there_and_back() {
    let (node, source) = (Node::start().await, tempfile::tempdir().unwrap());
    rich(source.path());
    let report = node.import(source.path(), "project").await.unwrap();
    assert_eq!(report.objects, objects(source.path()).len() as u64, "each is sent once");
    assert!(report.slices > 3, "{report:?}");
    assert_eq!((report.refs, report.kept_refs), (9, 0));
    assert_returned(&node, "project", source.path()).await;
    let (checked, problems) = node.problems("project").await;
    assert_eq!((problems, checked.refs), (vec![], 9));

    // A second time there is nothing to do, and a third time only what is new.
    let again = node.import(source.path(), "project").await.unwrap();
    assert_eq!((again.objects, again.slices), (0, 0));
    fs::write(source.path().join("file"), "four").unwrap();
    git(source.path(), &["commit", "-qam", "four"]);
    let more = node.import(source.path(), "project").await.unwrap();
    assert_eq!((more.objects, more.slices), (3, 1));
    assert_returned(&node, "project", source.path()).await;
}

#[tokio::test]
async fn repositories_of_sha_256_and_empty_ones_come_too() {
    let node = Node::start().await;
    let source = tempfile::tempdir().unwrap();
    git(source.path(), &["init", "-q", "-b", "trunk", "--object-format=sha256"]);
    let described = describe(source.path()).await.unwrap();
    assert_eq!(described.object_format, HashAlgorithm::Sha256);
    let empty = node.import(source.path(), "project").await.unwrap();
    assert_eq!((empty.objects, empty.refs), (0, 0));
    assert_returned(&node, "project", source.path()).await;
    for text in ["one", "two"] {
        fs::write(source.path().join("file"), text).unwrap();
        git(source.path(), &["add", "."]);
        git(source.path(), &["commit", "-q", "-m", text]);
    }
    node.import(source.path(), "project").await.unwrap();
    assert_returned(&node, "project", source.path()).await;
    let other = tempfile::tempdir().unwrap();
    small(other.path());
    let error = node.import(other.path(), "project").await.unwrap_err();
    assert!(matches!(error, ImportError::ObjectFormat { .. }), "{error}");
}

/// A repository that takes so many pushes, and then none.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn Repository>,
    left: AtomicUsize,
}

#[async_trait]
impl Repository for Failing {
    fn object_format(&self) -> HashAlgorithm {
        self.inner.object_format()
    }

    async fn refs(&self) -> Result<Refs, RepositoryError> {
        self.inner.refs().await
    }

    async fn contains(&self, ids: &[ObjectId]) -> Result<Vec<bool>, RepositoryError> {
        self.inner.contains(ids).await
    }

    async fn is_ready(
        &self,
        wants: &[ObjectId],
        common: &[ObjectId],
    ) -> Result<bool, RepositoryError> {
        self.inner.is_ready(wants, common).await
    }

    async fn deepen(
        &self,
        wants: &[ObjectId],
        shallow: &[ObjectId],
        depth: &Depth,
    ) -> Result<Shallow, RepositoryError> {
        self.inner.deepen(wants, shallow, depth).await
    }

    async fn pack(
        &self,
        request: PackRequest,
        sink: &mut dyn PackSink,
    ) -> Result<(), RepositoryError> {
        self.inner.pack(request, sink).await
    }

    async fn push(
        &self,
        request: PushRequest,
        pack: Option<PackBody>,
        progress: &mut dyn ProgressSink,
    ) -> Result<PushOutcome, RepositoryError> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match taken {
            Ok(_) => self.inner.push(request, pack, progress).await,
            Err(_) => Err(RepositoryError::Unavailable("too few nodes answer".to_owned())),
        }
    }
}

#[tokio::test]
async fn an_import_that_was_stopped_goes_on_where_it_was() {
    let (node, source) = (Node::start().await, tempfile::tempdir().unwrap());
    rich(source.path());
    let described = describe(source.path()).await.unwrap();
    let all = objects(source.path()).len() as u64;
    let mut sent = 0;
    // Two pushes a run, until it comes to its end.
    for run in 1.. {
        let inner = node.repository("project", &described).await;
        let failing = Failing { inner: inner.clone(), left: AtomicUsize::new(2) };
        let done = import(source.path(), described.clone(), &failing, FEW, &Unseen).await;
        let marks = inner.refs().await.unwrap().refs;
        let marks = marks.iter().filter(|found| found.name.starts_with(MARKS)).count();
        match done {
            Err(ImportError::Push(PushError::Repository(RepositoryError::Unavailable(_)))) => {
                assert!(marks >= 1, "run {run} says how far it came");
            }
            Ok(report) => {
                assert_eq!(marks, 0, "nothing of it stays");
                assert!(run > 2, "it was stopped");
                sent += report.objects;
                break;
            }
            Err(error) => panic!("{}", said(&error)),
        }
    }
    assert!(sent < all, "the last run sent {sent} of {all} objects");
    assert_returned(&node, "project", source.path()).await;
}

#[tokio::test]
async fn refs_are_not_pointed_away_from_what_only_the_cluster_has() {
    let (node, source, other) =
        (Node::start().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(source.path());
    node.import(source.path(), "project").await.unwrap();
    git(other.path(), &["init", "-q", "-b", "main"]);
    git(other.path(), &["commit", "-q", "--allow-empty", "-m", "another beginning"]);
    git(other.path(), &["branch", "new"]);
    let error = node.import(other.path(), "project").await.unwrap_err();
    assert!(
        matches!(&error, ImportError::Diverged(refs) if refs == &["refs/heads/main"]),
        "{error}"
    );
    let described = describe(other.path()).await.unwrap();
    let repository = node.repository("project", &described).await;
    let before = repository.refs().await.unwrap();
    assert_eq!(before.refs.len(), 1, "nothing was done");
    let options = ImportOptions { force: true, ..FEW };
    import(other.path(), described, &*repository, options, &Unseen).await.unwrap();
    assert_returned_refs(&repository.refs().await.unwrap(), other.path());
}

fn assert_returned_refs(refs: &Refs, dir: &Path) {
    let lines: Vec<String> =
        refs.refs.iter().map(|found| format!("{} {}", found.id, found.name)).collect();
    assert_eq!(lines.join("\n"), git(dir, &["for-each-ref", "--format=%(objectname) %(refname)"]));
}

#[tokio::test]
async fn what_is_no_whole_repository_is_refused_with_the_reason() {
    let (node, dir) = (Node::start().await, tempfile::tempdir().unwrap());
    let error = said(&describe(dir.path()).await.unwrap_err());
    assert!(error.contains("no Git repository"), "{error}");
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    small(&source);
    let url = format!("file://{}", source.display());
    git(dir.path(), &["clone", "-q", "--depth=1", &url, "shallow"]);
    let error = said(&describe(&dir.path().join("shallow")).await.unwrap_err());
    assert!(error.contains("shallow") && error.contains("--unshallow"), "{error}");
    // A blob of the history that is gone.
    let blob = git(&source, &["rev-parse", "HEAD~1:file"]);
    fs::remove_file(crate::transfer::fixture::loose(&source, &blob)).unwrap();
    let error = said(&node.import(&source, "project").await.unwrap_err());
    assert!(error.contains(&blob), "{error}");
}
