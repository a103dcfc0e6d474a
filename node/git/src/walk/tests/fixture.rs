//! Repositories for tests: random histories that Git itself wrote, and their objects in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits::BATCH_OBJECTS_MAX;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};

use crate::object::{Commit, links};
use crate::service::{PackRequest, RepositoryError, Shallow};
use crate::walk::{CommitNode, Objects};

/// Numbers that look random, the same for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Up to `count` of them.
    pub(super) fn some(&mut self, from: &[ObjectId], count: usize) -> Vec<ObjectId> {
        (0..count).map(|_| *self.pick(from)).collect()
    }
}

/// Runs Git as nobody in particular, on any machine alike.
pub(super) fn git(directory: &Path, args: &[&str], input: &str) -> String {
    let (output, _) = git_traced(directory, args, input);
    output
}

/// As [`git`], with what it writes to standard error, the packets of its protocol among that.
pub(super) fn git_traced(directory: &Path, args: &[&str], input: &str) -> (String, String) {
    let input_path = directory.join("input");
    std::fs::write(&input_path, input).unwrap();
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "protocol.version=2", "-c", "uploadpack.allowFilter=true"])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TRACE_PACKET", "1")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "C"), ("GIT_COMMITTER_EMAIL", "c@example.org")])
        .envs([("GIT_AUTHOR_DATE", "1700000000 +0000")])
        .envs([("GIT_COMMITTER_DATE", "1700000000 +0000")])
        .stdin(Stdio::from(std::fs::File::open(&input_path).unwrap()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

/// The ids that lines begin with.
pub(super) fn ids(lines: &str) -> Vec<ObjectId> {
    lines.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

/// A repository on disk.
pub(super) struct Disk {
    directory: tempfile::TempDir,
    /// Commits, parents before children.
    pub(super) commits: Vec<ObjectId>,
    /// Annotated tags, of tags and of trees and blobs too.
    pub(super) tags: Vec<ObjectId>,
}

/// How times are related to ancestry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clocks {
    /// No commit is older than a parent.
    Right,
    /// A commit can be of any time.
    Wrong,
}

type Files = BTreeMap<String, usize>;

/// The contents of a commit, made from that of a parent or an older one.
fn change(random: &mut Random, files: &mut Files, older: &[Files], blobs: usize) {
    if random.percent(8) && !older.is_empty() {
        // What was there comes back.
        files.clone_from(random.pick(older));
    }
    for _ in 0..1 + random.below(4) {
        let depth = random.below(4);
        let mut path = String::new();
        for _ in 0..depth {
            write!(path, "{}/", random.pick(&["lib", "src", "doc", "a b"])).unwrap();
        }
        match random.below(10) {
            0 if !path.is_empty() => files.retain(|name, _| !name.starts_with(&path)),
            1 => {
                // The same tree at another place.
                let from = "src/";
                let copied: Vec<_> =
                    files.range(from.to_owned()..).map(|(n, b)| (n.clone(), *b)).collect();
                for (name, blob) in copied.into_iter().filter(|(name, _)| name.starts_with(from)) {
                    files.insert(format!("copy/{}", &name[from.len()..]), blob);
                }
            }
            _ => {
                let name = random.pick(&["main.c", "main.h", "Makefile", "x", "README"]);
                files.insert(format!("{path}{name}"), random.below(blobs));
            }
        }
    }
}

impl Disk {
    /// A repository with a history that the seed chooses.
    pub(super) fn random(seed: u64, commits: usize, clocks: Clocks) -> Self {
        let random = &mut Random::new(seed);
        let blobs = 1 + commits;
        let mut stream = String::new();
        for blob in 0..blobs {
            let data = format!("{blob} {}\n", "word ".repeat(random.below(300)));
            write!(stream, "blob\nmark :{}\ndata {}\n{data}\n", blob + 1, data.len()).unwrap();
        }
        let mut contents: Vec<Files> = Vec::new();
        for number in 0..commits {
            let mut parents = BTreeSet::new();
            if number > 0 && !random.percent(4) {
                for _ in 0..*random.pick(&[1, 1, 1, 1, 2, 2, 3]) {
                    parents.insert(number - 1 - random.below(number.min(6)));
                }
            }
            let mut files = parents.last().map_or_else(Files::new, |&at| contents[at].clone());
            change(random, &mut files, &contents, blobs);
            let time = 1_600_000_000
                + match clocks {
                    Clocks::Right => number * 100,
                    Clocks::Wrong => random.below(commits * 100),
                };
            let mark = blobs + number + 1;
            write!(
                stream,
                "commit refs/heads/c{number}\nmark :{mark}\ncommitter C <c@d> {time} +0000\ndata 1\nx\n"
            )
            .unwrap();
            for (at, parent) in parents.iter().rev().enumerate() {
                let word = if at == 0 { "from" } else { "merge" };
                writeln!(stream, "{word} :{}", blobs + parent + 1).unwrap();
            }
            stream.push_str("deleteall\n");
            for (name, blob) in &files {
                writeln!(stream, "M 100644 :{} {name}", blob + 1).unwrap();
            }
            if number % 7 == 3 {
                writeln!(stream, "M 160000 {} module", "1".repeat(40)).unwrap();
            }
            stream.push('\n');
            contents.push(files);
        }
        Disk::import(&stream, commits, random)
    }

    fn import(stream: &str, commits: usize, random: &mut Random) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        git(path, &["init", "-q", "--bare", "--initial-branch=main", "."], "");
        git(path, &["fast-import", "--quiet"], stream);
        let names: String =
            (0..commits).fold(String::new(), |all, number| all + &format!("c{number}\n"));
        let commits = ids(&git(path, &["cat-file", "--batch-check=%(objectname)"], &names));
        let last = commits.len() - 1;
        git(path, &["update-ref", "refs/heads/main", &commits[last].to_string()], "");
        for (name, of) in [
            ("v1", format!("c{}", random.below(last))),
            ("v2", format!("c{}", random.below(last))),
            ("v1-again", "v1".to_owned()),
            ("v1-once-more", "v1-again".to_owned()),
            ("tree", format!("c{last}^{{tree}}")),
            ("tag-of-tree", "tree".to_owned()),
        ] {
            git(path, &["tag", "-a", "-m", "words", name, &of], "");
        }
        let tags = git(path, &["for-each-ref", "--format=%(objectname)", "refs/tags"], "");
        Disk { commits, tags: ids(&tags), directory }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// `git rev-list`, which is told the objects on its standard input.
    pub(super) fn rev_list(&self, args: &[&str], wants: &[ObjectId], not: &[ObjectId]) -> String {
        let mut input = String::new();
        wants.iter().for_each(|id| writeln!(input, "{id}").unwrap());
        not.iter().for_each(|id| writeln!(input, "^{id}").unwrap());
        git(self.path(), &[&["rev-list", "--stdin"], args].concat(), &input)
    }

    /// What `git pack-objects` packs for a client, as Git's server calls it.
    pub(super) fn pack_objects(&self, wants: &[ObjectId], not: &[ObjectId]) -> BTreeSet<ObjectId> {
        let mut input = String::new();
        wants.iter().for_each(|id| writeln!(input, "{id}").unwrap());
        not.iter().for_each(|id| writeln!(input, "^{id}").unwrap());
        let args = ["pack-objects", "--revs", "--sparse", "--quiet", "packed"];
        let name = git(self.path(), &args, &input);
        let index = format!("packed-{}.idx", name.trim());
        let listed = git(self.path(), &["verify-pack", "-v", &index], "");
        let first = listed.lines().filter_map(|line| line.split(' ').next()?.parse().ok());
        first.collect()
    }

    /// The annotated tags that refs point to, each with what it peels to.
    pub(super) fn peeled_tags(&self) -> Vec<(ObjectId, ObjectId)> {
        let names: String = self.tags.iter().map(|tag| format!("{tag}^{{}}\n")).collect();
        let peeled = ids(&git(self.path(), &["cat-file", "--batch-check=%(objectname)"], &names));
        self.tags.iter().copied().zip(peeled).collect()
    }

    /// All objects, in memory.
    pub(super) fn objects(&self) -> Known {
        Known::read(self.path())
    }
}

/// All objects of a repository on disk.
pub(super) fn all_ids(path: &Path) -> BTreeSet<ObjectId> {
    let args = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"];
    ids(&git(path, &args, "")).into_iter().collect()
}

/// A place for a client of a repository.
pub(super) fn client(disk: &Disk, name: &str) -> PathBuf {
    disk.path().join(name)
}

/// Objects in memory.
pub(super) struct Known {
    pub(super) objects: BTreeMap<ObjectId, (Kind, Bytes)>,
    pub(super) nodes: BTreeMap<ObjectId, CommitNode>,
    /// Generations are told.
    pub(super) generations: bool,
    /// Trees and tags of one answer.
    pub(super) answer_max: usize,
    /// Calls so far.
    pub(super) calls: AtomicU64,
}

impl Known {
    pub(super) fn new() -> Self {
        Known {
            objects: BTreeMap::new(),
            nodes: BTreeMap::new(),
            generations: true,
            answer_max: 3,
            calls: AtomicU64::new(0),
        }
    }

    fn read(path: &Path) -> Self {
        let output = Command::new("git")
            .current_dir(path)
            .args(["cat-file", "--batch-all-objects", "--batch"])
            .output()
            .unwrap();
        let mut known = Known::new();
        let mut rest = &output.stdout[..];
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
            let line = std::str::from_utf8(&rest[..end]).unwrap();
            let [id, kind, size] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let size: usize = size.parse().unwrap();
            let data = Bytes::copy_from_slice(&rest[end + 1..end + 1 + size]);
            known.insert(id.parse().unwrap(), kind.parse().unwrap(), data);
            rest = &rest[end + 1 + size + 1..];
        }
        known.number();
        known
    }

    /// Adds an object; [`Known::number`] is called once all commits are there.
    pub(super) fn insert(&mut self, id: ObjectId, kind: Kind, data: Bytes) {
        if kind == Kind::Commit {
            let Commit { tree, parents, committed_at } =
                Commit::parse(HashAlgorithm::Sha1, &data).unwrap();
            self.nodes.insert(id, CommitNode { tree, parents, committed_at, generation: None });
        }
        self.objects.insert(id, (kind, data));
    }

    /// Adds an object that is made here.
    pub(super) fn make(&mut self, kind: Kind, data: &[u8]) -> ObjectId {
        let data = Bytes::copy_from_slice(data);
        let object = Object::hash(HashAlgorithm::Sha1, kind, data.clone()).unwrap();
        self.insert(object.id(), kind, data);
        object.id()
    }

    /// Adds a commit.
    pub(super) fn commit(&mut self, tree: ObjectId, parents: &[ObjectId], time: u64) -> ObjectId {
        let mut text = format!("tree {tree}\n");
        parents.iter().for_each(|parent| writeln!(text, "parent {parent}").unwrap());
        write!(text, "author A <a> {time} +0000\ncommitter A <a> {time} +0000\n\nwords\n").unwrap();
        self.make(Kind::Commit, text.as_bytes())
    }

    /// Adds a tree.
    pub(super) fn tree(&mut self, entries: &[(&str, &str, ObjectId)]) -> ObjectId {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name.as_bytes());
            data.push(0);
            data.extend_from_slice(id.as_bytes());
        }
        self.make(Kind::Tree, &data)
    }

    /// Computes generations.
    pub(super) fn number(&mut self) {
        let mut stack: Vec<ObjectId> = self.nodes.keys().copied().collect();
        while let Some(&id) = stack.last() {
            let parents = self.nodes[&id].parents.clone();
            let known = parents.iter().filter(|parent| self.nodes.contains_key(parent));
            let known: Vec<ObjectId> = known.copied().collect();
            let open: Vec<ObjectId> = known
                .iter()
                .filter(|parent| self.nodes[parent].generation.is_none())
                .copied()
                .collect();
            if !open.is_empty() {
                stack.extend(open);
                continue;
            }
            let below = known.iter().filter_map(|parent| self.nodes[parent].generation).max();
            self.nodes.get_mut(&id).unwrap().generation = Some(below.unwrap_or(0) + 1);
            stack.pop();
        }
    }

    /// What an object links to.
    pub(super) fn links(&self, id: &ObjectId) -> Vec<ObjectId> {
        let (kind, data) = &self.objects[id];
        let mut all = Vec::new();
        links(HashAlgorithm::Sha1, *kind, data, |id, _| all.push(id)).unwrap();
        all
    }

    /// All that these objects reach, where the commits in `cut` have no parents.
    pub(super) fn closure(
        &self,
        from: &[ObjectId],
        cut: &BTreeSet<ObjectId>,
    ) -> BTreeSet<ObjectId> {
        let mut seen = BTreeSet::new();
        let mut stack = from.to_vec();
        while let Some(id) = stack.pop() {
            if seen.insert(id) {
                match self.nodes.get(&id).filter(|_| cut.contains(&id)) {
                    Some(node) => stack.push(node.tree),
                    None => stack.extend(self.links(&id)),
                }
            }
        }
        seen
    }

    /// Fails with the difference and its kinds.
    pub(super) fn assert_same(
        &self,
        ours: &BTreeSet<ObjectId>,
        gits: &BTreeSet<ObjectId>,
        context: &str,
    ) {
        let only = |one: &BTreeSet<ObjectId>, other: &BTreeSet<ObjectId>| {
            let only = one.difference(other).map(|id| (*id, self.objects[id].0));
            only.collect::<Vec<_>>()
        };
        let (more, less) = (only(ours, gits), only(gits, ours));
        assert!(
            more.is_empty() && less.is_empty(),
            "{context}: ours alone {more:?}, Git's {less:?}"
        );
    }

    fn called(&self, ids: &[ObjectId]) {
        assert!((1..=BATCH_OBJECTS_MAX).contains(&ids.len()), "{} in one call", ids.len());
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Objects for Known {
    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::Sha1
    }

    async fn heads(&self, ids: &[ObjectId]) -> Result<Vec<Option<ObjectHead>>, RepositoryError> {
        self.called(ids);
        let head = |id: &ObjectId| {
            let (kind, data) = self.objects.get(id)?;
            Some(ObjectHead { id: *id, kind: *kind, size_bytes: data.len() as u64 })
        };
        Ok(ids.iter().map(head).collect())
    }

    async fn commits(&self, ids: &[ObjectId]) -> Result<Vec<Option<CommitNode>>, RepositoryError> {
        self.called(ids);
        let node = |id: &ObjectId| {
            let node = self.nodes.get(id)?.clone();
            Some(CommitNode { generation: node.generation.filter(|_| self.generations), ..node })
        };
        Ok(ids.iter().map(node).collect())
    }

    async fn read(&self, ids: &[ObjectId]) -> Result<Vec<Option<(Kind, Bytes)>>, RepositoryError> {
        self.called(ids);
        Ok(ids.iter().take(self.answer_max).map(|id| self.objects.get(id).cloned()).collect())
    }
}

/// A request for a pack with nothing special about it.
pub(super) fn request(wants: &[ObjectId], common: &[ObjectId]) -> PackRequest {
    PackRequest {
        wants: wants.to_vec(),
        common: common.to_vec(),
        client_shallow: Vec::new(),
        shallow: Shallow::default(),
        filter: None,
        thin: true,
        ofs_delta: true,
        include_tag: false,
    }
}
