//! Repository import: a push of a whole repository from disk, without the git program.
//!
//! The objects go the way of any push: they are named, checked and proved complete before anything
//! refers to them. A long history goes in slices, parents before children, each of which is pushed
//! with refs of its own ([`MARKS`](source)) that point to where it ends. So what an import that was
//! stopped has sent is part of the repository, and the next run begins where those refs are. The last
//! slice points the repository's own refs to where they belong, and takes the marks away.
//!
//! Deltas are taken over where what they build on is in the same slice. Memory: some sixty bytes for
//! each object of the repository, the ids of one slice, and one object at a time.

mod error;
mod history;
mod packs;
mod produce;
mod slice;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_git::service::{PackBody, RefCommand, Refs, Repository, RepositoryError};
use tokio::sync::mpsc;

use super::Progress;
use super::progress::{Counters, showing};
use super::push::push;
use produce::{Begin, Parts, Prepared, produce};
use source::{MARKS, Source};

pub use error::ImportError;
pub use source::Described;

/// What an import is asked for beside the repository.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// Refs are pointed away from what the repository on disk does not have.
    pub force: bool,
    /// Objects after which a push ends and the next one begins.
    pub slice_objects: usize,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions { force: false, slice_objects: limits::IMPORT_SLICE_OBJECTS }
    }
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// Objects that were sent.
    pub objects: u64,
    /// Bytes of their packs.
    pub bytes: u64,
    /// Pushes that it took.
    pub slices: u64,
    /// Refs, all of which are in the cluster as they are on disk.
    pub refs: u64,
    /// Refs that the cluster has and the repository on disk does not. They stay.
    pub kept_refs: u64,
    /// What fsck let pass, and what else is to be warned of.
    pub warnings: Vec<String>,
}

/// Says what the repository at `path` is.
///
/// # Errors
/// [`ImportError`].
pub async fn describe(path: &Path) -> Result<Described, ImportError> {
    let path = path.to_owned();
    blocking(move || Source::open(&path)?.describe()).await
}

/// Pushes all that the repository at `path` is, as `described`, to one in the cluster.
///
/// # Errors
/// [`ImportError`].
pub async fn import(
    path: &Path,
    described: Described,
    repository: &dyn Repository,
    options: ImportOptions,
    progress: &dyn Progress,
) -> Result<ImportReport, ImportError> {
    let (theirs, ours) = (described.object_format, repository.object_format());
    if theirs != ours {
        return Err(ImportError::ObjectFormat { theirs, ours });
    }
    let there = by_name(&repository.refs().await?);
    progress.begin("importing", described.packed_objects);
    let (slices, mut prepared) = mpsc::channel(1);
    let counters = Arc::new(Counters::default());
    let begin = Begin {
        path: path.to_owned(),
        described: described.clone(),
        there: there.clone(),
        options,
        counters: counters.clone(),
    };
    let reading = blocking(move || produce(&begin, &slices));
    let mut pushing = Pushing {
        repository,
        counters: &counters,
        wanted: &described.refs,
        marks: there.iter().filter(|(name, _)| name.starts_with(MARKS)).map(owned).collect(),
        there,
        report: ImportReport { warnings: described.warnings.clone(), ..ImportReport::default() },
    };
    let pushed = async {
        while let Some(slice) = prepared.recv().await {
            pushing.push(slice).await?;
        }
        // Whoever reads is not to wait for us.
        drop(prepared);
        Ok(())
    };
    let both = async {
        let (read, pushed) = futures_util::join!(reading, pushed);
        // What cannot be read explains a push that broke off.
        read.and(pushed)
    };
    showing(both, &counters, progress).await?;
    let Pushing { mut report, .. } = pushing;
    progress.end();
    report.bytes = counters.bytes.load(Ordering::Relaxed);
    let now = by_name(&repository.refs().await?);
    let changed = |(name, id): &(&String, &ObjectId)| now.get(*name) != Some(*id);
    let changed: Vec<String> =
        described.refs.iter().filter(changed).map(|(name, _)| name.clone()).collect();
    if !changed.is_empty() {
        return Err(ImportError::Changed(changed));
    }
    report.refs = described.refs.len() as u64;
    report.kept_refs = now.keys().filter(|name| !described.refs.contains_key(*name)).count() as u64;
    Ok(report)
}

fn owned((name, id): (&String, &ObjectId)) -> (String, ObjectId) {
    (name.clone(), *id)
}

fn by_name(refs: &Refs) -> BTreeMap<String, ObjectId> {
    refs.refs.iter().map(|found| (found.name.clone(), found.id)).collect()
}

/// The pushes of an import.
struct Pushing<'a> {
    repository: &'a dyn Repository,
    counters: &'a Counters,
    /// What refs are to be.
    wanted: &'a BTreeMap<String, ObjectId>,
    /// What they were.
    there: BTreeMap<String, ObjectId>,
    /// Refs that mark how far we are.
    marks: BTreeMap<String, ObjectId>,
    report: ImportReport,
}

impl Pushing<'_> {
    async fn push(&mut self, slice: Prepared) -> Result<(), ImportError> {
        let marks = match slice.is_last {
            true => BTreeMap::new(),
            false => slice.heads.iter().map(|id| (format!("{MARKS}{id}"), *id)).collect(),
        };
        let mut commands = changes(&self.marks, &marks);
        if slice.is_last {
            let moved = self.wanted.iter().filter(|(name, id)| self.there.get(*name) != Some(*id));
            commands.extend(moved.map(|(name, id)| RefCommand {
                name: name.clone(),
                old: self.there.get(name).copied(),
                new: Some(*id),
            }));
        }
        if commands.is_empty() {
            return Ok(());
        }
        let body = slice.pack.map(body);
        let warnings = &mut self.report.warnings;
        push(self.repository, commands, body, self.counters, warnings).await?;
        self.marks = marks;
        self.report.slices += 1;
        self.report.objects += slice.objects;
        Ok(())
    }
}

/// The commands that make of one set of refs another one, deletions last.
fn changes(
    before: &BTreeMap<String, ObjectId>,
    after: &BTreeMap<String, ObjectId>,
) -> Vec<RefCommand> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let command = |name: &String| {
        let (old, new) = (before.get(name).copied(), after.get(name).copied());
        (old != new).then(|| RefCommand { name: name.clone(), old, new })
    };
    let mut commands: Vec<RefCommand> = names.into_iter().filter_map(command).collect();
    commands.sort_by_key(|command| command.new.is_none());
    commands
}

fn body(parts: Parts) -> PackBody {
    let next = |mut parts: Parts| async move { Some((parts.recv().await?, parts)) };
    Box::pin(futures_util::stream::unfold(parts, next))
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(RepositoryError::Unavailable(error.to_string()).into()),
    }
}
