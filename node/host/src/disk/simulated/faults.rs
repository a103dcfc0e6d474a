//! Disk fault injection.
//!
//! Faults of a disk while it runs, and damage at rest.
//!
//! Errors, slowness and stalls are what a store has to bear: whatever it acknowledged
//! stays so. A lying sync, a misdirected write and rot break what a store builds on: after
//! them it may miss or report damaged what it had, and must never serve other bytes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rand::Rng;

use super::inode::Inode;
use super::tree::Tree;
use super::{Disk, Operation, assert_path};

/// A rule by which operations go wrong, until it is used up or the faults are cleared.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: Operation,
    /// A file or a directory; all when none.
    path: Option<String>,
    /// What the name ends with under which a file was opened; any name when none.
    ending: Option<String>,
    /// The bytes of a file that have to be touched; any when none.
    bytes: Option<Range<u64>>,
    /// Operations that it still lets pass.
    spared: u64,
    /// Operations that it still hits; all when none.
    left: Option<u64>,
    effect: Effect,
}

/// How an operation goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// It fails, having done nothing.
    Fail(io::ErrorKind),
    /// It fails for want of a descriptor.
    Exhausted,
    /// A sync that does nothing and says that it did.
    Lie,
    /// A write that arrives elsewhere.
    Misdirect { path: String, offset: u64 },
    /// It waits until [`Disk::release`].
    Stall,
}

impl Fault {
    fn new(operation: Operation, effect: Effect) -> Self {
        let (path, ending, bytes) = (None, None, None);
        Fault { operation, path, ending, bytes, spared: 0, left: None, effect }
    }

    /// Operations of this kind fail. After a failed sync, each change that it was to cover
    /// has reached the medium or never will.
    pub fn error(operation: Operation, kind: io::ErrorKind) -> Self {
        Self::new(operation, Effect::Fail(kind))
    }

    /// Whatever opens a file or a directory fails for want of a descriptor, as when the process
    /// has as many as it may; what is open stays so.
    pub fn exhausted() -> Self {
        Self::new(Operation::Entry, Effect::Exhausted)
    }

    /// Operations of this kind wait until [`Disk::release`].
    pub fn stall(operation: Operation) -> Self {
        Self::new(operation, Effect::Stall)
    }

    /// Syncs of files and directories answer and do nothing; a later honest sync covers
    /// what they left. Outside of what a store can bear.
    pub fn lying_sync() -> Self {
        Self::new(Operation::Sync, Effect::Lie)
    }

    /// Writes arrive at `offset` of `path`, as far as that file reaches, at once durable,
    /// instead of where they belong; the length that they give their own file is kept.
    /// Outside of what a store can bear.
    ///
    /// # Panics
    /// When the path is not plain.
    pub fn misdirected_write(path: &str, offset: u64) -> Self {
        assert_path(path);
        Self::new(Operation::Write, Effect::Misdirect { path: path.to_owned(), offset })
    }

    /// Only of this file, under whatever name it was opened, or of files in this directory.
    ///
    /// # Panics
    /// When the path is not plain.
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        assert_path(path);
        self.path = Some(path.to_owned());
        self
    }

    /// Only of files that were opened, or are named, by a name that ends so.
    #[must_use]
    pub fn on_names_ending(mut self, ending: &str) -> Self {
        self.ending = Some(ending.to_owned());
        self
    }

    /// Only reads and writes that touch these bytes of a file, as those of a bad sector.
    #[must_use]
    pub fn at(mut self, bytes: Range<u64>) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// So many operations pass first.
    #[must_use]
    pub fn after(mut self, operations: u64) -> Self {
        self.spared = operations;
        self
    }

    /// Ends after one operation.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.left = Some(1);
        self
    }

    fn is_of(&self, meant: &Meant<'_>) -> bool {
        match self.effect {
            Effect::Exhausted => meant.opens,
            _ => self.operation == meant.operation,
        }
    }

    fn concerns(&self, meant: &Meant<'_>, tree: &Tree) -> bool {
        let Meant { path, inode, bytes, .. } = *meant;
        let touches = |place: &Range<u64>| {
            bytes.is_some_and(|bytes| bytes.start < place.end && place.start < bytes.end)
        };
        if self.bytes.as_ref().is_some_and(|place| !touches(place)) {
            return false;
        }
        if self.ending.as_ref().is_some_and(|ending| !path.ends_with(ending.as_str())) {
            return false;
        }
        let Some(place) = &self.path else { return true };
        let below = path.strip_prefix(place.as_str());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || inode
                .is_some_and(|inode| tree.find(place).is_ok_and(|found| Arc::ptr_eq(&found, inode)))
    }
}

