//! Leadership transfer: a leader that is about to stop has another voter lead first, so that nobody
//! waits for the silence that would tell of its end. (Ongaro's dissertation, section 3.10.)

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft_rt::Instant as _;
use tokio::time::Instant;

use super::core::Core;
use super::runtime::Instant as EngineInstant;
use crate::entry::MemberId;
use crate::error::MembersError;
use crate::message::Member;

impl Core {
    /// Has another voter lead, if this member does, and waits until it does; from then on this
    /// member does not stand for election any more. Says who leads; nobody where this one did not
    /// lead, or no other votes.
    ///
    /// # Errors
    /// [`MembersError`] when no other leads in time. Commands are refused here until one does.
    pub(super) async fn step_down(&self, within: Duration) -> Result<Option<Member>, MembersError> {
        let until = Instant::now() + within;
        let mut passed_over = BTreeSet::new();
        if !self.leads() {
            return Ok(None);
        }
        while self.leads() {
            let Some(heir) = self.heir(&passed_over) else {
                if passed_over.is_empty() {
                    return Ok(None);
                }
                passed_over.clear();
                continue;
            };
            self.hand_over(heir).await?;
            if let Some(next) = self.succeeded_by(until.min(Instant::now() + self.patience)).await {
                return Ok(Some(next));
            }
            if Instant::now() >= until {
                let what = format!("member {heir}, like others before it, did not lead in time");
                return Err(MembersError::Refused(what));
            }
            passed_over.insert(heir);
        }
        // A vote is under way, or one was given to somebody else before anything was handed over.
        let next = self.succeeded_by(until).await;
        next.map(Some).ok_or_else(|| MembersError::Refused("nobody leads yet".to_owned()))
    }

    fn leads(&self) -> bool {
        self.raft.metrics().borrow_watched().current_leader == Some(self.member())
    }

    /// Another voter that can lead: of those that were heard of lately, or of all if none was, the
    /// one that has most of the log.
    fn heir(&self, passed_over: &BTreeSet<MemberId>) -> Option<MemberId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let now = EngineInstant::now();
        let is_heard = |id: &MemberId| {
            let heard = metrics.heartbeat.as_ref().and_then(|heard| heard.get(id).copied());
            heard.flatten().is_some_and(|at| now - *at < self.patience)
        };
        let matched = |id: &MemberId| {
            let matched = metrics.replication.as_ref().and_then(|matched| matched.get(id).cloned());
            matched.flatten().map(|last| last.index)
        };
        // Of two sets, as while they change, it has to be in both to lead for long.
        let sets = metrics.membership_config.membership().get_joint_config();
        let others = sets.first()?.iter().filter(|id| sets.iter().all(|set| set.contains(id)));
        let others = others.filter(|id| **id != self.member() && !passed_over.contains(id));
        others.copied().max_by_key(|id| (is_heard(id), matched(id), std::cmp::Reverse(*id)))
    }

    /// Who leads in place of this member, once somebody does.
    async fn succeeded_by(&self, until: Instant) -> Option<Member> {
        let ourselves = self.member();
        let wait = self.raft.wait(Some(until.saturating_duration_since(Instant::now())));
        let another = wait.metrics(
            |metrics| metrics.current_leader.is_some_and(|leader| leader != ourselves),
            "another leads",
        );
        another.await.ok()?;
        // It would only be followed by the next silence.
        self.raft.runtime_config().elect(false);
        self.leader()
    }
}
