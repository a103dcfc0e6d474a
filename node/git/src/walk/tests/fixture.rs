//! Repositories for tests: random histories that Git itself wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::known::Known;

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
        Disk::random_of(HashAlgorithm::Sha1, seed, commits, clocks)
    }

    /// As [`Disk::random`], with ids of either algorithm.
    pub(super) fn random_of(
        algorithm: HashAlgorithm,
        seed: u64,
        commits: usize,
        clocks: Clocks,
    ) -> Self {
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
                writeln!(stream, "M 160000 {} module", "1".repeat(2 * algorithm.id_len())).unwrap();
            }
            stream.push('\n');
            contents.push(files);
        }
        Disk::import(algorithm, &stream, commits, random)
    }

    fn import(algorithm: HashAlgorithm, stream: &str, commits: usize, random: &mut Random) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let format = format!("--object-format={}", algorithm.as_str());
        git(path, &["init", "-q", "--bare", "--initial-branch=main", &format, "."], "");
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
