//! Names: which files there are, and which there would be after a power loss.
//!
//! Directories are durable from the start, because `create_dir_all` syncs; only files
//! can lose their names.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::{Inode, parent_of};

/// All directories by path; the root, `""`, exists once it was created.
#[derive(Debug, Default)]
pub(super) struct Tree {
    directories: BTreeMap<String, Directory>,
}

#[derive(Debug, Default)]
struct Directory {
    /// Files, as a running process sees them.
    entries: BTreeMap<String, Arc<Inode>>,
    /// Changes since the last sync, oldest first.
    unsynced: Vec<EntryChange>,
    /// Changes ever synced: numbers the first of `unsynced`.
    synced: u64,
}

/// What takes one change of a name back.
#[derive(Debug)]
struct EntryChange {
    name: String,
    before: Option<Arc<Inode>>,
}

impl Directory {
    fn set(&mut self, name: &str, inode: Option<Arc<Inode>>) {
        let before = match inode {
            Some(inode) => self.entries.insert(name.to_owned(), inode),
            None => self.entries.remove(name),
        };
        self.unsynced.push(EntryChange { name: name.to_owned(), before });
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
        let directory = self.directories.get(dir).ok_or(io::ErrorKind::NotFound)?;
        let below = self.directories.keys().filter(|path| !path.is_empty());
        let below = below.filter(|path| parent_of(path) == dir).map(|path| name_of(path));
        let mut names: Vec<String> =
            directory.entries.keys().cloned().chain(below.map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.directories.contains_key(path) || self.find(path).is_ok()
    }

    pub(super) fn find(&self, path: &str) -> io::Result<Arc<Inode>> {
        let directory = self.directories.get(parent_of(path)).ok_or(io::ErrorKind::NotFound)?;
        let inode = directory.entries.get(name_of(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(inode.clone())
    }

    pub(super) fn create(&mut self, path: &str) -> io::Result<Arc<Inode>> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Arc::<Inode>::default();
        self.directory(path)?.set(name_of(path), Some(inode.clone()));
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        self.directory(to)?.set(name_of(to), Some(inode));
        if from != to {
            self.directory(from)?.set(name_of(from), None);
        }
        Ok(())
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.find(from)?;
        if self.exists(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.directory(to)?.set(name_of(to), Some(inode));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.find(path)?;
        self.directory(path)?.set(name_of(path), None);
        Ok(())
    }

    /// The number that the directory's next change will have.
    pub(super) fn sync_mark(&self, dir: &str) -> io::Result<u64> {
        let directory = self.directories.get(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(directory.synced + directory.unsynced.len() as u64)
    }

    /// Makes changes before `mark` durable.
    pub(super) fn sync(&mut self, dir: &str, mark: u64) {
        let directory = self.directories.get_mut(dir).expect("directories are never removed");
        let done = mark.saturating_sub(directory.synced) as usize;
        directory.unsynced.drain(..done.min(directory.unsynced.len()));
        directory.synced = directory.synced.max(mark);
    }

    /// Takes every unsynced change of names and contents back, newest first.
    pub(super) fn lose_unsynced(&mut self) {
        for directory in self.directories.values_mut() {
            while let Some(EntryChange { name, before }) = directory.unsynced.pop() {
                match before {
                    Some(inode) => directory.entries.insert(name, inode),
                    None => directory.entries.remove(&name),
                };
            }
            directory.entries.values().for_each(|inode| inode.lose_unsynced());
        }
    }

    /// Bytes of all files that have a name; a file with several counts once.
    pub(super) fn content_bytes(&self) -> u64 {
        let named = self.directories.values().flat_map(|directory| directory.entries.values());
        let files: BTreeMap<_, _> = named.map(|inode| (Arc::as_ptr(inode), inode)).collect();
        files.values().map(|inode| inode.len()).sum()
    }

    fn directory(&mut self, path: &str) -> io::Result<&mut Directory> {
        Ok(self.directories.get_mut(parent_of(path)).ok_or(io::ErrorKind::NotFound)?)
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
