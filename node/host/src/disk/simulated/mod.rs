//! A disk in memory that knows which of its bytes would survive a power loss.
//!
//! A file holds its cached content, as every read sees it, and what is needed to take
//! back each change since the last sync. A directory holds its entries and, for names
//! changed since its last sync, what they would be after a power loss. So a sync costs
//! what was written since the one before, and a power loss works on the list of single
//! changes: it may spare any of them.
//!
//! Every operation passes [`Disk::step`], the one place where time passes and where an
//! operation can be made to fail. No lock is held while time passes.

mod file;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{OpenMode, assert_path, failed, parent_of};
pub use file::File;
use file::Inode;
use tree::Tree;

/// How long the operations of a disk take.
#[derive(Clone, Debug)]
pub struct DiskProfile {
    /// A read that is served.
    pub read_latency: RangeInclusive<Duration>,
    /// A write into the cache.
    pub write_latency: RangeInclusive<Duration>,
    /// `fdatasync`, of a file or a directory.
    pub sync_latency: RangeInclusive<Duration>,
}

impl DiskProfile {
    /// A disk on which nothing takes time.
    pub fn instant() -> Self {
        let none = Duration::ZERO..=Duration::ZERO;
        DiskProfile { read_latency: none.clone(), write_latency: none.clone(), sync_latency: none }
    }
}

/// What can be slow or made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Reading file contents.
    Read,
    /// Writing or resizing a file.
    Write,
    /// Syncing a file or a directory.
    Sync,
    /// Opening, listing, locking, creating, renaming, removing: no time, no device.
    Entry,
}

/// A directory tree. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    shared: Arc<Shared>,
}

/// An exclusive lock, held until dropped or until the process dies.
#[derive(Debug)]
pub struct DiskLock {
    disk: Disk,
    path: String,
    generation: u64,
}

#[derive(Debug)]
struct Shared {
    profile: DiskProfile,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: ChaCha12Rng,
    /// Counts processes; what an earlier one opened or locked is void.
    generation: u64,
    tree: Tree,
    /// Locked paths and the process that locked each.
    locks: BTreeMap<String, u64>,
    /// Operations that fail, and with what.
    faults: BTreeMap<Operation, io::ErrorKind>,
    /// Bytes of content that the disk has room for.
    capacity_bytes: Option<u64>,
}

impl Disk {
    /// An empty disk; `seed` draws its latencies and what a power loss spares.
    pub fn simulated(profile: DiskProfile, seed: u64) -> Self {
        let state = State {
            rng: ChaCha12Rng::seed_from_u64(seed),
            generation: 0,
            tree: Tree::default(),
            locks: BTreeMap::new(),
            faults: BTreeMap::new(),
            capacity_bytes: None,
        };
        Disk { shared: Arc::new(Shared { profile, state: Mutex::new(state) }) }
    }

    /// The process that used the disk is gone: its open files fail from now on, its locks
    /// are free, what it wrote stays in the cache.
    pub fn process_gone(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.locks.clear();
    }

    /// The power went: as `process_gone`, and what was not synced is lost.
    pub fn power_lost(&self) {
        self.process_gone();
        self.state().tree.lose_unsynced();
    }

    /// Lets every operation of a kind fail from now on, or no longer.
    pub fn set_fault(&self, operation: Operation, error: Option<io::ErrorKind>) {
        let mut state = self.state();
        match error {
            Some(kind) => state.faults.insert(operation, kind),
            None => state.faults.remove(&operation),
        };
    }

    /// Gives the disk room for so many bytes of content, or without a bound.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.state().capacity_bytes = capacity_bytes;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No invariant spans a panic here: a panic under the lock is a bug of this file.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Lets the time of an operation pass, and the operation fail if it should.
    async fn step(&self, operation: Operation, generation: u64) -> io::Result<()> {
        let profile = &self.shared.profile;
        let latency = match operation {
            Operation::Read => Some(&profile.read_latency),
            Operation::Write => Some(&profile.write_latency),
            Operation::Sync => Some(&profile.sync_latency),
            Operation::Entry => None,
        };
        self.state().check(operation, generation)?;
        // A sleep of nothing would still last a millisecond.
        if let Some(range) = latency.filter(|range| !range.end().is_zero()) {
            let (least, most) = (range.start().as_nanos() as u64, range.end().as_nanos() as u64);
            let drawn = self.state().rng.random_range(least..=most);
            if drawn > 0 {
                tokio::time::sleep(Duration::from_nanos(drawn)).await;
            }
            // The process may have died, or the disk begun to fail, meanwhile.
            self.state().check(operation, generation)?;
        }
        Ok(())
    }

