//! Compaction: segments that are mostly garbage are written again without it.
//!
//! A run of neighbours becomes one segment that takes their place in the order, so that a
//! later tombstone still counts against what was copied. A record is copied if it is the
//! latest of its id when its turn comes; one deleted after that is garbage in the new
//! segment. A tombstone is kept while an older segment has a record of its id. Puts and
//! gets go on: they wait for nothing but the exchange of the segments in the view.
//!
//! A record that is damaged is not copied, and its object stays known as damaged; where not
//! even its head holds, the index tells whose it was. A segment that the disk does not read
//! stays as it is: another time it may.
//!
//! A crash leaves either the old segments, or the new one with its name, which makes the
//! old ones leftovers; what has been copied until then is copied again.

mod copy;
mod output;

use std::sync::Arc;

use gitstratum_core::replica::StoreError;

use crate::files::names::{DIR, index_path, segment_path, temporary};
use crate::format::segment::SegmentId;
use crate::segment::sealed::{Sealed, write_index};
use crate::state::shared::Shared;
use crate::state::view::BadPlace;
use crate::upkeep::pace::Pace;
use copy::copy_segment;
use output::Output;

/// What is worth compacting, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct CompactOptions {
    /// Least share of a segment's bytes that must be garbage.
    pub garbage_share_min: f64,
    /// Bytes read and written in a second; `None` as fast as the disk allows.
    pub bytes_per_second: Option<u64>,
}

impl Default for CompactOptions {
    fn default() -> Self {
        CompactOptions { garbage_share_min: 0.5, bytes_per_second: None }
    }
}

/// What compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments that were replaced.
    pub segments: u64,
    /// Bytes they had.
    pub bytes_before: u64,
    /// Bytes of what replaced them.
    pub bytes_after: u64,
}

/// Writes segments again of which too much is garbage. One compaction, scrub or
/// snapshot runs at a time. Dropping the future between two segments, or within one,
/// leaves the store as it was.
///
/// # Errors
/// As a put; what was done until then stays done. What the disk does not read, or has no
/// room for, keeps it from no other segment, and is the error at the end.
pub(crate) async fn compact(
    shared: &Arc<Shared>,
    options: CompactOptions,
) -> Result<Compacted, StoreError> {
    let _alone = shared.maintenance.lock().await;
    let mut compacted = Compacted::default();
    let mut pace = Pace::new(options.bytes_per_second);
    // Where nobody can tell, it is tried.
    let room = shared.disk.available_bytes().await.unwrap_or(u64::MAX);
    let Runs { runs, crowded } = runs(shared, options, room);
    let mut left = crowded.then_some(StoreError::DiskFull);
    for run in runs {
        shared.health.check_writable()?;
        let before: u64 = run.iter().map(|sealed| sealed.disk_bytes()).sum();
        let after = match rewrite(shared, &run, &mut pace).await {
            Err(error @ StoreError::Io { .. }) => {
                tracing::warn!(%error, "a segment is not compacted");
                left.get_or_insert(error);
                continue;
            }
            rewritten => rewritten?,
        };
        compacted.segments += run.len() as u64;
        compacted.bytes_before += before;
        compacted.bytes_after += after;
        shared.counters.compacted_segments.inc_by(run.len() as u64);
        shared.counters.compaction_freed_bytes.inc_by(before.saturating_sub(after));
    }
    match left {
        Some(error) => Err(error),
        None => Ok(compacted),
    }
}

/// What there is to rewrite.
struct Runs {
    /// Neighbours each, the oldest first.
    runs: Vec<Vec<Arc<Sealed>>>,
    /// Whether a segment is left because the disk has no room for what stays of it.
    crowded: bool,
}

/// What stays of some segments at most.
struct Remains {
    /// Bytes in segments.
    bytes: u64,
    /// And bytes on the disk, with the indexes.
    disk_bytes: u64,
    records: u64,
}

