//! What scrub says of itself.

use std::time::Duration;

use gitstratum_core::metrics::{self, Labels, Reading, Registry, Unit};
use gitstratum_core::object::ObjectId;

use super::memory::ScrubCounts;

/// How scrub stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubNumbers {
    /// An operator has paused it.
    pub paused: bool,
    /// It reads.
    pub running: bool,
    /// Between the beginnings of two; `None` when none begins by itself.
    pub interval: Option<Duration>,
    /// What it may read in a second; `None` as much as the disk allows.
    pub bytes_per_second_max: Option<u64>,
    /// The scrub under way, or the one that was interrupted and is gone on with.
    pub present: Option<ScrubProgress>,
    /// What the present one found damaged since the process started, or else the last, and what
    /// was not put again since: the latest, at most `limits::SCRUB_DAMAGED_NAMED_MAX`.
    pub damaged: Vec<(ObjectId, String)>,
    /// The last that came to its end.
    pub last: Option<LastScrub>,
    /// Until one begins or goes on; `None` while one reads, and when none will.
    pub next_in: Option<Duration>,
    /// Why it stopped the last time that it did not end well; `None` after one that did.
    pub last_error: Option<String>,
}

impl ScrubNumbers {
    /// What of it is a metric.
    pub(crate) fn readings() -> Vec<Reading<ScrubNumbers>> {
        type Metric = Reading<ScrubNumbers>;
        vec![
            Metric::gauge("scrub_running", "1 while scrub reads", |scrub| scrub.running.into()),
            Metric::gauge("scrub_paused", "1 while an operator has scrub paused", |scrub| {
                scrub.paused.into()
            }),
            Metric::real(
                "scrub_done_ratio",
                "How much of the scrub that is under way, or was interrupted, is done; 0 of none",
                |scrub| {
                    scrub.present.map_or(0.0, |present| f64::from(present.done_permille()) / 1000.0)
                },
            ),
            Metric::gauge(
                "scrub_damaged_objects",
                "Objects that the present scrub, or else the last, found damaged and that were not \
                 put again since",
                |scrub| scrub.damaged.len() as u64,
            ),
            Metric::gauge("scrub_failed", "1 where the last scrub did not end well", |scrub| {
                scrub.last_error.is_some().into()
            }),
        ]
    }

    /// Registers what `read` returns, which is called once whenever somebody asks.
    pub(crate) fn register(
        registry: &mut Registry,
        read: impl Fn() -> ScrubNumbers + Send + Sync + 'static,
    ) {
        let readings = ScrubNumbers::readings();
        let help = "Since the last scrub that came to its end, if there was one";
        let age = Reading::real("scrub_last_age", help, Duration::as_secs_f64);
        let age = [age.unit(Unit::Seconds)];
        metrics::register_encoded(registry, move |encoder| {
            let numbers = read();
            let ago = numbers.last.and_then(|last| last.ended_ago);
            let ago: Vec<_> = ago.map(|ago| (Labels::new(), ago)).into_iter().collect();
            metrics::encode(encoder, &readings, &[(Labels::new(), numbers)])?;
            metrics::encode(encoder, &age, &ago)
        });
    }
}

/// How far a scrub is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubProgress {
    /// Since it began, over all restarts; `None` when the clock was ahead then.
    pub began_ago: Option<Duration>,
    /// What it met so far.
    pub counts: ScrubCounts,
    /// What it met, and what it has still to read.
    pub bytes_all: u64,
    /// What it reads in a second, since it was last gone on with; `None` of one that does not
    /// read, or not long enough to tell.
    pub bytes_per_second: Option<u64>,
}

impl ScrubProgress {
    /// How much of it is done, in thousandths.
    pub fn done_permille(&self) -> u32 {
        let (read, all) = (u128::from(self.counts.bytes), u128::from(self.bytes_all.max(1)));
        u32::try_from(read * 1000 / all).unwrap_or(1000)
    }

    /// About how long the rest takes; `None` when nothing tells.
    pub fn left(&self) -> Option<Duration> {
        let bytes = self.bytes_all.saturating_sub(self.counts.bytes);
        let rate = self.bytes_per_second.filter(|rate| *rate > 0)?;
        Some(Duration::from_secs_f64(bytes as f64 / rate as f64))
    }
}

/// A scrub that came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastScrub {
    /// Since then; `None` when the clock was ahead then.
    pub ended_ago: Option<Duration>,
    /// How long it took, with all that interrupted it.
    pub took: Duration,
    /// What it met.
    pub counts: ScrubCounts,
}
