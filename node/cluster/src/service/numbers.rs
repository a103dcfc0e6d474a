//! What a node says of its store and its scrub, of its pool, of its hints, of anti-entropy and of
//! its jobs that is no metric, as messages.

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::job::{JobState, JobStatus};
use gitstratum_core::placement::NodeId;
use gitstratum_proto::v1;
use gitstratum_store::{Condition, LastScrub, ScrubCounts, ScrubNumbers, ScrubProgress};

use crate::repair::hints::HintLists;
use crate::repair::reconcile::{PeerReport, Progress, Report};
use crate::transport::{ConnectionNumbers, PeerNumbers, PoolNumbers};
use crate::wire::codec::{id_to_wire, reason_to_wire};

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// All of anti-entropy, and whether what the node says is absent proves nothing.
pub fn reconcile_to_wire(report: &Report, absence_unproven: bool) -> v1::ReconcileStatus {
    v1::ReconcileStatus {
        off: report.off,
        absence_unproven,
        catching_up: report.catching_up,
        peers: report.peers.iter().map(reconciled).collect(),
    }
}

fn reconciled((node_id, report): (&NodeId, &PeerReport)) -> v1::ReconcilePeer {
    v1::ReconcilePeer {
        node_id: node_id.to_string(),
        last_error: report.counts.last_error.clone().unwrap_or_default(),
        compared_ago_ms: report.compared_ago.map(millis),
        progress: report.progress.as_ref().map(progress_to_wire),
    }
}

fn progress_to_wire(progress: &Progress) -> v1::ReconcileProgress {
    v1::ReconcileProgress {
        done_permille: progress.done_permille,
        missing_locally: progress.missing_locally,
        missing_remotely: progress.missing_remotely,
        transferred: progress.transferred,
        bytes_transferred: progress.bytes_transferred,
        elapsed_ms: millis(progress.elapsed),
        eta_ms: progress.eta().map(millis),
    }
}

/// What all jobs have in common, for the wire.
pub fn job_to_wire(status: JobStatus) -> v1::JobStatus {
    let state = match status.state {
        JobState::Idle => v1::JobState::Idle,
        JobState::Running => v1::JobState::Running,
        JobState::Interrupted => v1::JobState::Interrupted,
        JobState::Paused => v1::JobState::Paused,
        JobState::Off => v1::JobState::Off,
    };
    v1::JobStatus {
        job: status.kind.name().to_owned(),
        state: state.into(),
        done_permille: status.done_permille,
        bytes_per_second: status.bytes_per_second,
        bytes_per_second_max: status.bytes_per_second_max,
        eta_ms: status.eta.map(millis),
        next_in_ms: status.next_in.map(millis),
        last_error: status.last_error.unwrap_or_default(),
    }
}

/// What is wrong with a store.
pub fn store_to_wire(condition: Condition) -> v1::StoreStatus {
    let Condition { failed, puts_refused, lost } = condition;
    v1::StoreStatus {
        failed: failed.unwrap_or_default(),
        lost,
        puts_refused_for_ms: puts_refused.as_ref().map(|refused| millis(refused.since)),
        puts_refused: puts_refused.map(|refused| refused.reason).unwrap_or_default(),
    }
}

/// How scrub stands.
pub fn scrub_to_wire(numbers: &ScrubNumbers) -> v1::ScrubStatus {
    let damaged = numbers
        .damaged
        .iter()
        .map(|(id, reason)| v1::DamagedObject { id: id_to_wire(*id), reason: reason.clone() });
    v1::ScrubStatus {
        interval_ms: numbers.interval.map(millis),
        present: numbers.present.as_ref().map(present),
        last: numbers.last.map(last),
        damaged: damaged.collect(),
    }
}

fn present(progress: &ScrubProgress) -> v1::ScrubProgress {
    let ScrubCounts { records, bytes, damaged } = progress.counts;
    v1::ScrubProgress {
        records,
        bytes,
        damaged,
        bytes_total: progress.bytes_all,
        began_ago_ms: progress.began_ago.map(millis),
    }
}

fn last(scrub: LastScrub) -> v1::LastScrub {
    let ScrubCounts { records, bytes, damaged } = scrub.counts;
    let (ended_ago_ms, took_ms) = (scrub.ended_ago.map(millis), millis(scrub.took));
    v1::LastScrub { records, bytes, damaged, ended_ago_ms, took_ms }
}

/// The connections of a pool.
pub fn pool_to_wire(numbers: &PoolNumbers) -> v1::PoolStatus {
    v1::PoolStatus { peers: numbers.peers.iter().map(peer).collect() }
}

fn peer(peer: &PeerNumbers) -> v1::PoolPeer {
    v1::PoolPeer {
        node_id: peer.node_id.to_string(),
        address: peer.address.clone(),
        connections: peer.connections.iter().map(connection).collect(),
        backing_off: peer.backing_off.clone().unwrap_or_default(),
    }
}

fn connection(connection: &ConnectionNumbers) -> v1::PoolConnection {
    v1::PoolConnection {
        boot_id: connection.boot_id,
        age_ms: millis(connection.age),
        requests_in_flight: connection.requests,
    }
}

/// What is held in a log of hints.
pub fn hints_to_wire(lists: &HintLists) -> v1::HintStatus {
    let dirty = lists.dirty.iter().map(|range| v1::DirtyRange {
        node_id: range.target.to_string(),
        prefix: Bytes::from(range.prefix.as_bytes()),
    });
    let targets = lists.targets.iter().map(|target| v1::HintTarget {
        node_id: target.node_id.to_string(),
        pending: target.pending,
        oldest_age_ms: target.oldest_age_ms,
        last_error: target.last_error.clone(),
        eta_ms: target.eta.map(millis),
    });
    let oldest = lists.oldest.iter().map(|hint| v1::Missed {
        node_id: hint.target.to_string(),
        id: id_to_wire(hint.id),
        reason: hint.class.to_string(),
        class: reason_to_wire(hint.class).into(),
    });
    v1::HintStatus {
        dirty: dirty.collect(),
        targets: targets.collect(),
        targets_total: lists.targets_total,
        oldest: oldest.collect(),
    }
}
