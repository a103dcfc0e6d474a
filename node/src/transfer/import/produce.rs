//! Reading side of an import: slices of a repository, and the packs that they are.
//!
//! It runs on a thread that may block, and waits while the cluster is slow: there is one slice on its
//! way, and of its pack a few parts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_git::service::Head;
use gix::objs::Kind;
use tokio::sync::mpsc;

use super::super::progress::Counters;
use super::ImportOptions;
use super::error::ImportError;
use super::history::History;
use super::slice::{self, Collector, Slice};
use super::source::{Described, MARKS, Source, of_gix, plain};

/// The pack of a slice, in parts.
pub(super) type Parts = mpsc::Receiver<Result<Bytes, io::Error>>;

/// A slice that is to be pushed.
pub(super) struct Prepared {
    /// Its pack; nothing where it has no objects.
    pub(super) pack: Option<Parts>,
    pub(super) objects: u64,
    /// Commits that no commit of this slice, or of those before, has as a parent: with the refs that
    /// were there they reach all that was sent.
    pub(super) heads: BTreeSet<ObjectId>,
    /// With this one all is there.
    pub(super) is_last: bool,
}

/// What an import begins with.
pub(super) struct Begin {
    pub(super) path: PathBuf,
    pub(super) described: Described,
    /// Refs of the cluster's repository.
    pub(super) there: BTreeMap<String, ObjectId>,
    pub(super) options: ImportOptions,
    pub(super) counters: Arc<Counters>,
}

/// Reads the repository, and hands over slices until nobody takes them any more.
pub(super) fn produce(begin: &Begin, slices: &mpsc::Sender<Prepared>) -> Result<(), ImportError> {
    let source = Source::open(&begin.path)?;
    refuse_unknown(begin, &source)?;
    let mut history = History::default();
    let mut heads = BTreeSet::new();
    let mut known = Vec::new();
    for (name, id) in &begin.there {
        let id = of_gix(id);
        if source.contains(&id) && source.header(id)?.0 == Kind::Commit {
            known.push(id);
            if name.starts_with(MARKS) {
                heads.insert(plain(&id));
            }
        }
    }
    history.leave_out(&source, known)?;
    let wanted = Wanted::find(begin, &source)?;
    let mut collector = Collector::new(&source);
    let mut slice = Slice::default();
    let producer = Producer { source: &source, counters: &begin.counters, slices };
    for tip in wanted.commits {
        history.begin(tip);
        while let Some(commit) = history.next(&source)? {
            collector.commit(&commit, &history, &mut slice)?;
            for parent in &commit.parents {
                heads.remove(&plain(parent));
            }
            heads.insert(plain(&commit.id));
            if slice.is_full(begin.options.slice_objects)
                && !producer.give(std::mem::take(&mut slice), &heads, false)?
            {
                return Ok(());
            }
        }
    }
    for tree in wanted.trees {
        collector.tree(tree, &mut slice)?;
    }
    for other in wanted.others {
        collector.other(other, &mut slice)?;
    }
    producer.give(slice, &heads, true).map(drop)
}

/// Refuses to point refs away from what this repository has never seen.
fn refuse_unknown(begin: &Begin, source: &Source) -> Result<(), ImportError> {
    let moved = begin.there.iter().filter(|(name, there)| {
        let wanted = begin.described.refs.get(*name);
        wanted.is_some_and(|wanted| wanted != *there) && !source.contains(&of_gix(there))
    });
    let unknown: Vec<String> = moved.map(|(name, _)| name.clone()).collect();
    match begin.options.force || unknown.is_empty() {
        true => Ok(()),
        false => Err(ImportError::Diverged(unknown)),
    }
}

/// What refs point to and the cluster's do not.
#[derive(Default)]
struct Wanted {
    /// Those of the current branch first, whose history is the longest in most repositories.
    commits: Vec<gix::ObjectId>,
    trees: Vec<gix::ObjectId>,
    /// Tags, and blobs.
    others: Vec<gix::ObjectId>,
}

impl Wanted {
    fn find(begin: &Begin, source: &Source) -> Result<Self, ImportError> {
        let refs = &begin.described.refs;
        let first = match &begin.described.head {
            Head::Branch(name) => refs.get(name),
            Head::Detached(id) => Some(id),
        };
        let differing = refs.iter().filter(|(name, id)| begin.there.get(*name) != Some(*id));
        let mut wanted = Wanted::default();
        for id in first.into_iter().chain(differing.map(|(_, id)| id)) {
            let mut id = of_gix(id);
            loop {
                match source.header(id)?.0 {
                    Kind::Commit => wanted.commits.push(id),
                    Kind::Tree => wanted.trees.push(id),
                    Kind::Blob => wanted.others.push(id),
                    Kind::Tag => {
                        wanted.others.push(id);
                        id = source.tag_target(id)?;
                        continue;
                    }
                }
                break;
            }
        }
        Ok(wanted)
    }
}

struct Producer<'a> {
    source: &'a Source,
    counters: &'a Counters,
    slices: &'a mpsc::Sender<Prepared>,
}

impl Producer<'_> {
    /// Hands over a slice and its pack; says whether anybody wants more.
    fn give(
        &self,
        slice: Slice,
        heads: &BTreeSet<ObjectId>,
        is_last: bool,
    ) -> Result<bool, ImportError> {
        let (parts, pack) = mpsc::channel(limits::IMPORT_PARTS_WAITING_MAX);
        let objects = slice.len() as u64;
        let pack = (objects > 0).then_some(pack);
        let prepared = Prepared { pack, objects, heads: heads.clone(), is_last };
        if self.slices.blocking_send(prepared).is_err() {
            return Ok(false);
        }
        if objects == 0 {
            return Ok(true);
        }
        let mut is_wanted = true;
        let written = slice::write(self.source, &slice, &mut |part, objects| {
            self.counters.objects.fetch_add(objects, Ordering::Relaxed);
            self.counters.bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
            is_wanted = parts.blocking_send(Ok(part)).is_ok();
            is_wanted
        });
        if let Err(error) = written {
            // Else a pack that breaks off would be told of first.
            let _ = parts.blocking_send(Err(io::Error::other("the import ends here")));
            return Err(error);
        }
        Ok(is_wanted)
    }
}
