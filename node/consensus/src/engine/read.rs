//! Linearizable reads by read index, through any member.
//!
//! The leader says up to which entry a read that begins now must see, once a majority has confirmed
//! that it still leads; the member that was asked then waits until it has applied that much. No
//! lease is trusted: clocks may jump. Reads that wait at a member share what the leader says.
//! (Ongaro's dissertation, section 6.4.)

use std::time::Duration;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::time::{Instant, sleep, timeout};

use super::core::Core;
use super::link::AskError;
use super::propose::{LEADER_PAUSE, leader_of};
use crate::error::ReadError;
use crate::message::{Refusal, Request, Response};

impl Core {
    /// Waits until this member has everything that was acknowledged before.
    ///
    /// # Errors
    /// [`ReadError`] when no majority confirmed a leader before the deadline.
    pub(super) async fn catch_up_by(&self, deadline: Duration) -> Result<(), ReadError> {
        let until = Instant::now() + deadline;
        loop {
            let failed = match self.catch_up(until).await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            if Instant::now() + LEADER_PAUSE >= until {
                return Err(ReadError(failed));
            }
            sleep(LEADER_PAUSE).await;
        }
    }

    /// Waits until this member has what a read that begins now must see.
    async fn catch_up(&self, until: Instant) -> Result<(), String> {
        let index = self.rounds.join(until, self.read_index(until)).await?;
        let left = until.saturating_duration_since(Instant::now());
        let applied = timeout(left, self.applier.applied(index)).await;
        applied.map_err(|_| format!("entry {index} was not applied here in time"))
    }

    /// Up to which entry a read that begins now must see, as the leader says.
    async fn read_index(&self, until: Instant) -> Result<u64, String> {
        let Some(leader) = self.leader() else { return Err("no leader is known".to_owned()) };
        if leader.id == self.member() {
            return self.read_index_here().await.map_err(|refusal| refusal.to_string());
        }
        let left = until.saturating_duration_since(Instant::now());
        // Where it does not lead any more, its answer is of no use.
        match self.ask_leader(&leader, Request::ReadIndex, left, Duration::ZERO).await {
            Ok(Response::ReadIndex(index)) => Ok(index),
            Ok(_) => Err(AskError::Other.to_string()),
            Err(error) => Err(format!("{}: {error}", leader.node)),
        }
    }

    /// Up to which entry a read that begins now must see, if this member leads.
    pub(super) async fn read_index_here(&self) -> Result<u64, Refusal> {
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                Err(Refusal::NotLeader(leader_of(&to)))
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Err(Refusal::NoMajority)
            }
            Err(RaftError::Fatal(fatal)) => Err(Refusal::Stopped(fatal.to_string())),
        }
    }
}