/// Neighbours that are worth it, that the disk reads as far as is known, and of which what stays
/// fits one segment together, and `room` bytes of the disk.
fn runs(shared: &Shared, options: CompactOptions, room: u64) -> Runs {
    let (bytes_max, records_max) =
        (shared.options.segment_bytes_max, shared.options.segment_records_max as u64);
    let (mut runs, mut crowded) = (Vec::<Vec<_>>::new(), false);
    // Of the run that may still grow.
    let mut open: Option<Remains> = None;
    let (garbage, unread) = {
        let view = shared.view();
        (view.garbage(), view.unread())
    };
    for (sealed, dead) in garbage {
        let worth =
            dead.bytes > 0 && dead.bytes as f64 >= options.garbage_share_min * sealed.len as f64;
        if !worth || unread.contains(&sealed.id()) {
            open = None;
            continue;
        }
        let alone = Remains {
            bytes: sealed.len.saturating_sub(dead.bytes),
            disk_bytes: sealed.disk_bytes().saturating_sub(dead.bytes),
            records: sealed.entries(),
        };
        if alone.disk_bytes > room {
            (open, crowded) = (None, true);
            continue;
        }
        let together = open.take().map(|others| Remains {
            bytes: others.bytes + alone.bytes,
            disk_bytes: others.disk_bytes + alone.disk_bytes,
            records: others.records + alone.records,
        });
        match together {
            Some(together)
                if together.bytes <= bytes_max
                    && together.disk_bytes <= room
                    && together.records <= records_max =>
            {
                open = Some(together);
                runs.last_mut().expect("a run is open").push(sealed);
            }
            _ => {
                open = Some(alone);
                runs.push(vec![sealed]);
            }
        }
    }
    Runs { runs, crowded }
}

/// Writes the live records of a run to one new segment, which takes their place; returns
/// its bytes.
async fn rewrite(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    pace: &mut Pace,
) -> Result<u64, StoreError> {
    let (first, last) = (run[0].id(), run[run.len() - 1].id());
    let generation = run.iter().map(|sealed| sealed.id().generation).max().unwrap_or(0) + 1;
    let id = SegmentId { last: last.last, first: first.first, generation };
    let path = temporary(&segment_path(id));
    let written = async {
        let mut output = Output::begin(shared, run, id, &path).await?;
        for sealed in run {
            copy_segment(shared, run, sealed, &mut output, pace).await?;
        }
        output.finish(shared).await?;
        publish(shared, run, output).await
    };
    let done = written.await;
    if done.is_err() {
        // What is left of it takes room, and is removed by opening at the latest.
        let _ = shared.disk.remove(&path).await;
    }
    done
}

/// Gives the new segment its name and its place in the view, and removes the old ones.
async fn publish(
    shared: &Arc<Shared>,
    run: &[Arc<Sealed>],
    output: Output,
) -> Result<u64, StoreError> {
    let Output { id, path, file, len, accounts, places, noted, .. } = output;
    let (entries, ids) = (places.entries(), places.ids());
    // Whose the records were that nobody could read in the old ones is not known any better
    // now. If they stay, the next opening takes it off the list.
    let unidentified = {
        let mut view = shared.view();
        let any = run.iter().any(|sealed| view.unidentified.contains(&sealed.id()));
        any && view.unidentified.insert(id)
    };
    if unidentified || noted {
        // Before the old ones go, or after a crash what was damaged in them would be absent.
        shared.damage.save().await?;
    }
    // The index first: without its segment it is a leftover, and the segment's name decides.
    let index = write_index(&shared.disk, id, file, len, accounts, entries).await;
    let sealed = index.map_err(|error| shared.health.write_failed(&index_path(id), &error))?;
    let sealed = sealed.with(ids, 0);
    // Opened before the name is taken: it can then not be wanting.
    let directory = shared.disk.open_dir(DIR).await;
    let directory = directory.map_err(|error| shared.health.write_failed(DIR, &error))?;
    // An index that is made again meanwhile would bring its segment back.
    let _rebuilding = shared.rebuilding.lock().await;
    let _naming = shared.naming.acquire().await?;
    let to = segment_path(id);
    let named = async {
        shared.disk.rename(&path, &to).await?;
        directory.sync().await
    };
    named.await.map_err(|error| shared.health.fail(format!("name {to}: {error}")))?;
    let bytes = sealed.disk_bytes();
    let old: Vec<_> = run.iter().map(|sealed| sealed.id()).collect();
    let settled = {
        let mut view = shared.view();
        view.replace_sealed(&old, Some(Arc::new(sealed)));
        let before = view.bad.len();
        view.unidentified.retain(|segment| !old.contains(segment));
        view.bad.retain(|_, bad| match bad.at {
            BadPlace::Record { segment, .. } => !old.contains(&segment),
            _ => true,
        });
        view.bad.len() != before || unidentified
    };
    if settled {
        // Of what it has too much the next opening takes no notice.
        let _ = shared.damage.save().await;
    }
    // While it asks for the old ones, the new one may stand for them, and be lost unseen.
    shared.manifest.keep().await?;
    for id in old {
        // One that stays is a leftover that opening removes.
        for path in [segment_path(id), index_path(id)] {
            if let Err(error) = shared.disk.remove(&path).await {
                tracing::warn!(path, %error, "a segment that was rewritten stays");
            }
        }
    }
    Ok(bytes)
}
