//! Simulated disk.
//!
//! A disk in memory that knows which of its bytes would survive a power loss.
//!
//! A file holds its content as the cache has it, as the medium has it, and the changes
//! that lead from one to the other; so do the names. A sync moves changes to the medium, a
//! failed one moves some and forgets the others, and a power loss draws which of those
//! left over had got there by themselves: `loss` says exactly what may happen. What goes
//! wrong while the power is on is in `faults`. Not modelled: a cache that forgets what it
//! failed to write while its process lives, and room taken by open files without a name.
//!
//! Every operation passes [`Disk::step`], the one place where time passes and where an
//! operation can be made to fail; every one that changes what a power loss would leave is
//! counted, and the machine can be stopped at any of them. No lock is held while time
//! passes. Each purpose draws from a stream of its own, so that one more draw of one
//! moves no other.

mod contents;
mod faults;
mod file;
mod inode;
mod loss;
mod power;
mod profile;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha12Rng;
use tokio::sync::Notify;

use super::errors::exhausted;
use super::{OpenMode, Room, assert_path, failed, parent_of};
pub use faults::Fault;
use faults::{Effect, Meant, next_effect};
pub use file::File;
use inode::Inode;
pub use loss::Loss;
use profile::Latencies;
pub use profile::{DiskProfile, Operation};
use tree::Tree;

/// A directory tree. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    /// The process whose handle this is; none looks from outside.
    process: Option<u64>,
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
    /// Told of what an operation may wait for: a release, a stop, a process's end. Not a
    /// `watch`, which wakes several in an order that differs from run to run.
    events: Notify,
}

#[derive(Debug)]
struct State {
    latencies: Latencies,
    losses: ChaCha12Rng,
    rot: ChaCha12Rng,
    /// Counts processes; what an earlier one opened or locked is void.
    generation: u64,
    tree: Tree,
    /// Locked paths and the process that locked each.
    locks: BTreeMap<String, u64>,
    faults: Vec<Fault>,
    /// How often stalled operations were let go.
    releases: u64,
    /// Latencies are multiplied by this.
    slowdown: u32,
    /// Bytes of content that the disk has room for.
    capacity_bytes: Option<u64>,
    /// What a power loss may take.
    loss: Loss,
    /// Counted operations so far.
    operations: u64,
    /// The operation, by number, that never returns, nor does any after it.
    stop_at: Option<u64>,
}

/// The numbers of the disk's streams; those of one purpose never meet those of another.
mod streams {
    pub(super) const LATENCIES: u64 = 0;
    pub(super) const SPIKES: u64 = 1;
    pub(super) const LOSSES: u64 = 2;
    pub(super) const ROT: u64 = 3;
}

impl Disk {
    /// An empty disk; `seed` draws its latencies, what a power loss spares, and where it
    /// rots.
    pub fn simulated(profile: DiskProfile, seed: u64) -> Self {
        Self::holding(Tree::default(), profile, seed)
    }

    fn holding(tree: Tree, profile: DiskProfile, seed: u64) -> Self {
        let state = State {
            latencies: Latencies {
                usual: loss::stream(seed, streams::LATENCIES),
                spikes: loss::stream(seed, streams::SPIKES),
            },
            losses: loss::stream(seed, streams::LOSSES),
            rot: loss::stream(seed, streams::ROT),
            generation: 0,
            tree,
            locks: BTreeMap::new(),
            faults: Vec::new(),
            releases: 0,
            slowdown: 1,
            capacity_bytes: None,
            loss: Loss::default(),
            operations: 0,
            stop_at: None,
        };
        let shared = Shared { profile, state: Mutex::new(state), events: Notify::new() };
        Disk { shared: Arc::new(shared), process: None }
    }

    /// Gives the disk room for so many bytes of content, or without a bound.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.state().capacity_bytes = capacity_bytes;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No invariant spans a panic here: a panic under the lock is a bug of this file.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process on whose behalf this handle works.
    fn generation(&self) -> u64 {
        self.process.unwrap_or_else(|| self.state().generation)
    }

    fn is_current(&self, generation: u64) -> bool {
        self.state().generation == generation
    }

    /// Lets the time of an operation pass, and the operation fail if it should.
    async fn step(&self, meant: Meant<'_>, generation: u64) -> io::Result<Option<Effect>> {
        self.alive(generation).await?;
        let (effect, latency, releases) = {
            let state = &mut *self.state();
            let effect = next_effect(&mut state.faults, &meant, &state.tree);
            let drawn = state.latencies.draw(&self.shared.profile, meant.operation);
            let latency = drawn * state.slowdown;
            (effect, latency, state.releases)
        };
        if matches!(effect, Some(Effect::Stall)) {
            self.wait(|state| state.generation != generation || state.releases > releases).await;
        }
        // A sleep of nothing would still last a millisecond.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        // The process may have died meanwhile.
        self.alive(generation).await?;
        match effect {
            Some(Effect::Fail(kind)) => Err(io::Error::new(kind, "injected fault")),
            Some(Effect::Exhausted) => {
                let words = "injected fault: too many open files".to_owned();
                Err(exhausted(io::ErrorKind::Other, words))
            }
            effect => Ok(effect),
        }
    }

