//! History generator: commits, trees and blobs that follow from what was drawn.
//!
//! All clients of a run share what was made, outside the simulated network: so a push can build on
//! any commit that its client was told of, without having fetched it first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use gitstratum_core::object::ObjectId;
use rand::Rng;

use super::object::{Made, blob, commit, tag, tree};

/// When the first commit of every history was made, in seconds after 1970.
const FIRST_COMMIT_AT: u64 = 1_700_000_000;
/// Files of all histories.
const FILES: [&str; 8] = [
    "README.md",
    "Makefile",
    "docs/concepts.md",
    "docs/operating.md",
    "src/lib.rs",
    "src/main.rs",
    "src/tests.rs",
    "tests/all.rs",
];
/// Bytes of a file, and of one that fits no single chunk.
const FILE_BYTES: std::ops::Range<usize> = 20..2_000;
const LARGE_FILE_BYTES: std::ops::Range<usize> = 1_060_000..1_200_000;

/// Everything that the Git clients of a run made. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Histories(Arc<Mutex<BTreeMap<ObjectId, Commit>>>);

/// What is known of a commit.
#[derive(Clone, Debug)]
struct Commit {
    /// Blobs by the paths of files.
    files: BTreeMap<&'static str, ObjectId>,
    parents: Vec<ObjectId>,
    at: u64,
}

impl Histories {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<ObjectId, Commit>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is a commit that was made.
    pub(super) fn is_commit(&self, id: &ObjectId) -> bool {
        self.with(|commits| commits.contains_key(id))
    }

    /// The first parent of a commit.
    pub(super) fn parent(&self, id: &ObjectId) -> Option<ObjectId> {
        self.with(|commits| commits.get(id)?.parents.first().copied())
    }

    /// A new commit on top of these, which changes a file or a few; with all objects that none of
    /// them has, the commit first and a blob last.
    pub(super) fn commit(
        &self,
        parents: &[ObjectId],
        large: bool,
        rng: &mut impl Rng,
    ) -> (ObjectId, Vec<Made>) {
        self.with(|commits| {
            let before: Vec<&Commit> = parents.iter().filter_map(|id| commits.get(id)).collect();
            let mut files = BTreeMap::new();
            before.iter().for_each(|commit| files.extend(commit.files.clone()));
            let mut blobs = Vec::new();
            let (changes, bytes) = match large {
                true => (1, LARGE_FILE_BYTES),
                false => (rng.random_range(1..=3), FILE_BYTES),
            };
            for _ in 0..changes {
                let mut data = vec![0; rng.random_range(bytes.clone())];
                rng.fill_bytes(&mut data);
                let made = blob(data);
                files.insert(FILES[rng.random_range(0..FILES.len())], made.id);
                blobs.push(made);
            }
            // One that another took the place of is no part of the commit.
            blobs.retain(|made| files.values().any(|id| *id == made.id));
            let at = before.iter().map(|commit| commit.at).max().unwrap_or(FIRST_COMMIT_AT) + 60;
            let known: BTreeSet<ObjectId> =
                before.iter().flat_map(|commit| trees(&commit.files)).map(|made| made.id).collect();
            let trees = trees(&files);
            let root = trees.first().expect("there is a root").id;
            let made = commit(root, parents, at, &format!("Change {} files", blobs.len()));
            let id = made.id;
            let mut objects = vec![made];
            objects.extend(trees.into_iter().filter(|made| !known.contains(&made.id)));
            objects.extend(blobs);
            commits.insert(id, Commit { files, parents: parents.to_vec(), at });
            (id, objects)
        })
    }

    /// A new annotated tag of a commit that was made.
    pub(super) fn tag(&self, target: ObjectId, name: &str, rng: &mut impl Rng) -> Made {
        let at = self.with(|commits| commits.get(&target).map_or(FIRST_COMMIT_AT, |it| it.at));
        // So that no two tags are the same.
        tag(target, name, at + u64::from(rng.next_u32()))
    }
}

/// The trees of files, the root first.
fn trees(files: &BTreeMap<&'static str, ObjectId>) -> Vec<Made> {
    let mut here = BTreeMap::new();
    let mut below: BTreeMap<&str, BTreeMap<&str, ObjectId>> = BTreeMap::new();
    for (path, id) in files {
        match path.split_once('/') {
            Some((directory, name)) => drop(below.entry(directory).or_default().insert(name, *id)),
            None => drop(here.insert(*path, *id)),
        }
    }
    let directories: BTreeMap<&str, Made> =
        below.iter().map(|(name, files)| (*name, tree(files, &BTreeMap::new()))).collect();
    let ids = directories.iter().map(|(name, made)| (*name, made.id)).collect();
    let mut trees = vec![tree(&here, &ids)];
    trees.extend(directories.into_values());
    trees
}
