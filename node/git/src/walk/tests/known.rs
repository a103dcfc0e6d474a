//! Objects in memory: those of a repository on disk, or others that tests make.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits::BATCH_OBJECTS_MAX;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead, ObjectId};

use crate::object::{Commit, links};
use crate::service::{PackRequest, RepositoryError, Shallow};
use crate::walk::{CommitNode, Objects};

/// Objects in memory.
pub(super) struct Known {
    algorithm: HashAlgorithm,
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
            algorithm: HashAlgorithm::Sha1,
            objects: BTreeMap::new(),
            nodes: BTreeMap::new(),
            generations: true,
            answer_max: 3,
            calls: AtomicU64::new(0),
        }
    }

    /// All objects of a repository on disk.
    pub(super) fn read(path: &Path) -> Self {
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
        self.algorithm = id.algorithm();
        if kind == Kind::Commit {
            let Commit { tree, parents, committed_at } =
                Commit::parse(self.algorithm, &data).unwrap();
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
        links(self.algorithm, *kind, data, |id, _| all.push(id)).unwrap();
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
        self.algorithm
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
