//! The background jobs of a node, as all of them are asked and told.

use std::sync::Arc;

use gitstratum_core::job::{Job, JobKind, JobOrder, JobState, JobStatus};
use gitstratum_store::SegmentStore;

use crate::repair::reconcile::{Numbers, Progress};
use crate::repair::{Control, HintLog};

/// Repair: the comparisons that a node begins, and the hints that it delivers.
pub struct RepairJob {
    control: Control,
    reconciled: Arc<Numbers>,
    hints: Arc<HintLog>,
}

impl RepairJob {
    /// What follows these orders, counts here, and delivers from this log.
    pub fn new(control: Control, reconciled: Arc<Numbers>, hints: Arc<HintLog>) -> Self {
        RepairJob { control, reconciled, hints }
    }
}

impl Job for RepairJob {
    fn kind(&self) -> JobKind {
        JobKind::Repair
    }

    fn order(&self, order: JobOrder) {
        self.control.give(order);
    }

    fn status(&self) -> JobStatus {
        let (budget, report) = (self.control.budget().numbers(), self.reconciled.report());
        let pending = self.hints.numbers().pending;
        let under_way = || report.peers.values().filter_map(|peer| peer.progress.as_ref());
        let state = match (budget.paused, report.off) {
            (true, _) => JobState::Paused,
            (false, true) => JobState::Off,
            (false, false) if under_way().next().is_some() || pending > 0 => JobState::Running,
            (false, false) => JobState::Idle,
        };
        let rates = under_way().filter_map(|progress| {
            let seconds = progress.elapsed.as_secs();
            progress.bytes_transferred.checked_div(seconds)
        });
        JobStatus {
            state,
            // The one that is least far: none is done before it.
            done_permille: under_way().map(|progress| progress.done_permille).min(),
            bytes_per_second: under_way().next().map(|_| rates.sum()),
            bytes_per_second_max: Some(budget.bytes_per_second),
            eta: under_way().map(Progress::eta).chain([self.hints.eta()]).flatten().max(),
            last_error: report.peers.values().find_map(|peer| peer.counts.last_error.clone()),
            ..JobStatus::idle(JobKind::Repair)
        }
    }
}

/// Scrub of one store.
pub struct ScrubJob(pub Arc<SegmentStore>);

impl Job for ScrubJob {
    fn kind(&self) -> JobKind {
        JobKind::Scrub
    }

    fn order(&self, order: JobOrder) {
        self.0.order_scrub(order);
    }

    fn status(&self) -> JobStatus {
        let scrub = self.0.scrub_numbers();
        let state = match (scrub.paused, scrub.running, &scrub.present) {
            (true, ..) => JobState::Paused,
            (_, true, _) => JobState::Running,
            (.., Some(_)) => JobState::Interrupted,
            (.., None) => JobState::Idle,
        };
        JobStatus {
            state,
            done_permille: scrub.present.map(|progress| progress.done_permille()),
            bytes_per_second: scrub.present.and_then(|progress| progress.bytes_per_second),
            bytes_per_second_max: scrub.bytes_per_second_max,
            eta: scrub.present.and_then(|progress| progress.left()),
            next_in: scrub.next_in,
            last_error: scrub.last_error,
            ..JobStatus::idle(JobKind::Scrub)
        }
    }
}