    async fn entry<T>(
        &self,
        doing: &str,
        path: &str,
        look: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        assert_path(path);
        let generation = self.generation();
        let stepped = self.step(meant(doing, path), generation).await;
        stepped.and_then(|_| look(&mut self.state())).map_err(|error| failed(doing, path, error))
    }

    /// As `entry`, for what changes names.
    async fn alter_entry<T>(
        &self,
        doing: &str,
        path: &str,
        change: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let wrap = |error| failed(doing, path, error);
        assert_path(path);
        let generation = self.generation();
        self.step(meant(doing, path), generation).await.map_err(wrap)?;
        self.alter(generation, change).await.map_err(wrap)
    }

    /// The same disk: here nobody waits on a thread.
    pub fn in_place(self) -> Self {
        self
    }

    /// Makes a directory and its missing parents, durably.
    ///
    /// # Errors
    /// Injected ones.
    pub async fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        self.alter_entry("create", dir, |state| {
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
        let file = |inode, generation| {
            File::new(self.clone(), inode, path, mode != OpenMode::Read, generation)
        };
        match mode {
            OpenMode::Read | OpenMode::ReadWrite => {
                let found = |state: &mut State| Ok(file(state.tree.find(path)?, state.generation));
                self.entry("open", path, found).await
            }
            OpenMode::CreateNew => {
                let make = |state: &mut State| Ok(file(state.tree.create(path)?, state.generation));
                self.alter_entry("open", path, make).await
            }
        }
    }

    /// Renames a file, replacing what was there.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        assert_path(to);
        self.alter_entry("rename", from, |state| state.tree.rename(from, to)).await
    }

    /// Gives a file a second name (a hard link). Durable after [`Disk::sync_dir`] of the
    /// directory of `to`; the file's contents only after [`File::sync_data`].
    ///
    /// # Errors
    /// `AlreadyExists` when there is something at `to`; `NotFound`.
    pub async fn link(&self, from: &str, to: &str) -> io::Result<()> {
        assert_path(to);
        self.alter_entry("link", from, |state| {
            state.tree.link(from, to).map_err(|error| failed("make", to, error))
        })
        .await
    }

    /// Bytes that a writer without privileges can still write: `u64::MAX` on a disk
    /// without a capacity.
    ///
    /// # Errors
    /// Injected ones.
    pub async fn room(&self) -> io::Result<Room> {
        let room = |state: &mut State| {
            Ok(Room { bytes: state.room_for(u64::MAX), files: None, read_only: false })
        };
        self.entry("ask for the room in", "", room).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        self.alter_entry("remove", path, |state| state.tree.remove(path)).await
    }

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.sync_entries(dir, true).await
    }

    /// Opens a directory, to sync its entries later.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn open_dir(&self, dir: &str) -> io::Result<Directory> {
        self.entry("open directory", dir, |state| state.tree.sync_mark(dir).map(drop)).await?;
        Ok(Directory { disk: self.clone(), dir: dir.to_owned() })
    }

    async fn sync_entries(&self, dir: &str, opens: bool) -> io::Result<()> {
        assert_path(dir);
        let generation = self.generation();
        let wrap = |error| failed("sync directory", dir, error);
        let mark = self.state().tree.sync_mark(dir).map_err(wrap)?;
        let meant = Meant::with_name(Operation::Sync, dir).opens(opens);
        let effect = self.step(meant, generation).await.map_err(wrap)?;
        let synced = self.reach_medium(generation, |state| {
            if !matches!(effect, Some(Effect::Lie)) {
                state.tree.sync(dir, mark);
            }
        });
        synced.await.map_err(wrap)
    }

    /// Takes the exclusive lock on a file, making it if need be; `WouldBlock` when
    /// another process has it.
    ///
    /// # Errors
    /// `WouldBlock`.
    pub async fn lock(&self, path: &str) -> io::Result<DiskLock> {
        self.alter_entry("lock", path, |state| {
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

/// What concerns a name, as it is called in errors; these take a descriptor.
fn meant<'a>(doing: &str, path: &'a str) -> Meant<'a> {
    let opens = matches!(doing, "open" | "open directory" | "list" | "lock");
    Meant::with_name(Operation::Entry, path).opens(opens)
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    disk: Disk,
    dir: String,
}

impl Directory {
    /// Makes the entries of the directory durable.
    ///
    /// # Errors
    /// Injected ones.
    pub async fn sync(&self) -> io::Result<()> {
        self.disk.sync_entries(&self.dir, false).await
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
    /// How many of `bytes` more there is room for.
    fn room_for(&self, bytes: u64) -> u64 {
        match self.capacity_bytes {
            Some(capacity) => bytes.min(capacity.saturating_sub(self.tree.content_bytes())),
            None => bytes,
        }
    }
}
