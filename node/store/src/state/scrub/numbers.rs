//! What scrub says of itself.

use std::time::Duration;

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
