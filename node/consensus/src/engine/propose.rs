//! Commands, proposed through any member.

use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, debug_span};

use super::core::Core;
use super::link::AskError;
use super::types::{Command, Types};
use crate::error::ProposeError;
use crate::message::{Member, Proposed, Refusal, Request, Response};
use crate::peers::PeerError;

/// How long a member without a leader waits before it looks again.
pub(super) const LEADER_PAUSE: Duration = Duration::from_millis(25);

impl Core {
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
        let until = Instant::now() + deadline;
        loop {
            let not_done = match self.propose_once(command.clone(), until).await {
                Err(ProposeError::NotDone(reason)) => reason,
                done => return done,
            };
            if Instant::now() + LEADER_PAUSE >= until {
                return Err(ProposeError::NotDone(not_done));
            }
            sleep(LEADER_PAUSE).await;
        }
    }

    async fn propose_once(&self, command: Bytes, until: Instant) -> Result<Proposed, ProposeError> {
        let left = until.saturating_duration_since(Instant::now());
        match self.leader() {
            None => Err(ProposeError::NotDone("no leader is known".to_owned())),
            Some(leader) if leader.id == self.member() => {
                let proposed = timeout(left, self.propose_here(command)).await;
                let late = |_| ProposeError::Unknown("no majority in time".to_owned());
                proposed.map_err(late)?.map_err(refused)
            }
            Some(leader) => {
                match self.ask_leader(&leader, Request::Propose(command), left, self.patience).await
                {
                    Ok(Response::Proposed(proposed)) => Ok(proposed),
                    Ok(_) => Err(ProposeError::Unknown(AskError::Other.to_string())),
                    Err(AskError::Refused(refusal)) => Err(refused(refusal)),
                    Err(AskError::Peer(error @ PeerError::NotSent(_))) => {
                        Err(ProposeError::NotDone(format!("{}: {error}", leader.node)))
                    }
                    Err(error) => Err(ProposeError::Unknown(format!("{}: {error}", leader.node))),
                }
            }
        }
    }

    /// Has a command applied if this member leads.
    pub(super) async fn propose_here(&self, command: Bytes) -> Result<Proposed, Refusal> {
        let span = debug_span!("propose", bytes = command.len());
        let _followed = self.stages.follow(&command, &span);
        match self.raft.client_write(Command(command)).instrument(span).await {
            Ok(done) => Ok(Proposed { index: done.log_id.index, reply: done.data }),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(Refusal::NotLeader(leader_of(&to)))
            }
            // Whatever ended it may have come after its entry was sent.
            Err(RaftError::APIError(error)) => {
                tracing::debug!(%error, "a command's end is not known");
                Err(Refusal::Unknown)
            }
            Err(RaftError::Fatal(fatal)) => {
                tracing::debug!(%fatal, "a command's end is not known");
                Err(Refusal::Unknown)
            }
        }
    }
}

/// Whom to ask instead.
pub(super) fn leader_of(to: &openraft::errors::ForwardToLeader<Types>) -> Option<Member> {
    Some(Member { id: to.leader_id?, node: to.leader_node.clone()? })
}

fn refused(refusal: Refusal) -> ProposeError {
    match refusal {
        Refusal::NotLeader(_) | Refusal::WrongMember(_) | Refusal::WrongGroup => {
            ProposeError::NotDone(refusal.to_string())
        }
        refusal => ProposeError::Unknown(refusal.to_string()),
    }
}