/// What an operation is meant to do, as far as it matters whether a rule hits it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meant<'a> {
    pub(super) operation: Operation,
    /// As it was opened, or is named.
    pub(super) path: &'a str,
    /// An open file.
    pub(super) inode: Option<&'a Arc<Inode>>,
    /// What is read or written of it.
    pub(super) bytes: Option<&'a Range<u64>>,
    /// Whether it takes a descriptor.
    pub(super) opens: bool,
}

impl<'a> Meant<'a> {
    /// Something that concerns a name.
    pub(super) fn with_name(operation: Operation, path: &'a str) -> Self {
        Meant { operation, path, inode: None, bytes: None, opens: false }
    }

    /// The same, if it takes a descriptor.
    pub(super) fn opens(self, opens: bool) -> Self {
        Meant { opens, ..self }
    }
}

/// The effect of the first rule that hits an operation, which is counted by all of them.
pub(super) fn next_effect(faults: &mut [Fault], meant: &Meant<'_>, tree: &Tree) -> Option<Effect> {
    let mut effect = None;
    for fault in faults {
        if !fault.is_of(meant) || !fault.concerns(meant, tree) {
            continue;
        }
        if fault.spared > 0 {
            fault.spared -= 1;
        } else if fault.left != Some(0) && effect.is_none() {
            fault.left = fault.left.map(|left| left - 1);
            effect = Some(fault.effect.clone());
        }
    }
    effect
}

impl Disk {
    /// Adds a rule; of several that hit an operation the oldest decides.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Drops all rules; what they stalled goes on.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
        self.release();
    }

    /// Lets every operation of a kind fail from now on, or no longer.
    pub fn set_fault(&self, operation: Operation, error: Option<io::ErrorKind>) {
        let mut state = self.state();
        state.faults.retain(|fault| fault.operation != operation);
        state.faults.extend(error.map(|kind| Fault::error(operation, kind)));
    }

    /// Lets stalled operations go on, and drops the rules that stall.
    pub fn release(&self) {
        let mut state = self.state();
        state.faults.retain(|fault| !matches!(fault.effect, Effect::Stall));
        state.releases += 1;
        self.shared.events.notify_waiters();
    }

    /// Makes reads, writes and syncs take so many times as long; 1 is as drawn.
    pub fn set_slowdown(&self, factor: u32) {
        self.state().slowdown = factor;
    }

    /// Flips one bit of a file at rest, counted from its beginning, the lowest of a byte
    /// first.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Panics
    /// When the file does not reach there.
    pub fn flip_bit(&self, path: &str, bit: u64) -> io::Result<()> {
        let inode = self.state().tree.find(path)?;
        assert!(bit / 8 < inode.len(), "{path} has no bit {bit}");
        inode.flip_bit(bit);
        Ok(())
    }

    /// Loses a file at rest: its name is gone, from the medium too. A process that has it open
    /// goes on reading it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn lose_file(&self, path: &str) -> io::Result<()> {
        self.state().tree.lose(path).map(|_| ())
    }

    /// Cuts a file at rest to its first `len` bytes.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn truncate_file(&self, path: &str, len: u64) -> io::Result<()> {
        let inode = self.state().tree.find(path)?;
        inode.truncate_at_rest(len);
        Ok(())
    }

    /// Flips a drawn bit of the files in a directory, each bit as likely as any other, and
    /// says which; `None` when there is none.
    pub fn flip_drawn_bit(&self, dir: &str) -> Option<(String, u64)> {
        let files = self.files();
        let inside = |path: &str| {
            dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
        };
        let files: Vec<_> = files.into_iter().filter(|(path, _)| inside(path)).collect();
        let bits: u64 = files.iter().map(|(_, len)| len * 8).sum();
        if bits == 0 {
            return None;
        }
        let mut bit = self.state().rot.random_range(0..bits);
        for (path, len) in files {
            if bit < len * 8 {
                self.flip_bit(&path, bit).expect("listed just now");
                return Some((path, bit));
            }
            bit -= len * 8;
        }
        unreachable!("a bit of them all is a bit of one of them")
    }

    /// Bytes of all files that have a name; a file with several counts once.
    pub fn content_bytes(&self) -> u64 {
        self.state().tree.content_bytes()
    }

    /// All files and their lengths in bytes, by path, as a process sees them now.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state();
        state.tree.files().map(|(path, inode)| (path.clone(), inode.len())).collect()
    }
}
