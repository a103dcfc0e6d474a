//! Compaction observer.
//!
//! Compaction as it is seen from outside: by the names of the files on a node's disk.
//!
//! A segment is called `FIRST-LAST-GENERATION.seg`, and one that compaction wrote has a
//! generation above zero; what is not complete has `.tmp` behind its name, and an index
//! ends in `.idx`. The node is told nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use gitstratum_host::disk::Fault;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tokio::time::{Instant, sleep};

use super::Cluster;
use crate::trace::{Event, Progress, Stop};
use crate::workload::draw_duration;

const DIR: &str = "segments/";
/// How often a disk is looked at on which nothing is compacted.
const IDLE_LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// And one on which something is; less than a sync takes.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// So long after a run began to be copied it is struck.
const COPYING: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(400);
/// And after it had an index or a name: until some time after the old segments have gone.
const NAMING: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(20);

/// A segment by its name: first, last, generation.
type Named = [u32; 3];

/// What stands for a compaction that skips its syncs. Its files are opened under the names
/// that they have before they are complete, and those of indexes end otherwise.
pub(super) fn unsynced() -> Fault {
    Fault::lying_sync().on_names_ending(".seg.tmp")
}

/// The names in a node's directory of segments.
#[derive(Debug, Default, PartialEq)]
struct Names {
    segments: BTreeSet<Named>,
    indexes: BTreeSet<Named>,
    /// Segments that are not complete.
    copies: BTreeSet<Named>,
}

impl Names {
    fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Names::default();
        for name in paths.filter_map(|path| path.strip_prefix(DIR)) {
            let Some((stem, ending)) = name.split_once('.') else { continue };
            let mut parts = stem.split('-').map(|part| u32::from_str_radix(part, 16).ok());
            let mut part = || parts.next().flatten();
            let (Some(first), Some(last), Some(generation)) = (part(), part(), part()) else {
                continue;
            };
            let named = [first, last, generation];
            match ending {
                "seg" => names.segments.insert(named),
                "idx" => names.indexes.insert(named),
                "seg.tmp" => names.copies.insert(named),
                _ => false,
            };
        }
        names
    }

    /// Segments that compaction wrote.
    fn compacted(&self) -> impl Iterator<Item = &Named> {
        self.segments.iter().filter(|[.., generation]| *generation > 0)
    }

    /// How far the compaction is that goes on.
    fn progress(&self) -> Option<Progress> {
        let replaces = |[first, last, generation]: &Named, old: &Named| {
            (first..=last).contains(&&old[0]) && old[2] < *generation
        };
        let both = |new: &Named| self.segments.iter().any(|old| replaces(new, old));
        if self.compacted().any(both) {
            return Some(Progress::Named);
        }
        let copy = self.copies.iter().next()?;
        let indexed = self.indexes.contains(copy);
        Some(if indexed { Progress::Indexed } else { Progress::Copying })
    }
}

impl Cluster {
    fn names(&self, node: &str) -> Names {
        let files = self.disk(node).files();
        Names::of(files.iter().map(|(path, _)| path.as_str()))
    }

    /// Records how many segments of each node compaction has replaced.
    pub(super) fn record_compactions(&self) {
        for node in self.nodes.keys() {
            let names = self.names(node);
            // Numbers are given out one after another; what they stood for is in here now.
            let replaced = names.compacted().map(|[first, last, _]| u64::from(last - first) + 1);
            self.recorder.record(node, Event::Compacted { replaced: replaced.sum() });
        }
    }

    /// Ends a node's process, or its power, so many times in the middle of a compaction, and
    /// starts it again after a while; gives up at `end`.
    pub(super) async fn strike_compactions(
        &self,
        node: &str,
        (times, end): (u32, Instant),
        down_for: &RangeInclusive<Duration>,
        rng: &mut ChaCha12Rng,
    ) {
        for _ in 0..times {
            let at = match rng.random_range(0..3) {
                0 => Progress::Copying,
                1 => Progress::Indexed,
                _ => Progress::Named,
            };
            let by = if rng.random_bool(0.75) { Stop::PowerOff } else { Stop::Crash };
            let late = draw_duration(rng, if at == Progress::Copying { &COPYING } else { &NAMING });
            let down_for = draw_duration(rng, down_for);
            if !self.comes_to(node, at, end).await {
                return;
            }
            sleep(late).await;
            if !self.is_running(node) {
                // Another step has stopped it meanwhile.
                continue;
            }
            let late_us = u64::try_from(late.as_micros()).expect("far below an age");
            self.recorder.record(node, Event::CompactionStruck { at, late_us });
            self.stop(node, by);
            sleep(down_for).await;
            self.start(node);
        }
    }

    /// Waits until a compaction of a node that listens is so far; false when that does not
    /// happen before `end`.
    async fn comes_to(&self, node: &str, at: Progress, end: Instant) -> bool {
        let mut known: Option<BTreeSet<Named>> = None;
        while Instant::now() < end {
            // What one before it left is gone when a node listens.
            let names = Some(self.names(node)).filter(|_| self.is_ready(node)).unwrap_or_default();
            let progress = names.progress();
            let compacted: BTreeSet<Named> = names.compacted().copied().collect();
            // Between two looks the old ones may have gone already.
            let named = known.is_some_and(|known| !compacted.is_subset(&known));
            if progress == Some(at) || (at == Progress::Named && named) {
                return true;
            }
            known = self.is_ready(node).then_some(compacted);
            sleep(if progress.is_some() { LOOK_INTERVAL } else { IDLE_LOOK_INTERVAL }).await;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(names: &[&str]) -> Option<Progress> {
        Names::of(names.iter().copied()).progress()
    }

    #[test]
    fn the_progress_of_a_compaction_is_read_off_the_names() {
        let old =
            ["segments/00000001-00000001-00000000.seg", "segments/00000002-00000002-00000000.seg"];
        let with = |more: &[&str]| progress(&[&old[..], more].concat());
        let new = "segments/00000001-00000002-00000001";
        let (copy, index, segment) =
            (format!("{new}.seg.tmp"), format!("{new}.idx"), format!("{new}.seg"));
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[&copy]), Some(Progress::Copying));
        assert_eq!(with(&[&copy, &format!("{index}.tmp")]), Some(Progress::Copying));
        assert_eq!(with(&[&copy, &index]), Some(Progress::Indexed));
        assert_eq!(with(&[&segment, &index]), Some(Progress::Named));
        assert_eq!(progress(&[&segment, &index]), None, "what it replaced is gone");
    }
}
