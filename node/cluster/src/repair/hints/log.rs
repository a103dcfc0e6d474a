//! Hint log: what is held, and the file that says the same.
//!
//! Each change is planned against what is held, appended as one frame, synced, and only then
//! applied and answered; reports that wait for one another's sync share the next. A file of
//! which too much is settled is replaced by a new one, and so is one that failed: what is
//! held was durable once, so writing it anew never says more than was acknowledged.
//!
//! Invariant: nothing is held that is not in the file under the log's name, and nothing is
//! appended to a file of which that is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{NodeId, Placement};
use gitstratum_core::replica::{Missed, Recorded};
use gitstratum_core::seldom::Seldom;
use gitstratum_host::unix_time_ms;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use super::entry::Entry;
use super::held::Held;
use super::pace::Paces;
use super::{DirtyRange, FILE, Hint, HintError, IdPrefix, Outcome};

mod numbers;
mod open;
mod plan;
mod writer;

pub use numbers::{HintLists, HintNumbers, TargetNumbers};
use writer::Writer;

/// Bounds of a log.
#[derive(Clone, Debug)]
pub struct HintOptions {
    /// What all hints together may take in the file.
    pub bytes_max: u64,
    /// A hint that was not delivered by then becomes a dirty range.
    pub age_max: Duration,
    /// The file is replaced when it has twice what is held, and this many bytes more.
    pub slack_bytes: u64,
}

impl Default for HintOptions {
    fn default() -> Self {
        HintOptions {
            bytes_max: limits::HINT_BYTES_MAX,
            age_max: limits::HINT_AGE_MAX,
            slack_bytes: limits::HINT_SLACK_BYTES,
        }
    }
}

/// A report that waits to be written, and for its answer.
struct Report {
    missed: Vec<Missed>,
    layout_version: u64,
    answer: oneshot::Sender<Result<Recorded, HintError>>,
}

/// The hints of one node.
pub struct HintLog {
    options: HintOptions,
    /// Held across an append: they are one at a time.
    writer: tokio::sync::Mutex<Writer>,
    held: Mutex<Held>,
    reports: Mutex<Vec<Report>>,
    changed: Notify,
    /// Reports that found no room, of which the log tells once in a while.
    bound_met: Seldom,
    /// Why the hints of a node wait.
    troubles: Mutex<BTreeMap<NodeId, String>>,
    /// How fast they are settled.
    pub(super) paces: Paces,
}

impl HintLog {
    /// Records what is new among `missed`; all of it is durable when this returns. The caller
    /// went by `layout_version`, or by 0 if that is not known. Goes on when its caller goes
    /// away.
    ///
    /// # Errors
    /// [`HintError`] when it could not be written; then it is not held either.
    pub async fn record(
        self: &Arc<Self>,
        missed: Vec<Missed>,
        layout_version: u64,
    ) -> Result<Recorded, HintError> {
        let (answer, answered) = oneshot::channel();
        self.lock_reports().push(Report { missed, layout_version, answer });
        let log = self.clone();
        // A task of its own, so that an append is never dropped half-way.
        tokio::spawn(async move { log.write_reports().await });
        answered.await.unwrap_or(Err(HintError::Closed))
    }

    /// Writes the reports that wait, until there are none.
    async fn write_reports(&self) {
        let mut writer = self.writer.lock().await;
        loop {
            let reports = {
                let mut waiting = self.lock_reports();
                let mut pairs = 0;
                let fits = |report: &Report| {
                    pairs += report.missed.len();
                    pairs <= limits::HINT_FRAME_ENTRIES_MAX
                };
                let fitting = waiting.iter().map(fits).take_while(|fits| *fits).count();
                let count = fitting.max(1).min(waiting.len());
                waiting.drain(..count).collect::<Vec<_>>()
            };
            if reports.is_empty() {
                return;
            }
            let now_ms = unix_time_ms();
            let (entries, recorded) =
                plan::of_reports(&self.lock(), &reports, self.options.bytes_max, now_ms);
            let committed = self.commit(&mut writer, entries).await;
            if recorded.iter().any(|recorded| recorded.moved_to_ranges > 0)
                && let Some(count) = self.bound_met.count()
            {
                let bytes_max = self.options.bytes_max;
                tracing::warn!(
                    count,
                    bytes_max,
                    "hints are at their bound: ranges of ids are dirty"
                );
            }
            for (report, recorded) in reports.into_iter().zip(recorded) {
                // Who reported may be gone; the record stands all the same.
                let _ = report.answer.send(committed.clone().map(|()| recorded));
            }
        }
    }

