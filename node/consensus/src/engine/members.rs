//! Members: learners that are added, voters that are chosen, and who is how far.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::{Instant as _, WatchReceiver};
use openraft::errors::{ClientWriteError, RaftError};

use super::core::Core;
use super::types::Types;
use crate::entry::{MemberId, Position};
use crate::error::MembersError;
use crate::message::Member;

/// What a member knows of its group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStatus {
    /// Who says this.
    pub member: MemberId,
    /// The leader that it knows.
    pub leader: Option<Member>,
    /// How long ago it last knew that somebody leads: a majority answered it, or it took something
    /// from the leader. Nothing where that never was.
    pub leader_heard_ago: Option<Duration>,
    /// The term that it knows.
    pub term: u64,
    /// The index of the last entry of its log.
    pub last_index: Option<u64>,
    /// The last entry that it has applied.
    pub applied: Option<Position>,
    /// The last entry of its snapshot.
    pub snapshot: Option<Position>,
    /// The last entry that is in the log no more.
    pub purged: Option<Position>,
    /// The voters: one set, or two while they change.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// All members with their nodes.
    pub nodes: BTreeMap<MemberId, String>,
    /// The last entry that each member has, if this one leads.
    pub matched: BTreeMap<MemberId, Option<Position>>,
    /// Why the engine has stopped, if it has.
    pub stopped: Option<String>,
}

impl Core {
    /// What this member knows now.
    pub fn status(&self) -> GroupStatus {
        let leader = self.leader();
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let matched = metrics.replication.iter().flatten();
        let leads = metrics.current_leader == Some(metrics.id);
        let is_alone = membership.voter_ids().eq([metrics.id]);
        let leader_heard_ago = match leads {
            true if is_alone => Some(Duration::ZERO),
            true => metrics.last_quorum_acked.map(|acknowledged| acknowledged.elapsed()),
            false => self.heard.ago(),
        };
        GroupStatus {
            member: metrics.id,
            leader_heard_ago,
            leader,
            term: metrics.current_term,
            last_index: metrics.last_log_index,
            applied: metrics.last_applied.as_ref().map(Position::from),
            snapshot: metrics.snapshot.as_ref().map(Position::from),
            purged: metrics.purged.as_ref().map(Position::from),
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, node)| (*id, node.clone())).collect(),
            matched: matched.map(|(id, last)| (*id, last.as_ref().map(Position::from))).collect(),
            stopped: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Adds a member that receives the log and does not vote. If it is one already, its node is what
    /// is said here from now on.
    ///
    /// # Errors
    /// [`MembersError`].
    pub async fn add_learner(&self, member: Member) -> Result<(), MembersError> {
        let added = self.raft.add_learner(member.id, member.node, false).await;
        added.map(drop).map_err(refused)
    }

    /// Has these members vote, and no others; those that voted stay as learners.
    ///
    /// # Errors
    /// [`MembersError`]; the engine refuses while another change is under way, and who is not a
    /// learner yet.
    pub async fn set_voters(&self, voters: BTreeSet<MemberId>) -> Result<(), MembersError> {
        self.raft.change_membership(voters, true).await.map(drop).map_err(refused)
    }

    /// Removes learners; voters are refused.
    ///
    /// # Errors
    /// [`MembersError`].
    pub async fn remove_learners(&self, ids: BTreeSet<MemberId>) -> Result<(), MembersError> {
        let removed = ChangeMembers::RemoveNodes(ids);
        self.raft.change_membership(removed, true).await.map(drop).map_err(refused)
    }

    /// Hands leadership to another voter. Returns at once: who leads is seen in the status.
    ///
    /// # Errors
    /// [`MembersError`] when the engine has stopped.
    pub async fn hand_over(&self, to: MemberId) -> Result<(), MembersError> {
        let asked = self.raft.trigger().transfer_leader(to).await;
        asked.map_err(|fatal| MembersError::Refused(fatal.to_string()))
    }
}

fn refused(error: RaftError<Types, ClientWriteError<Types>>) -> MembersError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => MembersError::NotLeader,
        error => MembersError::Refused(error.to_string()),
    }
}
