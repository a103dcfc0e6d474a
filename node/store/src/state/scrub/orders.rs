//! What scrub was told, what it is doing, and what it remembers: shared by whoever reads,
//! whoever asks, and whoever gives orders.
//!
//! Invariant: the file says no more than what is held here, and is written by one at a time.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::job::JobOrder;
use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::state::naming::Naming;

use super::memory::{Begun, Mark, Memory, ScrubCounts, Whole};
use super::numbers::{LastScrub, ScrubNumbers, ScrubProgress};

/// Orders that nobody took yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Waiting {
    start: bool,
    cancel: bool,
}

/// When scrubs begin by themselves, and how fast they read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    /// Between the beginnings of two; `None` for none.
    pub(crate) interval: Option<Duration>,
    /// So much earlier the first one begins.
    pub(crate) first_early: Duration,
    pub(crate) bytes_per_second: Option<u64>,
}

/// A scrub that reads.
#[derive(Debug)]
struct UnderWay {
    /// Where it began, or was gone on with.
    since: Instant,
    bytes_before: u64,
    counts: ScrubCounts,
}

#[derive(Debug, Default)]
struct State {
    memory: Memory,
    schedule: Schedule,
    waiting: Waiting,
    paused: bool,
    under_way: Option<UnderWay>,
    /// What the present scrub found damaged, or else the last: the latest.
    damaged: Vec<(ObjectId, String)>,
    last_error: Option<String>,
    /// None begins by itself before this.
    not_before: Option<Instant>,
}

/// The scrubs of one store.
#[derive(Debug)]
pub(crate) struct Scrubs {
    disk: Disk,
    naming: Arc<Naming>,
    state: Mutex<State>,
    given: Notify,
    saving: tokio::sync::Mutex<()>,
}

impl Scrubs {
    /// With what is remembered of them.
    pub(crate) fn new(disk: Disk, naming: Arc<Naming>, memory: Memory) -> Self {
        let state = Mutex::new(State { memory, ..State::default() });
        Scrubs { disk, naming, state, given: Notify::new(), saving: tokio::sync::Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it notes how far scrub is")
    }

    /// Writes down what is remembered, as it is when its turn comes, unless the directory may be
    /// another process's by now.
    pub(crate) async fn save(&self) {
        if self.naming.is_closed() {
            return;
        }
        let _one = self.saving.lock().await;
        let memory = self.lock().memory;
        memory.save(&self.disk).await;
    }

    /// Has it done.
    pub(crate) fn give(&self, order: JobOrder) {
        tracing::info!(?order, "scrub was told");
        {
            let mut state = self.lock();
            match order {
                JobOrder::Start => {
                    state.paused = false;
                    state.waiting.start = true;
                }
                JobOrder::Pause => {
                    state.paused = true;
                    state.waiting.start = false;
                }
                // In the order in which they were given, the later one counts.
                JobOrder::Cancel => state.waiting = Waiting { start: false, cancel: true },
            }
        }
        self.given.notify_waiters();
    }

    /// Waits for an order to start, or to cancel, that nobody took yet. Safe to drop.
    pub(crate) async fn ordered(&self) {
        self.until(|state| state.waiting != Waiting::default()).await;
    }

    /// Waits for an order by which no scrub reads on. Safe to drop.
    pub(crate) async fn stopped(&self) {
        self.until(|state| state.paused || state.waiting.cancel).await;
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let mut given = pin!(self.given.notified());
            // Registered before looking, so that no order falls between the two.
            given.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            given.await;
        }
    }

    /// Forgets the scrub that was interrupted, if an order says so; says whether one did.
    pub(crate) fn take_cancel(&self) -> bool {
        let mut state = self.lock();
        if !std::mem::take(&mut state.waiting.cancel) {
            return false;
        }
        if state.memory.begun.take().is_none() {
            return false;
        }
        state.damaged.clear();
        let interval = state.schedule.interval;
        state.not_before = interval.and_then(|interval| Instant::now().checked_add(interval));
        true
    }

    /// Goes by this from now on, at this time by the clock; says whether that is remembered
    /// as the first time.
    pub(crate) fn follow(&self, schedule: Schedule, now_ms: u64) -> bool {
        let mut state = self.lock();
        state.schedule = schedule;
        // A clock that was ahead then may be right now, or the other way round.
        let known = state.memory.since_ms.is_some_and(|since_ms| since_ms <= now_ms);
        if !known {
            state.memory.since_ms = Some(now_ms);
        }
        !known
    }

