//! The numbers of a pool, of a log of hints, and of anti-entropy, as messages.

use bytes::Bytes;
use gitstratum_proto::v1;

use super::codec::id_to_wire;
use crate::placement::NodeId;
use crate::pool::{ConnectionNumbers, Eviction, PeerNumbers, PoolCounts, PoolNumbers, Stage};
use crate::repair::BudgetNumbers;
use crate::repair::hints::{HintNumbers, Settled};
use crate::repair::reconcile::{PeerReport, Progress, Report};

/// All of anti-entropy, and whether what the node says is absent proves nothing.
pub fn reconcile_to_wire(report: &Report, proves_nothing: bool) -> v1::ReconcileStatus {
    v1::ReconcileStatus {
        off: report.off,
        proves_nothing,
        catching_up: report.catching_up,
        peers: report.peers.iter().map(reconciled).collect(),
    }
}

fn reconciled((node_id, report): (&NodeId, &PeerReport)) -> v1::ReconcilePeer {
    let counts = report.counts.clone();
    let ago_ms = |ago: std::time::Duration| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    v1::ReconcilePeer {
        node_id: node_id.to_string(),
        rounds: counts.rounds,
        rounds_failed: counts.rounds_failed,
        round_trips: counts.round_trips,
        differing: counts.differing,
        pulled: counts.pulled,
        pushed: counts.pushed,
        withheld: counts.withheld,
        bytes_pulled: counts.bytes_pulled,
        bytes_pushed: counts.bytes_pushed,
        objects_failed: counts.objects_failed,
        last_error: counts.last_error.unwrap_or_default(),
        compared_ago_ms: report.compared_ago.map(ago_ms),
        progress: report.progress.as_ref().map(progress_to_wire),
    }
}

fn progress_to_wire(progress: &Progress) -> v1::ReconcileProgress {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    v1::ReconcileProgress {
        done_permille: progress.done_permille,
        lacking_here: progress.lacking_here,
        lacking_there: progress.lacking_there,
        brought: progress.brought,
        bytes_brought: progress.bytes_brought,
        elapsed_ms: millis(progress.elapsed),
        left_ms: progress.left().map(millis),
    }
}

/// What repair may take, and was told.
pub fn budget_to_wire(numbers: BudgetNumbers) -> v1::RepairStatus {
    let BudgetNumbers { bytes_per_second, share_permille, paused } = numbers;
    v1::RepairStatus { bytes_per_second, share_permille, paused }
}

/// All of a pool.
pub fn pool_to_wire(numbers: &PoolNumbers) -> v1::PoolStatus {
    v1::PoolStatus {
        connections: numbers.connections as u64,
        peers: numbers.peers.iter().map(peer).collect(),
        former: Some(counts(&numbers.former)),
    }
}

fn peer(peer: &PeerNumbers) -> v1::PoolPeer {
    v1::PoolPeer {
        node_id: peer.node_id.to_string(),
        address: peer.address.clone(),
        connections: peer.connections.iter().map(connection).collect(),
        requests_in_flight: peer.requests as u64,
        bytes_in_flight: peer.bytes_in_flight as u64,
        waiters: peer.waiters as u64,
        backing_off: peer.backing_off.clone().unwrap_or_default(),
        counts: Some(counts(&peer.counts)),
    }
}

fn connection(connection: &ConnectionNumbers) -> v1::PoolConnection {
    v1::PoolConnection {
        boot_id: connection.boot_id,
        age_ms: u64::try_from(connection.age.as_millis()).unwrap_or(u64::MAX),
        requests_in_flight: connection.requests,
    }
}

fn counts(counts: &PoolCounts) -> v1::PoolCounts {
    let tally = |(name, &count): (&'static str, &u64)| v1::Tally { name: name.to_owned(), count };
    let stages = Stage::ALL.iter().map(|stage| stage.name());
    let reasons = Eviction::ALL.iter().map(|reason| reason.name());
    v1::PoolCounts {
        hits: counts.hits,
        misses: counts.misses,
        limited: counts.limited,
        dials: counts.dials,
        dialled: counts.dialled,
        dials_failed: stages.zip(&counts.dials_failed).map(tally).collect(),
        evictions: reasons.zip(&counts.evictions).map(tally).collect(),
        repeats: counts.repeats,
        repeats_refused: counts.repeats_refused,
        backoffs_cut_short: counts.backoffs_cut_short,
    }
}

/// What is held, as a list of what others lack.
pub fn missed_to_wire(numbers: &HintNumbers) -> v1::MissedStatus {
    let first = numbers.first.iter().map(|hint| v1::Missed {
        node_id: hint.target.to_string(),
        id: id_to_wire(hint.id),
        reason: hint.class.to_string(),
        class: v1::ReasonClass::from(hint.class).into(),
    });
    v1::MissedStatus {
        count: numbers.pending,
        dropped: numbers.settled.ranged,
        first: first.collect(),
    }
}

/// All of a log of hints.
pub fn hints_to_wire(numbers: &HintNumbers) -> v1::HintStatus {
    let Settled { delivered, gone, replaced, ranged } = numbers.settled;
    let dirty = numbers.dirty.iter().map(|range| v1::DirtyRange {
        node_id: range.target.to_string(),
        prefix: Bytes::from(range.prefix.as_bytes()),
    });
    let targets = numbers.targets.iter().map(|target| v1::HintTarget {
        node_id: target.node_id.to_string(),
        pending: target.pending,
        oldest_age_ms: target.oldest_age_ms,
        trouble: target.trouble.clone(),
    });
    v1::HintStatus {
        pending: numbers.pending,
        bytes: numbers.bytes,
        bytes_max: numbers.bytes_max,
        oldest_age_ms: numbers.oldest_age_ms,
        recorded: numbers.recorded,
        delivered,
        gone,
        replaced,
        ranged,
        dirty_ranges: numbers.dirty_ranges,
        dirty: dirty.collect(),
        targets: targets.collect(),
    }
}