    /// Makes a change that `plan` draws up from what is held, durably.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        plan: impl FnOnce(&Held) -> (Vec<Entry>, T) + Send + 'static,
    ) -> Result<T, HintError> {
        let log = self.clone();
        let changing = tokio::spawn(async move {
            let mut writer = log.writer.lock().await;
            let (entries, answer) = plan(&log.lock());
            log.commit(&mut writer, entries).await?;
            Ok(answer)
        });
        changing.await.unwrap_or(Err(HintError::Closed))
    }

    /// Appends, then applies.
    async fn commit(&self, writer: &mut Writer, entries: Vec<Entry>) -> Result<(), HintError> {
        if writer.is_closed() {
            return Err(HintError::Closed);
        }
        if entries.is_empty() {
            return Ok(());
        }
        if !writer.is_sound() {
            let anew = self.lock().entries();
            writer.replace(&anew).await?;
        }
        writer.append(&entries).await?;
        let outgrown = {
            let mut held = self.lock();
            entries.iter().for_each(|entry| held.apply(entry));
            let needed = held.hint_bytes + held.dirty_count() * limits::NAME_BYTES_MAX as u64;
            let outgrown = writer.len() > 2 * needed + self.options.slack_bytes;
            outgrown.then(|| held.entries())
        };
        self.changed.notify_waiters();
        if let Some(anew) = outgrown
            && let Err(error) = writer.replace(&anew).await
        {
            tracing::warn!(%error, "the log of hints is longer than it need be");
        }
        Ok(())
    }

    /// Settles hints of one target; durable when this returns. [`Outcome::MovedToRanges`] marks
    /// their ranges dirty in the same step.
    ///
    /// # Errors
    /// [`HintError`]; then they are held still.
    pub async fn settle(
        self: &Arc<Self>,
        target: &NodeId,
        hints: Vec<(ObjectId, Outcome)>,
    ) -> Result<(), HintError> {
        self.settle_and_mark(target, hints, Vec::new()).await
    }

    /// As [`HintLog::settle`]; and these ranges are dirty from then on.
    ///
    /// # Errors
    /// [`HintError`]; then nothing has changed.
    pub async fn settle_and_mark(
        self: &Arc<Self>,
        target: &NodeId,
        hints: Vec<(ObjectId, Outcome)>,
        dirty: Vec<(NodeId, IdPrefix)>,
    ) -> Result<(), HintError> {
        let target = target.clone();
        self.change(move |held| {
            let is_held = |(id, _): &(ObjectId, Outcome)| held.has(&target, id);
            let hints = hints.into_iter().filter(is_held);
            let settled = |(id, outcome)| Entry::Settled { target: target.clone(), id, outcome };
            let marked = |(target, prefix)| Entry::Dirty { target, prefix, instead_of: 0 };
            (dirty.into_iter().map(marked).chain(hints.map(settled)).collect(), ())
        })
        .await
    }

    /// Settles hints as replaced, and holds others for the nodes beside each instead, in one
    /// step.
    ///
    /// # Errors
    /// [`HintError`]; then the first are held still.
    pub async fn replace(
        self: &Arc<Self>,
        hints: Vec<(Hint, Vec<NodeId>)>,
    ) -> Result<(), HintError> {
        let bytes_max = self.options.bytes_max;
        self.change(move |held| (plan::of_replacement(held, hints, bytes_max), ())).await
    }

    /// Sees to it that hints are for members only, and within their bound: an earlier version
    /// of the program kept them for whatever names it was sent, and the bound may be a lower
    /// one than before. Hints for a node that no layout has are replaced by hints for the
    /// present replicas of their objects but for `ourselves`, because nobody can tell whether
    /// the name was meant; past the bound, they become dirty ranges. Where that cannot be
    /// written, it is left to the next start, and logged.
    pub async fn keep_to(self: &Arc<Self>, placement: &Placement, ourselves: &NodeId) {
        let known: BTreeSet<_> =
            self.targets().into_iter().filter(|target| placement.layout().knows(target)).collect();
        let strangers: Vec<_> =
            self.lock().all().filter(|hint| !known.contains(&hint.target)).cloned().collect();
        let surplus = self.lock().hint_bytes > self.options.bytes_max;
        if strangers.is_empty() && !surplus {
            return;
        }
        let (count, bytes_max) = (strangers.len(), self.options.bytes_max);
        let present = |hint: Hint| {
            let replicas = placement.replicas(&hint.id);
            let others = replicas.iter().filter(|node_id| *node_id != ourselves);
            (hint, others.cloned().collect())
        };
        let kept = async {
            self.replace(strangers.into_iter().map(present).collect()).await?;
            self.change(move |held| {
                let entries = plan::of_surplus(held, bytes_max);
                let moved_to_ranges = entries.len();
                (entries, moved_to_ranges)
            })
            .await
        };
        match kept.await {
            Ok(moved_to_ranges) => tracing::warn!(
                strangers = count,
                moved_to_ranges,
                "{FILE}: it had hints for nodes that no layout has, or more than may be kept"
            ),
            Err(error) => tracing::warn!(%error, "{FILE}: it has more hints than may be kept"),
        }
    }

    /// Turns hints that are too old, at this time by the clock, into dirty ranges; says how
    /// many.
    ///
    /// # Errors
    /// [`HintError`]; then they are held still.
    pub async fn expire(self: &Arc<Self>, now_ms: u64) -> Result<u64, HintError> {
        let age_max_ms = u64::try_from(self.options.age_max.as_millis()).unwrap_or(u64::MAX);
        let is_old = move |hint: &&Hint| now_ms.saturating_sub(hint.recorded_at_ms) > age_max_ms;
        if !self.lock().all().any(|hint| is_old(&hint)) {
            return Ok(0);
        }
        self.change(move |held| {
            let moved_to_ranges = held.all().filter(is_old).map(|hint| Entry::Settled {
                target: hint.target.clone(),
                id: hint.id,
                outcome: Outcome::MovedToRanges,
            });
            let entries: Vec<_> = moved_to_ranges.collect();
            let count = entries.len() as u64;
            (entries, count)
        })
        .await
    }

    /// The oldest hints for a node, at most so many.
    pub fn oldest(&self, target: &NodeId, most: usize) -> Vec<Hint> {
        let held = self.lock();
        held.target(target)
            .into_iter()
            .flat_map(|target| target.by_age().take(most))
            .cloned()
            .collect()
    }

    /// Nodes that there are hints for.
    pub fn targets(&self) -> Vec<NodeId> {
        self.lock().targets().map(|(node, _)| node.clone()).collect()
    }

    /// Ready when something was recorded, settled, marked or cleared after it was enabled.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Notes why the hints of a node wait, or that they do not.
    pub(super) fn note_error(&self, target: &NodeId, last_error: Option<String>) {
        let mut troubles = self.troubles.lock().expect("nothing panics while it notes");
        match last_error {
            Some(last_error) => troubles.insert(target.clone(), last_error),
            None => troubles.remove(target),
        };
    }

    /// Waits for the append that is under way, and takes no more: the data directory may be
    /// another process's from now on.
    pub async fn close(&self) {
        self.writer.lock().await.close();
    }

    pub(super) fn dirty(&self) -> Vec<DirtyRange> {
        self.lock().dirty().collect()
    }

    pub(super) async fn mark(
        self: &Arc<Self>,
        target: NodeId,
        prefix: IdPrefix,
    ) -> Result<(), HintError> {
        self.change(move |_| (vec![Entry::Dirty { target, prefix, instead_of: 0 }], ())).await
    }

    pub(super) async fn clear(
        self: &Arc<Self>,
        ranges: Vec<DirtyRange>,
    ) -> Result<usize, HintError> {
        self.change(move |held| {
            let ranges = ranges.into_iter().filter(|range| held.is_marked(range));
            let clean = |DirtyRange { target, prefix, .. }| Entry::Clean { target, prefix };
            let entries: Vec<_> = ranges.map(clean).collect();
            let count = entries.len();
            (entries, count)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nothing panics while it counts hints")
    }

    fn lock_reports(&self) -> MutexGuard<'_, Vec<Report>> {
        self.reports.lock().expect("nothing panics while it queues reports")
    }
}