    async fn entry<T>(
        &self,
        doing: &str,
        path: &str,
        change: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        assert_path(path);
        let generation = self.generation();
        let stepped = self.step(Operation::Entry, generation).await;
        stepped.and_then(|()| change(&mut self.state())).map_err(|error| failed(doing, path, error))
    }

    /// Makes a directory and its missing parents, durably.
    ///
    /// # Errors
    /// Injected ones.
    pub async fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        self.entry("create", dir, |state| {
            state.tree.create_dir_all(dir);
            Ok(())
        })
        .await
    }

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.entry("list", dir, |state| state.tree.list(dir)).await
    }

    /// Whether there is a file or directory at `path`.
    ///
    /// # Errors
    /// Injected ones.
    pub async fn exists(&self, path: &str) -> io::Result<bool> {
        self.entry("look for", path, |state| Ok(state.tree.exists(path))).await
    }

    /// Opens or makes a file.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`.
    pub async fn open(&self, path: &str, mode: OpenMode) -> io::Result<File> {
        self.entry("open", path, |state| {
            let inode = match mode {
                OpenMode::Read | OpenMode::ReadWrite => state.tree.find(path)?,
                OpenMode::CreateNew => state.tree.create(path)?,
            };
            let writable = mode != OpenMode::Read;
            Ok(File::new(self.clone(), inode, path, writable, state.generation))
        })
        .await
    }

    /// Renames a file, replacing what was there.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        assert_path(to);
        self.entry("rename", from, |state| state.tree.rename(from, to)).await
    }

    /// Gives a file a second name (a hard link). Durable after [`Disk::sync_dir`] of the
    /// directory of `to`; the file's contents only after [`File::sync_data`].
    ///
    /// # Errors
    /// `AlreadyExists` when there is something at `to`; `NotFound`.
    pub async fn link(&self, from: &str, to: &str) -> io::Result<()> {
        assert_path(to);
        self.entry("link", from, |state| {
            state.tree.link(from, to).map_err(|error| failed("make", to, error))
        })
        .await
    }

    /// Bytes that a writer without privileges can still write: `u64::MAX` on a disk
    /// without a capacity.
    ///
    /// # Errors
    /// Injected ones.
    pub async fn available_bytes(&self) -> io::Result<u64> {
        self.entry("ask for the room in", "", |state| Ok(state.room_for(u64::MAX))).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        self.entry("remove", path, |state| state.tree.remove(path)).await
    }

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn sync_dir(&self, dir: &str) -> io::Result<()> {
        assert_path(dir);
        let generation = self.generation();
        let wrap = |error| failed("sync directory", dir, error);
        let mark = self.state().tree.sync_mark(dir).map_err(wrap)?;
        self.step(Operation::Sync, generation).await.map_err(wrap)?;
        self.state().tree.sync(dir, mark);
        Ok(())
    }

    /// Takes the exclusive lock on a file, making it if need be; `WouldBlock` when
    /// another process has it.
    ///
    /// # Errors
    /// `WouldBlock`.
    pub async fn lock(&self, path: &str) -> io::Result<DiskLock> {
        self.entry("lock", path, |state| {
            if state.locks.contains_key(path) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if !state.tree.exists(path) {
                state.tree.create(path)?;
            }
            let generation = state.generation;
            state.locks.insert(path.to_owned(), generation);
            Ok(DiskLock { disk: self.clone(), path: path.to_owned(), generation })
        })
        .await
    }
}

impl Drop for DiskLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        // Another process may have taken the lock since this one's died.
        if state.locks.get(&self.path) == Some(&self.generation) {
            state.locks.remove(&self.path);
        }
    }
}

impl State {
    fn check(&self, operation: Operation, generation: u64) -> io::Result<()> {
        if generation != self.generation {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "its process is gone"));
        }
        match self.faults.get(&operation) {
            Some(kind) => Err(io::Error::new(*kind, "injected fault")),
            None => Ok(()),
        }
    }

    /// How many of `bytes` more there is room for.
    fn room_for(&self, bytes: u64) -> u64 {
        match self.capacity_bytes {
            Some(capacity) => bytes.min(capacity.saturating_sub(self.tree.content_bytes())),
            None => bytes,
        }
    }
}
