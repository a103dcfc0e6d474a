//! Power loss.
//!
//! The end of a process or of the power, and what is found afterwards.
//!
//! A machine can be stopped at any of its counted operations: that one takes effect in the
//! cache, a sync not even there, and neither it nor any later one returns. Then every
//! outcome of a power loss at that moment can be looked at, each on a disk of its own.

use std::io;

use rand::RngCore;

use super::inode::Inode;
use super::loss::Outcome;
use super::tree::Tree;
use super::{Disk, Loss, State};

impl Disk {
    /// The process that used the disk is gone: its open files fail from now on, its locks
    /// are free, what it wrote stays in the cache. A stopped disk goes on.
    pub fn process_gone(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.locks.clear();
        state.stop_at = None;
        self.shared.events.notify_waiters();
    }

    /// The disk as the process of this moment sees it: when that is gone, every operation
    /// of this handle fails. Other handles go with whichever process there is. That of a
    /// process stays that one's.
    #[must_use]
    pub fn of_process(&self) -> Disk {
        let process = self.process.or_else(|| Some(self.state().generation));
        Disk { shared: self.shared.clone(), process }
    }

    /// The power went: as `process_gone`, and of what was not synced there remains what
    /// [`Disk::set_loss`] allows and the disk's stream of losses draws.
    pub fn power_lost(&self) {
        self.process_gone();
        let state = &mut *self.state();
        let outcome = Outcome::new(state.loss, state.losses.next_u64());
        state.tree = state.tree.survivors(&outcome);
    }

    /// The disk is another one, without a file: as `process_gone`, and nothing remains.
    pub fn replaced(&self) {
        self.process_gone();
        self.state().tree = Tree::default();
    }

    /// Sets what a power loss may take; any subset, with torn writes, at first.
    pub fn set_loss(&self, loss: Loss) {
        self.state().loss = loss;
    }

    /// What would be found if the power went now, on a disk of its own that works well:
    /// `seed` draws the outcome and all that the new disk draws.
    pub fn after_power_loss(&self, seed: u64) -> Disk {
        let loss = self.state().loss;
        self.left_by(loss, seed)
    }

    /// A disk of its own with the same files, all of them durable, that works well.
    pub fn copy(&self) -> Disk {
        self.left_by(Loss::Nothing, 0)
    }

    /// As `copy`, of what is in one directory, which becomes the root.
    pub fn copy_below(&self, dir: &str) -> Disk {
        let copy = self.copy();
        let below = copy.state().tree.below(dir);
        Disk::holding(below, self.shared.profile.clone(), 0)
    }

    fn left_by(&self, loss: Loss, seed: u64) -> Disk {
        let tree = self.state().tree.survivors(&Outcome::new(loss, seed));
        let left = Disk::holding(tree, self.shared.profile.clone(), seed);
        left.set_loss(self.state().loss);
        left
    }

    /// How many operations changed what a power loss would leave, or were to: writes,
    /// resizes, syncs of files and directories, creating, renaming, linking, removing,
    /// locking. Those that failed do not count.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Stops the machine after so many more counted operations: the next one takes effect
    /// in the cache and does not return, nor does anything after it, until the process is
    /// gone. A sync that is the next one makes nothing durable.
    pub fn stop_after(&self, operations: u64) {
        let mut state = self.state();
        state.stop_at = Some(state.operations + operations);
    }

    /// Waits until the machine was stopped.
    pub async fn stopped(&self) {
        self.wait(State::is_stopped).await;
    }

    /// Waits for a moment in which this holds.
    pub(super) async fn wait(&self, holds: impl Fn(&State) -> bool) {
        loop {
            // Begun before the look, so that nothing told after it is missed.
            let told = self.shared.events.notified();
            if holds(&self.state()) {
                return;
            }
            told.await;
        }
    }

    /// Returns when the process lives and the machine runs.
    pub(super) async fn alive(&self, generation: u64) -> io::Result<()> {
        self.wait(|state| state.generation != generation || !state.is_stopped()).await;
        if self.is_current(generation) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::BrokenPipe, "its process is gone"))
    }

    /// Carries out a counted change in the cache.
    pub(super) async fn alter<T>(
        &self,
        generation: u64,
        change: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let done = {
            let state = &mut *self.state();
            let done = change(state)?;
            self.count(state);
            done
        };
        self.alive(generation).await?;
        Ok(done)
    }

    /// Carries out a counted change of what a power loss would leave.
    pub(super) async fn reach_medium(
        &self,
        generation: u64,
        change: impl FnOnce(&mut State),
    ) -> io::Result<()> {
        {
            let state = &mut *self.state();
            self.count(state);
            if !state.is_stopped() {
                change(state);
            }
        }
        self.alive(generation).await
    }

    fn count(&self, state: &mut State) {
        state.operations += 1;
        if state.is_stopped() {
            self.shared.events.notify_waiters();
        }
    }

    /// A sync of these changes failed.
    pub(super) fn forsake(&self, inode: &Inode, mark: u64) {
        let state = &mut *self.state();
        inode.forsake(mark, &Outcome::new(state.loss, state.losses.next_u64()));
    }
}

impl State {
    fn is_stopped(&self) -> bool {
        self.stop_at.is_some_and(|stop_at| self.operations > stop_at)
    }
}
