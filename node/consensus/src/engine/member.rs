//! The engine behind one type.
//!
//! A future is compiled where it is polled, and the engine's are large: behind this trait all of them
//! are compiled in this package, and once.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use rand_chacha::ChaCha12Rng;

use super::core::{Core, Opening};
use super::members::GroupStatus;
use crate::entry::MemberId;
use crate::error::{MembersError, OpenError, ProposeError, ReadError};
use crate::machine::{AnyMachine, NewLoader};
use crate::message::{Member, Proposed};

/// What [`super::Group`] has done by its engine; each method is what the one of that name there is.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    fn with(&self, look: &mut dyn FnMut(&dyn AnyMachine));
    fn changed(&self) -> BoxFuture<'_, ()>;
    fn member(&self) -> MemberId;
    fn leader(&self) -> Option<Member>;
    fn status(&self) -> GroupStatus;
    async fn found(&self, node: &str) -> Result<(), OpenError>;
    async fn catch_up_by(&self, deadline: Duration) -> Result<(), ReadError>;
    async fn propose(&self, command: Bytes, deadline: Duration) -> Result<Proposed, ProposeError>;
    async fn receive(&self, request: &Bytes) -> Bytes;
    async fn add_learner(&self, member: Member) -> Result<(), MembersError>;
    async fn set_voters(&self, voters: BTreeSet<MemberId>) -> Result<(), MembersError>;
    async fn remove_learners(&self, ids: BTreeSet<MemberId>) -> Result<(), MembersError>;
    async fn hand_over(&self, to: MemberId) -> Result<(), MembersError>;
    async fn step_down(&self, within: Duration) -> Result<Option<Member>, MembersError>;
    async fn stopped(&self) -> String;
    async fn close(&self);
}

/// Opens a member with a machine that this loads.
pub(crate) fn open<'a>(
    opening: Opening<'a>,
    new_loader: NewLoader,
    rng: &'a mut ChaCha12Rng,
) -> BoxFuture<'a, Result<Box<dyn Engine>, OpenError>> {
    Box::pin(async move {
        let core = Core::open(opening, new_loader, rng).await?;
        Ok(Box::new(core) as Box<dyn Engine>)
    })
}

#[async_trait]
impl Engine for Core {
    fn with(&self, look: &mut dyn FnMut(&dyn AnyMachine)) {
        self.applier.with(look);
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.applier.changed())
    }

    fn member(&self) -> MemberId {
        Core::member(self)
    }

    fn leader(&self) -> Option<Member> {
        Core::leader(self)
    }

    fn status(&self) -> GroupStatus {
        Core::status(self)
    }

    async fn found(&self, node: &str) -> Result<(), OpenError> {
        Core::found(self, node).await
    }

    async fn catch_up_by(&self, deadline: Duration) -> Result<(), ReadError> {
        Core::catch_up_by(self, deadline).await
    }

    async fn propose(&self, command: Bytes, deadline: Duration) -> Result<Proposed, ProposeError> {
        Core::propose(self, command, deadline).await
    }

    async fn receive(&self, request: &Bytes) -> Bytes {
        Core::receive(self, request).await
    }

    async fn add_learner(&self, member: Member) -> Result<(), MembersError> {
        Core::add_learner(self, member).await
    }

    async fn set_voters(&self, voters: BTreeSet<MemberId>) -> Result<(), MembersError> {
        Core::set_voters(self, voters).await
    }

    async fn remove_learners(&self, ids: BTreeSet<MemberId>) -> Result<(), MembersError> {
        Core::remove_learners(self, ids).await
    }

    async fn hand_over(&self, to: MemberId) -> Result<(), MembersError> {
        Core::hand_over(self, to).await
    }

    async fn step_down(&self, within: Duration) -> Result<Option<Member>, MembersError> {
        Core::step_down(self, within).await
    }

    async fn stopped(&self) -> String {
        Core::stopped(self).await
    }

    async fn close(&self) {
        Core::close(self).await;
    }
}
