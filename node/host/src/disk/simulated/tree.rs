//! Simulated directory tree.
//!
//! Names: which files there are, and which there would be after a power loss.
//!
//! Directories are durable from the start, because `create_dir_all` syncs; only files
//! can lose their names. A change of names is durable with the directory of the name that
//! it gives, or takes where it gives none.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::loss::{Fate, Outcome};
use super::{Inode, parent_of};

type Entries = BTreeMap<String, Arc<Inode>>;

/// All directories, and all files by path; the root, `""`, exists once it was created.
#[derive(Debug, Default)]
pub(super) struct Tree {
    directories: BTreeMap<String, Directory>,
    /// Files, as a running process sees them.
    cached: Entries,
    /// Files as they are on the medium.
    durable: Entries,
    /// Changes that no sync has covered, oldest first.
    unsynced: Vec<EntryChange>,
}

#[derive(Debug, Default)]
struct Directory {
    /// Changes ever made: numbers the next one.
    changes: u64,
}

/// One change of names, which happens wholly or not at all.
#[derive(Clone, Debug)]
struct EntryChange {
    /// Its directory, and its number there.
    dir: String,
    number: u64,
    /// What paths stand for from now on.
    sets: Vec<(String, Option<Arc<Inode>>)>,
}

impl EntryChange {
    fn apply(&self, entries: &mut Entries) {
        for (path, inode) in &self.sets {
            match inode {
                Some(inode) => entries.insert(path.clone(), inode.clone()),
                None => entries.remove(path),
            };
        }
    }
}

impl Tree {
    pub(super) fn create_dir_all(&mut self, dir: &str) {
        self.directories.entry(String::new()).or_default();
        let ends = dir.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at);
        for end in ends.chain([dir.len()]) {
            self.directories.entry(dir[..end].to_owned()).or_default();
        }
    }

    pub(super) fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.directories.get(dir).ok_or(io::ErrorKind::NotFound)?;
        let paths = self.cached.keys().chain(self.directories.keys());
        let below = paths.filter(|path| !path.is_empty() && parent_of(path) == dir);
        let mut names: Vec<String> = below.map(|path| name_of(path).to_owned()).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.directories.contains_key(path) || self.cached.contains_key(path)
    }

    pub(super) fn find(&self, path: &str) -> io::Result<Arc<Inode>> {
        Ok(self.cached.get(path).cloned().ok_or(io::ErrorKind::NotFound)?)
    }

    /// All files that have a name, by name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&String, &Arc<Inode>)> {
        self.cached.iter()
    }

    pub(super) fn create(&mut self, path: &str) -> io::Result<Arc<Inode>> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Arc::<Inode>::default();
        self.change(path, vec![(path.to_owned(), Some(inode.clone()))])?;
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        if from == to {
            return Ok(());
        }
        self.change(to, vec![(to.to_owned(), Some(inode)), (from.to_owned(), None)])
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        if self.exists(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(to, vec![(to.to_owned(), Some(inode))])
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.find(path)?;
        self.change(path, vec![(path.to_owned(), None)])
    }

    /// Takes a file's name away, from the medium too, as if it had never been given.
    pub(super) fn lose(&mut self, path: &str) -> io::Result<Arc<Inode>> {
        let inode = self.find(path)?;
        self.cached.remove(path);
        self.durable.remove(path);
        self.unsynced.iter_mut().for_each(|change| change.sets.retain(|(set, _)| set != path));
        Ok(inode)
    }

    /// Makes a change that belongs to the directory of `path`.
    fn change(&mut self, path: &str, sets: Vec<(String, Option<Arc<Inode>>)>) -> io::Result<()> {
        let dir = parent_of(path);
        let directory = self.directories.get_mut(dir).ok_or(io::ErrorKind::NotFound)?;
        let change = EntryChange { dir: dir.to_owned(), number: directory.changes, sets };
        directory.changes += 1;
        change.apply(&mut self.cached);
        self.unsynced.push(change);
        Ok(())
    }

    /// The number that the directory's next change will have.
    pub(super) fn sync_mark(&self, dir: &str) -> io::Result<u64> {
        Ok(self.directories.get(dir).ok_or(io::ErrorKind::NotFound)?.changes)
    }

    /// Makes a directory's changes before `mark` durable.
    pub(super) fn sync(&mut self, dir: &str, mark: u64) {
        let mut earlier: Vec<EntryChange> = Vec::new();
        for change in std::mem::take(&mut self.unsynced) {
            if change.dir != dir || change.number >= mark {
                earlier.push(change);
                continue;
            }
            change.apply(&mut self.durable);
            // An older change of another directory must not come back over this one.
            let settled = |path: &String| change.sets.iter().any(|(set, _)| set == path);
            earlier.iter_mut().for_each(|older| older.sets.retain(|(path, _)| !settled(path)));
        }
        self.unsynced = earlier;
    }

    /// What a power loss leaves, in files of its own.
    pub(super) fn survivors(&self, outcome: &Outcome) -> Tree {
        let mut entries = self.durable.clone();
        let fates = outcome.fates(self.unsynced.len(), &mut outcome.stream(0));
        for (change, fate) in self.unsynced.iter().zip(fates) {
            if fate == Fate::Kept {
                change.apply(&mut entries);
            }
        }
        // A file with several names is one file afterwards too.
        let mut copies: BTreeMap<*const Inode, Arc<Inode>> = BTreeMap::new();
        for inode in entries.values_mut() {
            let number = copies.len() as u64 + 1;
            let copy = copies.entry(Arc::as_ptr(inode));
            *inode = copy.or_insert_with(|| Arc::new(inode.survivor(outcome, number))).clone();
        }
        let directories = self.directories.keys().map(|dir| (dir.clone(), Directory::default()));
        Tree {
            directories: directories.collect(),
            durable: entries.clone(),
            cached: entries,
            unsynced: Vec::new(),
        }
    }

    /// The directory alone, as a root; its files are the same ones.
    pub(super) fn below(&self, dir: &str) -> Tree {
        let relative = |path: &str| {
            let rest = path.strip_prefix(dir)?;
            rest.strip_prefix('/').or_else(|| rest.is_empty().then_some("")).map(str::to_owned)
        };
        let entries = |entries: &Entries| -> Entries {
            entries
                .iter()
                .filter_map(|(path, inode)| Some((relative(path)?, inode.clone())))
                .collect()
        };
        let directories = self.directories.keys().filter_map(|path| relative(path));
        Tree {
            directories: directories.map(|path| (path, Directory::default())).collect(),
            cached: entries(&self.cached),
            durable: entries(&self.durable),
            unsynced: Vec::new(),
        }
    }

    /// Bytes of all files that have a name; a file with several counts once.
    pub(super) fn content_bytes(&self) -> u64 {
        let files: BTreeMap<_, _> =
            self.cached.values().map(|inode| (Arc::as_ptr(inode), inode)).collect();
        files.values().map(|inode| inode.len()).sum()
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