    /// Whether a scrub is to begin, or to go on, at this time by the clock.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        let state = self.lock();
        let due_in = state.due_in(now_ms);
        due_in.is_some_and(|time| time.is_zero())
    }

    /// Begins to read, or goes on; says from where, and what was met until there. `None`
    /// while an operator has paused it.
    pub(crate) fn begin(&self, now_ms: u64) -> Option<(UnderWayGuard<'_>, Begun)> {
        let mut state = self.lock();
        if state.paused {
            return None;
        }
        state.waiting.start = false;
        if state.memory.begun.is_none() {
            state.damaged.clear();
        }
        let new = Begun { begun_ms: now_ms, counts: ScrubCounts::default(), mark: None };
        let begun = *state.memory.begun.get_or_insert(new);
        let counts = begun.counts;
        state.under_way =
            Some(UnderWay { since: Instant::now(), bytes_before: counts.bytes, counts });
        Some((UnderWayGuard(self), begun))
    }

    /// Says what was met so far.
    pub(crate) fn met(&self, counts: ScrubCounts) {
        if let Some(under_way) = &mut self.lock().under_way {
            under_way.counts = counts;
        }
    }

    /// Names something as damaged.
    pub(crate) fn damaged(&self, id: ObjectId, reason: String) {
        let damaged = &mut self.lock().damaged;
        // What was read since the mark is read again, and found again.
        damaged.retain(|(known, _)| *known != id);
        if damaged.len() == limits::SCRUB_DAMAGED_NAMED_MAX {
            damaged.remove(0);
        }
        damaged.push((id, reason));
    }

    /// What the present scrub found damaged, or else the last: the latest.
    pub(crate) fn named(&self) -> Vec<(ObjectId, String)> {
        self.lock().damaged.clone()
    }

    /// Says that everything up to a mark was read.
    pub(crate) fn reached(&self, mark: Mark, counts: ScrubCounts) {
        if let Some(begun) = &mut self.lock().memory.begun {
            (begun.mark, begun.counts) = (Some(mark), counts);
        }
    }

    /// Says that the scrub came to its end.
    pub(crate) fn ended(&self, begun: Begun, counts: ScrubCounts, now_ms: u64) {
        let mut state = self.lock();
        state.memory.begun = None;
        state.memory.whole = Some(Whole { begun_ms: begun.begun_ms, ended_ms: now_ms, counts });
        // Told to begin while it read: this was it.
        state.waiting.start = false;
        state.last_error = None;
        state.not_before = None;
    }

    /// Says why a scrub did not go on. It is tried again after a while.
    pub(crate) fn failed(&self, error: String) {
        let mut state = self.lock();
        state.last_error = Some(error);
        state.not_before = Some(Instant::now() + limits::SCRUB_AGAIN_AFTER);
    }

    /// Up to where everything was read by the scrub under way, or interrupted; `None` before
    /// the first mark, and between two scrubs.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.lock().memory.begun?.mark
    }

    /// How it stands at this time by the clock, where so many bytes are behind the mark.
    pub(crate) fn numbers(&self, bytes_behind: u64, now_ms: u64) -> ScrubNumbers {
        let state = self.lock();
        let ago = |at_ms: u64| now_ms.checked_sub(at_ms).map(Duration::from_millis);
        let last = state.memory.whole.map(|Whole { begun_ms, ended_ms, counts }| LastScrub {
            ended_ago: ago(ended_ms),
            took: Duration::from_millis(ended_ms.saturating_sub(begun_ms)),
            counts,
        });
        let present = state.memory.begun.map(|begun| {
            let under_way = state.under_way.as_ref();
            let counts = under_way.map_or(begun.counts, |under_way| under_way.counts);
            ScrubProgress {
                began_ago: ago(begun.begun_ms),
                counts,
                bytes_all: (begun.counts.bytes + bytes_behind).max(counts.bytes),
                bytes_per_second: under_way.and_then(UnderWay::bytes_per_second),
            }
        });
        ScrubNumbers {
            paused: state.paused,
            running: state.under_way.is_some(),
            interval: state.schedule.interval,
            bytes_per_second_max: state.schedule.bytes_per_second,
            present,
            damaged: state.damaged.clone(),
            last,
            next_in: state.under_way.is_none().then(|| state.due_in(now_ms)).flatten(),
            last_error: state.last_error.clone(),
        }
    }
}

impl State {
    /// How long until a scrub begins or goes on by itself or as it was told; `None` when none
    /// will.
    fn due_in(&self, now_ms: u64) -> Option<Duration> {
        if self.paused {
            return None;
        }
        if self.waiting.start {
            return Some(Duration::ZERO);
        }
        let Schedule { interval, first_early, .. } = self.schedule;
        let due_ms = self.memory.due_ms(now_ms, interval?, first_early);
        let by_clock = Duration::from_millis(due_ms.saturating_sub(now_ms));
        let held = self.not_before.map_or(Duration::ZERO, |at| at.duration_since(Instant::now()));
        Some(by_clock.max(held))
    }
}

impl UnderWay {
    fn bytes_per_second(&self) -> Option<u64> {
        let (bytes, time) = (self.counts.bytes - self.bytes_before, self.since.elapsed());
        // Of the first moment everything and nothing is true.
        let tells = bytes > 0 && time >= limits::SCRUB_RATE_AFTER;
        tells.then(|| (bytes as f64 / time.as_secs_f64()) as u64)
    }
}

/// For as long as a scrub reads. However that ends, it is seen to have ended.
pub(crate) struct UnderWayGuard<'a>(&'a Scrubs);

impl Drop for UnderWayGuard<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.lock() {
            state.under_way = None;
        }
    }
}
