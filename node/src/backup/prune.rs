//! Pruning: old positions are forgotten, and with them the files that no other one needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitstratum_core::object::ObjectId;

use super::error::failed;
use super::objects::Objects;
use super::{BackupError, Directory, Position};

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The names of positions that are forgotten.
    pub positions: Vec<String>,
    /// Files that no position needs any more.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Forgets all positions but the latest `keep` that have everything and what came after the first of
/// these, and removes what none of those needs: what backups left that broke off, too.
///
/// # Errors
/// [`BackupError`]; where a list cannot be read, nothing is removed, because nobody knows what it needs.
pub fn prune(path: &Path, keep: usize) -> Result<Pruned, BackupError> {
    let directory = Arc::new(Directory::change(path)?);
    let mut positions = Position::all(&directory)?;
    let kept = positions.split_off(first_kept(&positions, keep));
    let needed = needed(&kept)?;
    let mut pruned = Pruned::default();
    for position in positions {
        position.remove(&directory)?;
        pruned.positions.push(position.name);
    }
    for (_, path, bytes) in unneeded(&Objects::of(directory.clone()), &needed)? {
        fs::remove_file(&path).map_err(failed("removing", &path))?;
        pruned.files += 1;
        pruned.bytes += bytes;
        // Those that are empty now go as well, up to the directory of all; others refuse.
        let _ = path.ancestors().skip(1).take(2).try_for_each(fs::remove_dir);
    }
    Ok(pruned)
}

/// Where those begin that are kept. However many positions have some repositories only, they are not
/// what a cluster is restored from: so they do not count, unless there are no others.
fn first_kept(positions: &[Position], keep: usize) -> usize {
    let is_whole = |position: &&Position| position.manifest.only.is_none();
    let (all, whole) = (positions.len(), positions.iter().filter(is_whole).count());
    if whole == 0 {
        return all.saturating_sub(keep);
    }
    let from_whole = |at: &usize| positions[*at..].iter().filter(is_whole).count() == keep;
    if whole < keep { 0 } else { (0..all).rev().find(from_whole).unwrap_or(0) }
}

/// All that these positions need.
pub(super) fn needed(positions: &[Position]) -> Result<BTreeSet<ObjectId>, BackupError> {
    let mut needed = BTreeSet::new();
    for position in positions {
        needed.extend(position.objects()?.into_iter().map(|(id, _)| id));
    }
    Ok(needed)
}

/// The files that nothing of that is in.
pub(super) fn unneeded(
    objects: &Objects,
    needed: &BTreeSet<ObjectId>,
) -> Result<Vec<(Option<ObjectId>, PathBuf, u64)>, BackupError> {
    let mut files = objects.all()?;
    files.retain(|(id, ..)| id.is_none_or(|id| !needed.contains(&id)));
    Ok(files)
}
