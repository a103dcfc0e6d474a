//! Metrics of a node's part in the catalog.

use std::sync::Arc;

use gitstratum_catalog::State;
use gitstratum_consensus::GroupStatus;
use gitstratum_core::metrics::{self, Reading, Registry, Unit};

use super::Participant;

/// What is read of the group and of the state, at one moment each.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    is_member: bool,
    is_voter: bool,
    leads: bool,
    term: u64,
    last_index: u64,
    applied_index: u64,
    snapshot_index: u64,
    log_entries: u64,
    leader_heard_s: f64,
    voters: usize,
    members: usize,
    clock_ms: u64,
    events: u64,
    deleted_repositories: usize,
    tokens: usize,
}

impl Numbers {
    fn of(participant: &Participant) -> Self {
        let Some(status) = participant.status() else { return Numbers::default() };
        let numbers = Numbers::of_group(&status);
        participant.with_local(|state| numbers.with_state(state)).unwrap_or(numbers)
    }

    fn of_group(status: &GroupStatus) -> Self {
        let leader = status.leader.as_ref().map(|leader| leader.id);
        Numbers {
            is_member: true,
            is_voter: status.voters.iter().any(|voters| voters.contains(&status.member)),
            leads: leader == Some(status.member),
            term: status.term,
            last_index: status.last_index.unwrap_or(0),
            applied_index: status.applied.as_ref().map_or(0, |at| at.index),
            snapshot_index: status.snapshot.as_ref().map_or(0, |at| at.index),
            log_entries: status
                .last_index
                .map_or(0, |last| last - status.purged.as_ref().map_or(0, |at| at.index.min(last))),
            leader_heard_s: status.leader_heard_ago.map_or(-1.0, |ago| ago.as_secs_f64()),
            voters: status.voters.last().map_or(0, std::collections::BTreeSet::len),
            members: status.nodes.len(),
            ..Numbers::default()
        }
    }

    fn with_state(self, state: &State) -> Self {
        Numbers {
            clock_ms: state.clock_ms(),
            events: state.last_event(),
            deleted_repositories: state.deleted_repositories().count(),
            tokens: state.tokens().count(),
            ..self
        }
    }
}

impl Participant {
    /// Registers what is known of the group and of the state without asking others.
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        type Metric = Reading<Numbers>;
        let readings = vec![
            Metric::gauge("catalog_member", "1 on a node that is a member of the catalog", |now| {
                now.is_member.into()
            }),
            Metric::gauge("catalog_voter", "1 on a node that votes", |now| now.is_voter.into()),
            Metric::gauge("catalog_leads", "1 on the node that leads", |now| now.leads.into()),
            Metric::gauge("catalog_term", "The term that this node knows", |now| now.term),
            Metric::gauge("catalog_last_index", "The last entry of this node's log", |now| {
                now.last_index
            }),
            Metric::gauge("catalog_applied_index", "The last entry applied here", |now| {
                now.applied_index
            }),
            Metric::gauge("catalog_snapshot_index", "The last entry of the snapshot", |now| {
                now.snapshot_index
            }),
            Metric::gauge(
                "catalog_log_entries",
                "Entries of this node's log that no snapshot has replaced yet",
                |now| now.log_entries,
            ),
            Metric::real(
                "catalog_leader_heard_age",
                "Since this node last knew of a leader with a majority; -1 where it never did",
                |now| now.leader_heard_s,
            )
            .unit(Unit::Seconds),
            Metric::gauge("catalog_voters", "Members that vote", |now| now.voters as u64),
            Metric::gauge("catalog_members", "Members, with or without a vote", |now| {
                now.members as u64
            }),
            Metric::real("catalog_clock", "The catalog's clock, since the epoch", |now| {
                now.clock_ms as f64 / 1000.0
            })
            .unit(Unit::Seconds),
            Metric::gauge("catalog_last_event", "The number of the last event", |now| now.events),
            Metric::gauge(
                "catalog_deleted_repositories",
                "Repositories that are deleted and not yet purged",
                |now| now.deleted_repositories as u64,
            ),
            Metric::gauge("catalog_tokens", "Access tokens", |now| now.tokens as u64),
        ];
        let help = "How long commands took that came through this node and were agreed on";
        let commits = self.commits.clone();
        registry.register_with_unit("catalog_commit", help, Unit::Seconds, commits);
        let participant = self.clone();
        metrics::register(registry, readings, move || Numbers::of(&participant));
    }
}
