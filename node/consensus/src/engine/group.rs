//! A group: one replicated state machine, as a member sees it.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;

use super::core::Opening;
use super::member::{self, Engine};
use super::members::GroupStatus;
use crate::entry::MemberId;
use crate::error::{MembersError, OpenError, ProposeError, ReadError};
use crate::machine::{AnyMachine, Machine, loader_of};
use crate::message::{Member, Proposed};

/// A member of a group whose machine is an `M`.
pub struct Group<M> {
    core: Box<dyn Engine>,
    machine: PhantomData<fn() -> M>,
}

impl<M: Machine> Group<M> {
    /// Opens a member's log and state, and takes part from here on.
    ///
    /// # Errors
    /// [`OpenError`]: what is damaged is never opened as far as it goes.
    pub async fn open(opening: Opening<'_>, rng: &mut ChaCha12Rng) -> Result<Self, OpenError> {
        let core = member::open(opening, loader_of::<M>, rng).await?;
        Ok(Group { core, machine: PhantomData })
    }

    /// The state as this member has it: what was agreed on lately may be missing.
    pub fn with_local<T>(&self, look: impl FnOnce(&M) -> T) -> T {
        let (mut look, mut seen) = (Some(look), None);
        self.core.with(&mut |machine| seen = look.take().map(|look| look(own(machine))));
        seen.expect("the engine lets us look once")
    }

    /// Looks at the state as this member has it, now and whenever it has changed, until that gives
    /// something. Safe to drop.
    pub async fn until<T>(&self, mut look: impl FnMut(&M) -> Option<T>) -> T {
        loop {
            // First, so that no change falls between the look and the waiting.
            let changed = self.core.changed();
            if let Some(seen) = self.with_local(&mut look) {
                return seen;
            }
            changed.await;
        }
    }

    /// Looks at a state that has everything which was acknowledged before this was called.
    ///
    /// # Errors
    /// [`ReadError`] when no majority confirmed a leader before the deadline.
    pub async fn read<T>(
        &self,
        deadline: Duration,
        look: impl FnOnce(&M) -> T,
    ) -> Result<T, ReadError> {
        self.core.catch_up_by(deadline).await?;
        Ok(self.with_local(look))
    }
}

impl<M> Group<M> {
    /// Makes this member the only one of a new group; nothing if the group has members already.
    ///
    /// # Errors
    /// [`OpenError`] when the engine has stopped.
    pub async fn found(&self, node: &str) -> Result<(), OpenError> {
        self.core.found(node).await
    }

    /// Which member this is.
    pub fn member(&self) -> MemberId {
        self.core.member()
    }

    /// The leader, as far as this member knows.
    pub fn leader(&self) -> Option<Member> {
        self.core.leader()
    }

    /// What this member knows of its group now.
    pub fn status(&self) -> GroupStatus {
        self.core.status()
    }

    /// Has a command applied, whoever leads, and gives its reply once a majority has it on disk.
    /// Tries again until the deadline while it is certain that it was not done.
    ///
    /// # Errors
    /// [`ProposeError`], which says whether it may have been done.
    pub async fn propose(
        &self,
        command: Bytes,
        deadline: Duration,
    ) -> Result<Proposed, ProposeError> {
        self.core.propose(command, deadline).await
    }

    /// Answers a request that another member sent; whatever it contains, there is an answer.
    pub async fn receive(&self, request: &Bytes) -> Bytes {
        self.core.receive(request).await
    }

    /// Adds a member that receives the log and does not vote. If it is one already, its node is what
    /// is said here from now on.
    ///
    /// # Errors
    /// [`MembersError`].
    pub async fn add_learner(&self, member: Member) -> Result<(), MembersError> {
        self.core.add_learner(member).await
    }

    /// Has these members vote, and no others; those that voted stay as learners.
    ///
    /// # Errors
    /// [`MembersError`]; refused while another change is under way, and for who is no learner yet.
    pub async fn set_voters(&self, voters: BTreeSet<MemberId>) -> Result<(), MembersError> {
        self.core.set_voters(voters).await
    }

    /// Removes learners; voters are refused.
    ///
    /// # Errors
    /// [`MembersError`].
    pub async fn remove_learners(&self, ids: BTreeSet<MemberId>) -> Result<(), MembersError> {
        self.core.remove_learners(ids).await
    }

    /// Hands leadership to another voter. Returns at once: who leads is seen in the status.
    ///
    /// # Errors
    /// [`MembersError`] when the engine has stopped.
    pub async fn hand_over(&self, to: MemberId) -> Result<(), MembersError> {
        self.core.hand_over(to).await
    }

    /// Has another voter lead, if this member does, and waits until it does: what a member does that
    /// is about to stop. From then on it does not stand for election any more. Says who leads;
    /// nobody where this one did not lead, or no other votes.
    ///
    /// # Errors
    /// [`MembersError`] when no other leads in time. Commands are refused here until one does.
    pub async fn step_down(&self, within: Duration) -> Result<Option<Member>, MembersError> {
        self.core.step_down(within).await
    }

    /// Completes when the engine has stopped by itself, with the reason: a failed disk, mostly. The
    /// member takes no part any more until it is opened again.
    pub async fn stopped(&self) -> String {
        self.core.stopped().await
    }

    /// Stops taking part; what was acknowledged is on the disk.
    pub async fn close(&self) {
        self.core.close().await;
    }
}

fn own<M: Machine>(machine: &dyn AnyMachine) -> &M {
    machine.as_any().downcast_ref().expect("a group has one kind of machine")
}
