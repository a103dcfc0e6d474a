//! The numbers of a store and its scrub, of a pool, of a log of hints, and of anti-entropy, as
//! messages.

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::job::{JobState, JobStatus};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Stage;
use gitstratum_proto::v1;
use gitstratum_store::{LastScrub, ScrubCounts, ScrubNumbers, ScrubProgress, StoreStats};

use crate::repair::BudgetNumbers;
use crate::repair::hints::{HintNumbers, Settled};
use crate::repair::reconcile::{PeerReport, Progress, Report};
use crate::transport::{ConnectionNumbers, Eviction, PeerNumbers, PoolCounts, PoolNumbers};
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
    let counts = report.counts.clone();
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

/// What repair may take, and was told.
pub fn budget_to_wire(numbers: BudgetNumbers) -> v1::RepairStatus {
    v1::RepairStatus { share_permille: numbers.share_permille }
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

/// Counters and sizes of a store.
pub fn store_to_wire(stats: StoreStats) -> v1::StoreStatus {
    v1::StoreStatus {
        objects: stats.objects,
        payload_bytes: stats.payload_bytes,
        segments: stats.segments,
        disk_bytes: stats.disk_bytes,
        syncs: stats.syncs,
        bytes_written: stats.bytes_written,
        puts: stats.puts,
        gets: stats.gets,
        failed: stats.failed.unwrap_or_default(),
        large_objects: stats.large_objects,
        damaged_objects: stats.damaged_objects,
        garbage_bytes: stats.garbage_bytes,
        index_memory_bytes: stats.index_memory_bytes,
        lost: stats.lost,
        puts_refused_for_ms: stats.puts_refused.as_ref().map(|refused| millis(refused.since)),
        puts_refused: stats.puts_refused.map(|refused| refused.reason).unwrap_or_default(),
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

/// All of a pool.
pub fn pool_to_wire(numbers: &PoolNumbers) -> v1::PoolStatus {
    v1::PoolStatus {
        connections: numbers.connections as u64,
        peers: numbers.peers.iter().map(peer).collect(),
        removed_peers: Some(counts(&numbers.removed_peers)),
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
        age_ms: millis(connection.age),
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
        retries: counts.retries,
        retries_refused: counts.retries_refused,
        backoffs_cut_short: counts.backoffs_cut_short,
    }
}

/// What is held, as a list of what others lack.
pub fn missed_to_wire(numbers: &HintNumbers) -> v1::MissedStatus {
    let first = numbers.first.iter().map(|hint| v1::Missed {
        node_id: hint.target.to_string(),
        id: id_to_wire(hint.id),
        reason: hint.class.to_string(),
        class: reason_to_wire(hint.class).into(),
    });
    v1::MissedStatus {
        count: numbers.pending,
        dropped: numbers.settled.moved_to_ranges,
        first: first.collect(),
    }
}

/// All of a log of hints.
pub fn hints_to_wire(numbers: &HintNumbers) -> v1::HintStatus {
    let Settled { delivered, deleted, replaced, moved_to_ranges } = numbers.settled;
    let dirty = numbers.dirty.iter().map(|range| v1::DirtyRange {
        node_id: range.target.to_string(),
        prefix: Bytes::from(range.prefix.as_bytes()),
    });
    let targets = numbers.targets.iter().map(|target| v1::HintTarget {
        node_id: target.node_id.to_string(),
        pending: target.pending,
        oldest_age_ms: target.oldest_age_ms,
        last_error: target.last_error.clone(),
        eta_ms: target.eta.map(millis),
    });
    v1::HintStatus {
        pending: numbers.pending,
        bytes: numbers.bytes,
        bytes_max: numbers.bytes_max,
        oldest_age_ms: numbers.oldest_age_ms,
        recorded: numbers.recorded,
        delivered,
        deleted,
        replaced,
        moved_to_ranges,
        dirty_ranges: numbers.dirty_ranges,
        dirty: dirty.collect(),
        targets: targets.collect(),
        targets_total: numbers.targets_total,
    }
}
