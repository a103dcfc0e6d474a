//! Linearizable reads by read index, through any member.
//!
//! The leader says up to which entry a read that begins now must see, once a majority has confirmed
//! that it still leads; the member that was asked then waits until it has applied that much. No
//! lease is trusted: clocks may jump. (Ongaro's dissertation, section 6.4.)

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
        let left = || until.saturating_duration_since(Instant::now());
        let index = match self.leader() {
            None => return Err("no leader is known".to_owned()),
            Some(leader) if leader.id == self.member() => {
                let index = timeout(left(), self.read_index_here()).await;
                index.map_err(|_| "no majority in time".to_owned())?.map_err(|r| r.to_string())?
            }
            // Where it does not lead any more, its answer is of no use.
            Some(leader) => {
                match self.ask_leader(&leader, Request::ReadIndex, left(), Duration::ZERO).await {
                    Ok(Response::ReadIndex(index)) => index,
                    Ok(_) => return Err(AskError::Other.to_string()),
                    Err(error) => return Err(format!("{}: {error}", leader.node)),
                }
            }
        };
        let wait = self.raft.wait(Some(left()));
        let applied = wait.applied_index_at_least(Some(index), "read").await;
        applied.map(drop).map_err(|error| error.to_string())
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
